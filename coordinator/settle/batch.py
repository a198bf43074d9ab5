"""What a payout batch pays: ready payables summed per worker, the pools' legs of the same jobs, and a root over all."""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from coordinator.settle.ledger import PLATFORM, QUORUM, RESILIENCE, is_worker
from coordinator.settle.stellar import LedgerKeys, Leg, Route, worker_address
from coordinator.store.rows import Payable

MAX_WORKERS: Final = 97
"""Legs to workers in one transaction of 100 operations, three of which are the pools'."""


class Due(msgspec.Struct, frozen=True):
    """A payable that is ready, and by which route its worker can receive it."""

    number: int
    payable: Payable
    route: Route


class Batch(msgspec.Struct, frozen=True):
    """The operations of one transaction in their order: `workers` names whose legs come first, `pools` whose come last;
    `memo` is the Merkle root of the payables."""

    legs: list[Leg]
    workers: list[tuple[str, Route]]
    pools: list[str]
    memo: bytes
    total: int


def gather(due: Sequence[Due], keys: LedgerKeys) -> Batch:
    """The batch that pays `due` (of at most MAX_WORKERS workers); raises ValueError if there are more."""
    owed: dict[tuple[str, Route], int] = {}
    for one in due:
        place = (one.payable.worker_pk, one.route)
        owed[place] = owed.get(place, 0) + one.payable.worker
    owed = {place: amount for place, amount in owed.items() if amount > 0}
    if len(owed) > MAX_WORKERS:
        raise ValueError(f"{len(owed)} workers do not fit into one transaction")
    legs = [Leg(worker_address(pk), amount, route) for (pk, route), amount in owed.items()]
    pools = [(name, address, amount) for name, address, amount in _pools(due, keys) if amount > 0]
    legs += [Leg(address, amount) for _, address, amount in pools]
    leaves = [_leaf(one.payable) for one in sorted(due, key=lambda one: one.number)]
    return Batch(legs, list(owed), [name for name, _, _ in pools], merkle_root(leaves), sum(leg.amount for leg in legs))


def _pools(due: Sequence[Due], keys: LedgerKeys) -> list[tuple[str, str, int]]:
    return [
        (PLATFORM, keys.platform, sum(one.payable.platform for one in due)),
        (RESILIENCE, keys.resilience, sum(one.payable.resilience for one in due)),
        (QUORUM, keys.quorum, sum(one.payable.quorum for one in due)),
    ]


def _leaf(payable: Payable) -> bytes:
    parts = (
        payable.id,
        payable.attempt,
        payable.worker_pk,
        payable.worker,
        payable.platform,
        payable.resilience,
        payable.quorum,
    )
    return ":".join(map(str, parts)).encode()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The RFC 6962 root: leaves hashed with prefix 0x00, nodes with 0x01, nothing duplicated."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    return _root(level)


def _root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(hashes[:split]) + _root(hashes[split:])).digest()


class Fate(msgspec.Struct, frozen=True):
    """What becomes of the payables of one operation after their batch failed on the ledger."""

    state: Literal["ready", "held"]
    route: Route
    reason: str | None


_UNREACHABLE: Final = frozenset({"payment_no_trust", "payment_no_destination"})
_CLOSED: Final = frozenset({"payment_line_full", "payment_not_authorized"})


def fates(paid: Sequence[tuple[str, Route]], operations: Sequence[str]) -> list[Fate]:
    """By operation (ledger account, route), from the ledger's codes: a worker whose account cannot receive is paid by a
    claimable balance next, one who must act itself is held, everybody else is ready again."""
    return [_fate(recipient, route, code) for (recipient, route), code in zip(paid, operations, strict=True)]


def _fate(recipient: str, route: Route, code: str) -> Fate:
    if is_worker(recipient) and code in _UNREACHABLE:
        return Fate("ready", "claim", code)
    if is_worker(recipient) and code in _CLOSED:
        return Fate("held", route, code)
    return Fate("ready", route, None)


def trouble(paid: Sequence[tuple[str, Route]], operations: Sequence[str]) -> str | None:
    """The first code that no worker is to blame for: the treasury or a pool cannot pay or be paid, so that the next
    batch would fail like this one."""
    for (recipient, _), code in zip(paid, operations, strict=True):
        theirs = is_worker(recipient) and (code in _UNREACHABLE or code in _CLOSED)
        if not theirs and not code.endswith("_success"):
            return code
    return None
