"""How a job's cost is shared: 60 % worker, 25 % platform, 10 % resilience fund, 5 % quorum, exact to the stroop."""

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
