"""What a plan allows: the one table of plans and their limits, and what an operator sets for a single key."""

from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one key may do; None is no limit. Requests are counted by the minute or by the UTC day, tokens by the minute;
    a job over `at_once` waits its turn."""

    per_minute: int | None = None
    per_day: int | None = None
    tokens: int | None = None
    at_once: int | None = None


UNLIMITED: Final = Limits()
NO_PLAN: Final = Limits(per_minute=60, tokens=150_000)
PLANS: Final = {
    "free": Limits(per_day=50, at_once=1),
    "pro": Limits(per_minute=120, at_once=10),
    "enterprise": UNLIMITED,
}


def limits_of(plan: str | None, rpm: int | None = None, tpm: int | None = None, at_once: int | None = None) -> Limits:
    """The limits of a key: those of its plan, and before them what was set for the key itself (requests and tokens a
    minute, jobs at once). A plan that there is no longer counts as none."""
    usual = NO_PLAN if plan is None else PLANS.get(plan, NO_PLAN)
    return Limits(
        per_minute=usual.per_minute if rpm is None else rpm,
        per_day=usual.per_day,
        tokens=usual.tokens if tpm is None else tpm,
        at_once=usual.at_once if at_once is None else at_once,
    )
