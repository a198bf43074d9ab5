"""What a submission takes of its key's limits, decided by one number for each limit: the moment `until` which it is used up.

A minute's worth is there at once and comes back evenly (GCRA). Each request, and each token, takes its share of a minute: it
moves `until` on from where it is, or from now if that is later, and is refused if it would move it further than the whole
minute's worth from now. The requests of a UTC day are counted on the same number line, a nanosecond each on top of the
day's start, so that one rule decides both. All in integer nanoseconds since 1970.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from coordinator.submit.plans import Limits
from shared.errors import HiveError, RateLimited, RequestError

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
DAY: Final = 24 * 60 * MINUTE
UNLIMITED_SHOWN: Final = 1_000_000_000
"""What the headers say where there is no limit."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

What = Literal["day", "requests", "tokens"]
Marks = Mapping[str, int]
"""By what is limited: until when it is used up; what is missing was never used."""


class Charge(NamedTuple):
    """What one submission takes of one limit: `cost` from `start` on, and no further than `room` from there."""

    what: What
    start: int
    cost: int
    room: int

    def after(self, until: int) -> int:
        """Until when the limit is used up with this on top."""
        return max(until, self.start) + self.cost

    def over(self, until: int) -> int:
        """How far this goes beyond the room, in ns; 0 if it fits."""
        return max(0, self.after(until) - self.start - self.room)


def share(limit: int) -> int:
    """What one of `limit` a minute takes; rounded up, so that a minute never holds one more."""
    return -(-MINUTE // limit)


def token_ns(limits: Limits) -> int:
    """What one token takes of this key's; 0 where tokens have no limit."""
    return 0 if limits.tokens is None else share(limits.tokens)


def charges(limits: Limits, tokens: int, now: datetime) -> list[Charge]:
    """What a submission that may use so many tokens takes, in the order in which rows are locked."""
    at, found = _ns(now), []
    if limits.requests is not None and limits.daily:
        found.append(Charge("day", at - at % DAY, 1, limits.requests))
    elif limits.requests is not None:
        one = share(limits.requests)
        found.append(Charge("requests", at, one, one * limits.requests))
    if limits.tokens is not None:
        one = share(limits.tokens)
        found.append(Charge("tokens", at, one * tokens, one * limits.tokens))
    return found


def refusal(limits: Limits, tokens: int, marks: Marks, now: datetime) -> HiveError | None:
    """What a caller is told whose submission does not fit now, or never can; None if it fits."""
    if limits.tokens is not None and tokens > limits.tokens:
        return RequestError(
            f"This request may use {tokens} tokens (prompt and max_tokens), and this key has {limits.tokens} a minute: it "
            "can never fit. Send less or ask for fewer max_tokens.",
            param="max_tokens",
        )
    for charge in charges(limits, tokens, now):
        over = charge.over(marks.get(charge.what, 0))
        if over:
            wait = -(-(charge.start + DAY - _ns(now) if charge.what == "day" else over) // SECOND)
            return RateLimited(f"{_spent(limits, charge.what)}; try again in {wait} s.", retry_after_s=wait)
    return None


def spent(limits: Limits, marks: Marks, now: datetime) -> HiveError | None:
    """What a caller is told who has no request left, whatever it asks for; None if it has one."""
    return refusal(msgspec.structs.replace(limits, tokens=None), 0, marks, now)


def taken(limits: Limits, tokens: int, marks: Marks, now: datetime) -> dict[str, int]:
    """The marks with a submission on top that fits."""
    return dict(marks) | {c.what: c.after(marks.get(c.what, 0)) for c in charges(limits, tokens, now)}


class Left(msgspec.Struct, frozen=True):
    """How much of a limit is left, and when all of it is free again."""

    limit: int
    remaining: int
    reset: datetime


def left(limits: Limits, marks: Marks, now: datetime) -> dict[Literal["requests", "tokens"], Left]:
    """What of each limit is left now; an unlimited one says UNLIMITED_SHOWN."""
    requests = tokens = Left(UNLIMITED_SHOWN, UNLIMITED_SHOWN, now)
    for charge in charges(limits, 0, now):
        until = max(marks.get(charge.what, 0), charge.start)
        used, reset = until - charge.start, _EPOCH + timedelta(microseconds=-(-until // 1000))
        if charge.what == "tokens":
            assert limits.tokens is not None, "it is charged"
            tokens = Left(limits.tokens, max(0, charge.room - used) // share(limits.tokens), reset)
        else:
            assert limits.requests is not None, "it is charged"
            whole = _EPOCH + timedelta(microseconds=(charge.start + DAY) // 1000) if limits.daily else reset
            requests = Left(limits.requests, max(0, charge.room - used) // charge.cost, whole)
    return {"requests": requests, "tokens": tokens}


def headers(limits: Limits, marks: Marks, now: datetime) -> dict[str, str]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; reset in whole seconds, never too early."""
    shown: dict[str, str] = {}
    for what, one in left(limits, marks, now).items():
        reset = one.reset if one.reset.microsecond == 0 else one.reset.replace(microsecond=0) + timedelta(seconds=1)
        shown[f"x-ratelimit-limit-{what}"] = str(one.limit)
        shown[f"x-ratelimit-remaining-{what}"] = str(one.remaining)
        shown[f"x-ratelimit-reset-{what}"] = f"{reset.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    return shown


def _spent(limits: Limits, what: What) -> str:
    if what == "tokens":
        return f"This key has {limits.tokens} tokens a minute, and too few of them are left for prompt and max_tokens"
    return f"This key has {limits.requests} requests a {'UTC day' if limits.daily else 'minute'}, and none is left"


def _ns(now: datetime) -> int:
    return (now - _EPOCH) // timedelta(microseconds=1) * 1000
