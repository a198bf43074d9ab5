"""What a plan allows: the one table of plans and their limits, and what an operator sets for a single key."""

from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one key may do; None is no limit. `requests` are by the minute, or by the UTC day if `daily`, `tokens` by the
    minute; a job over `at_once` waits its turn."""

    requests: int | None = None
    daily: bool = False
    tokens: int | None = None
    at_once: int | None = None


UNLIMITED: Final = Limits()
NO_PLAN: Final = Limits(requests=60, tokens=150_000)
PLANS: Final = {
    "free": Limits(requests=50, daily=True, at_once=1),
    "pro": Limits(requests=120, at_once=10),
    "enterprise": UNLIMITED,
}


def limits_of(plan: str | None, rpm: int | None = None, tpm: int | None = None, at_once: int | None = None) -> Limits:
    """The limits of a key: those of its plan, and before them what was set for the key itself (requests and tokens a
    minute, jobs at once). A plan that there is no longer counts as none."""
    usual = NO_PLAN if plan is None else PLANS.get(plan, NO_PLAN)
    return Limits(
        requests=usual.requests if rpm is None else rpm,
        daily=usual.daily and rpm is None,
        tokens=usual.tokens if tpm is None else tpm,
        at_once=usual.at_once if at_once is None else at_once,
    )
