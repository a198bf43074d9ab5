"""How a job's cost is shared: 60 % worker, 25 % platform, 10 % resilience fund, 5 % quorum, exact to the stroop; and the
worker's part of it among those that made the answer's tokens. Pure."""

from collections.abc import Sequence

import msgspec


class Split(msgspec.Struct, frozen=True):
    """The legs of one cost, in stroops."""

    worker: int
    platform: int
    resilience: int
    quorum: int


def split(cost: int) -> Split:
    """Shares `cost` stroops (0 or more) exactly: the pools' shares are rounded down, the worker has the remainder."""
    platform, resilience, quorum = cost * 25 // 100, cost * 10 // 100, cost * 5 // 100
    return Split(cost - platform - resilience - quorum, platform, resilience, quorum)


def own_share(whole: Split, own: int, total: int) -> Split:
    """What is left when the worker made only `own` of `total` tokens: the rest of its leg goes to the resilience fund.

    A share out of nothing (`total` 0) is a whole one.
    """
    worker = whole.worker * own // total if total else whole.worker
    return Split(worker, whole.platform, whole.resilience + whole.worker - worker, whole.quorum)


class Lost(msgspec.Struct, frozen=True):
    """What went out of an attempt that was lost: `tokens` tokens from output position `offset` on."""

    attempt: int
    worker_pk: str
    offset: int
    tokens: int


class Leg(msgspec.Struct, frozen=True):
    """What a lost worker is owed, in stroops, once it has signed for it."""

    attempt: int
    worker_pk: str
    amount: int


def divide(cost: int, own: int, total: int, lost: Sequence[Lost]) -> tuple[Split, list[Leg]]:
    """The legs of a job of `total` tokens, of which its last worker made the last `own`, and what the workers of its `lost`
    attempts (in their order) are owed for those before. What nobody can be shown to have made is the resilience fund's, as
    is what rounding leaves.

    An attempt counts whose tokens are whole in the answer, after those of the attempts before it.
    """
    whole = split(cost)
    legs, at = [], 0
    for one in lost:
        if at <= one.offset and one.offset + one.tokens <= total - own:
            at = one.offset + one.tokens
            legs.append(Leg(one.attempt, one.worker_pk, whole.worker * one.tokens // total))
    rest = own_share(whole, own, total)
    owed = sum(leg.amount for leg in legs)
    kept = msgspec.structs.replace(rest, resilience=rest.resilience - owed)
    return kept, [leg for leg in legs if leg.amount]
