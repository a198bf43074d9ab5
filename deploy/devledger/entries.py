"""What a ledger holds, and the nested copy-on-write views that make operations and transactions atomic."""

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

import msgspec

AUTH_REQUIRED, AUTH_REVOCABLE, AUTH_IMMUTABLE, AUTH_CLAWBACK = 1, 2, 4, 8
LINE_AUTHORIZED, LINE_MAINTAIN, LINE_CLAWBACK = 1, 2, 4


class Entry(msgspec.Struct, tag=True, kw_only=True):
    """One thing that the ledger remembers, and the ledger that changed it last."""

    modified: int = 1

    def clone(self) -> Self:
        """Return a copy that shares nothing mutable with this entry."""
        return msgspec.structs.replace(self)


class Account(Entry):
    """An account; balance in stroops, thresholds are (master weight, low, medium, high)."""

    balance: int
    sequence: int
    thresholds: list[int] = msgspec.field(default_factory=lambda: [1, 0, 0, 0])
    signers: dict[str, int] = {}
    signer_sponsors: dict[str, str] = {}
    subentries: int = 0
    sponsoring: int = 0
    sponsored: int = 0
    flags: int = 0
    home_domain: str = ""
    sponsor: str | None = None
    sequence_ledger: int = 0
    sequence_time: int = 0

    def clone(self) -> Self:
        """Return a copy that shares nothing mutable with this entry."""
        return msgspec.structs.replace(
            self,
            thresholds=self.thresholds.copy(),
            signers=self.signers.copy(),
            signer_sponsors=self.signer_sponsors.copy(),
        )

    def weights(self, own_id: str) -> dict[str, int]:
        """Return every key that may sign for this account with its weight, the master key first."""
        return {own_id: self.thresholds[0], **self.signers}


class TrustLine(Entry):
    """How much of an asset (in stroops) somebody holds and is ready to hold."""

    balance: int
    limit: int
    flags: int
    sponsor: str | None = None

    @property
    def authorized(self) -> bool:
        """Tell whether the issuer lets this line send and receive."""
        return bool(self.flags & LINE_AUTHORIZED)


class DataEntry(Entry):
    """A named value of at most 64 bytes on an account."""

    value: bytes
    sponsor: str | None = None


class ClaimableBalance(Entry):
    """An amount (in stroops) set aside for claimants; each has a predicate as XDR with absolute times only."""

    asset: str
    amount: int
    claimants: dict[str, bytes]
    sponsor: str = ""


class Sponsorships(Entry):
    """Who sponsors whom inside one transaction; it never outlives it."""

    sponsor_of: dict[str, str] = {}

    def clone(self) -> Self:
        """Return a copy that shares nothing mutable with this entry."""
        return msgspec.structs.replace(self, sponsor_of=self.sponsor_of.copy())


E = TypeVar("E", bound=Entry)


class Key(NamedTuple, Generic[E]):
    """Where an entry is kept: its kind, then its owner and name."""

    kind: type[E]
    parts: tuple[str, ...] = ()


def account_key(account_id: str) -> Key[Account]:
    """Return where an account is kept."""
    return Key(Account, (account_id,))


def trust_key(holder: str, asset: str) -> Key[TrustLine]:
    """Return where a holder's trustline for an asset is kept."""
    return Key(TrustLine, (holder, asset))


def data_key(account_id: str, name: str) -> Key[DataEntry]:
    """Return where a named value of an account is kept."""
    return Key(DataEntry, (account_id, name))


def balance_key(balance_id: str) -> Key[ClaimableBalance]:
    """Return where a claimable balance is kept, by the hex of its id's XDR."""
    return Key(ClaimableBalance, (balance_id,))


SPONSORSHIPS: Key[Sponsorships] = Key(Sponsorships)


class View:
    """Entries over a base: reads fall through, writes stay here until `commit`."""

    def __init__(self, base: "View | None" = None) -> None:
        self._base = base
        self.rows: dict[Key[Any], Entry | None] = {}

    def peek(self, key: Key[E]) -> E | None:
        """Return an entry to look at, never to change."""
        if key in self.rows:
            return cast(E | None, self.rows[key])
        return self._base.peek(key) if self._base is not None else None

    def edit(self, key: Key[E]) -> E | None:
        """Return an entry whose changes belong to this view."""
        if key not in self.rows:
            below = self._base.peek(key) if self._base is not None else None
            if below is None:
                return None
            self.rows[key] = below.clone()
        return cast(E | None, self.rows[key])

    def must_edit(self, key: Key[E]) -> E:
        """Return an entry that the caller knows to exist."""
        entry = self.edit(key)
        if entry is None:
            raise LookupError(f"no {key.kind.__name__} at {key.parts}")
        return entry

    def put(self, key: Key[E], entry: E) -> None:
        """Add or replace an entry."""
        self.rows[key] = entry

    def remove(self, key: Key[E]) -> None:
        """Take an entry away."""
        self.rows[key] = None

    def commit(self) -> None:
        """Move everything written here into the base."""
        if self._base is None:
            raise ValueError("a view without a base has nowhere to commit to")
        self._base.rows.update(self.rows)


class State(View):
    """The bottom of all views: the entries of the last closed ledger, with an index by owner."""

    def __init__(self) -> None:
        super().__init__()
        self._owned: dict[str, dict[Key[Any], None]] = {}

    def absorb(self, changes: dict[Key[Any], Entry | None]) -> None:
        """Take over one ledger's changes; None removes."""
        for key, entry in changes.items():
            owned = self._owned.setdefault(key.parts[0], {})
            if entry is None:
                self.rows.pop(key, None)
                owned.pop(key, None)
            else:
                self.rows[key] = entry
                owned[key] = None
            if not owned:
                del self._owned[key.parts[0]]

    def owned(self, kind: type[E], owner: str) -> Iterator[tuple[str, E]]:
        """Yield (name, entry) of one kind that an account owns, oldest first."""
        for key in self._owned.get(owner, {}):
            if key.kind is kind:
                yield key.parts[1], cast(E, self.rows[key])

    def every(self, kind: type[E]) -> Iterator[tuple[str, E]]:
        """Yield (first part of the key, entry) of all entries of one kind."""
        for key, entry in self.rows.items():
            if key.kind is kind:
                yield key.parts[0], cast(E, entry)
