"""What an undecided batch needs next, from what the ledger shows. Pure.

Only what is read back from the ledger decides a batch. What a send answered tells how much to bid, what needs a person,
and how far back to look.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from coordinator.settle.stellar import Answer, Found
from coordinator.store.payouts import EnvelopeRow

SPAN_LEDGERS: Final = 24
"""For how many ledgers an envelope can apply."""
FIRST_BID: Final = 1_000
MAX_BID: Final = 10_000
"""Stroops an operation; in a surge above it payouts wait."""
RAISE: Final = 10
"""By how many times a bid must beat the one that it replaces in the queue."""
QUEUED_LEDGERS: Final = 4
"""For so many ledgers a transaction waits in the queue; then the network drops it."""
STRANGE_LEDGERS: Final = 100
LOOK_NEWEST: Final = 3
SPENT_ELSEWHERE: Final = "the sequence number was spent by a transaction that is none of ours"

_WAITING: Final = frozenset({"PENDING", "DUPLICATE", "TRY_AGAIN_LATER"})
_PERSON: Final = frozenset(
    {"txbad_auth", "txbad_auth_extra", "txmalformed", "txno_account", "txnot_supported", "txmissing_operation"}
)


class Decide(msgspec.Struct, frozen=True):
    """The ledger has applied this envelope: the batch is paid or failed."""

    inner_hash: str
    found: Found


class Send(msgspec.Struct, frozen=True):
    """The newest envelope may still apply: send it (again)."""

    envelope: EnvelopeRow


class Renew(msgspec.Struct, frozen=True):
    """The batch needs another envelope after the n-th, at this bid (stroops an operation)."""

    after: int
    fee: int


class Block(msgspec.Struct, frozen=True):
    """A person must mend something first."""

    reason: str


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before the next ledger."""


Step = Decide | Send | Renew | Block | Wait


def to_look_up(tried: Sequence[EnvelopeRow]) -> Sequence[EnvelopeRow]:
    """The envelopes (newest first) to look up: all of them once the sequence number is said to be spent."""
    return tried if _is_spent(tried[0]) else tried[:LOOK_NEWEST]


def is_strange(latest: int, tried: Sequence[EnvelopeRow]) -> bool:
    """Whether the sequence number has been called spent for so long that ours would have been found."""
    first_try = tried[-1].max_ledger - SPAN_LEDGERS
    return _is_spent(tried[0]) and latest >= first_try + STRANGE_LEDGERS


def next_step(latest: int, tried: Sequence[EnvelopeRow], found: Mapping[str, Found], *, elsewhere: bool) -> Step:
    """The next step of an open batch. `latest` was read before `found` (by inner hash) was looked up; `elsewhere` says
    that the channel's number is spent and nothing of ours spent it."""
    for inner_hash, one in found.items():
        if one.decisive:
            return Decide(inner_hash, one)
    for one in found.values():
        if needs_person(one.code):
            return Block(one.code)
    if elsewhere:
        return Block(SPENT_ELSEWHERE)
    newest = tried[0]
    if latest >= newest.max_ledger or newest.inner_hash in found:
        return Renew(newest.n, newest.max_fee)
    if _is_outbid(latest, newest):
        return Renew(newest.n, _raised(newest.max_fee))
    return Send(newest)


def after_send(answer: Answer, envelope: EnvelopeRow) -> Step:
    """What an answer to a send allows to do before looking again."""
    if needs_person(answer.code):
        return Block(answer.code)
    if answer.code == "txinsufficient_fee" and envelope.max_fee < MAX_BID:
        return Renew(envelope.n, _raised(envelope.max_fee))
    return Wait()


def needs_person(code: str) -> bool:
    """Whether a refusal cannot pass by itself: a key, a network, an envelope or one of its operations is wrong."""
    return code in _PERSON or bool(code and not code.startswith("tx"))


def _is_spent(envelope: EnvelopeRow) -> bool:
    return envelope.status is not None and envelope.status.endswith("txbad_seq")


def _is_outbid(latest: int, newest: EnvelopeRow) -> bool:
    made_at = newest.max_ledger - SPAN_LEDGERS
    return newest.status in _WAITING and latest >= made_at + QUEUED_LEDGERS and newest.max_fee < MAX_BID


def _raised(fee: int) -> int:
    return min(fee * RAISE, MAX_BID)
