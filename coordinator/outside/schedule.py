"""When a callback is sent, how often, and how many at once. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

DELAYS_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, *[14400] * 5)
"""How long to wait after each try that failed; after the last of them, a day in all, the callback is dead."""
JITTER: Final = 0.2
AT_ONCE: Final = 128
PER_ACCOUNT: Final = 32
PER_HOST: Final = 8
GONE: Final = 410


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that is to be sent now. `tries` and `calls` count those before; `generation` and `rotated_at` are the
    account's webhook secret's."""

    id: UUID
    account_id: UUID
    host: str
    url: str
    shape: Literal["hive", "thehive"]
    tries: int
    calls: int
    generation: int
    rotated_at: datetime | None


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of a callback after a call; `due_at` is the next try's time, or the time of this one's end."""

    state: Literal["waiting", "delivered", "dead"]
    due_at: datetime
    status: int | None
    reason: str | None


def outcome(answer: int | str, tries: int, now: datetime, chance: float) -> Outcome:
    """What the status that the other side answered with, or the reason for which it was not reached, makes of try number
    `tries`; `chance` is from 0 to 1."""
    status = answer if isinstance(answer, int) else None
    if status is not None and 200 <= status < 300:
        return Outcome("delivered", now, status, None)
    reason = answer if isinstance(answer, str) else f"answers with status {answer}"
    if status == GONE:
        return Outcome("dead", now, status, "wants no more of it (status 410)")
    if tries > len(DELAYS_S):
        return Outcome("dead", now, status, reason)
    delay = DELAYS_S[tries - 1] * (1 + JITTER * (chance - 0.5))
    return Outcome("waiting", now + timedelta(seconds=delay), status, reason)


def admitted(due: Iterable[Due], running: Sequence[Due]) -> list[Due]:
    """Which of these may be sent now beside those that are being sent: so many in all, of an account and to a host."""
    hosts, accounts = Counter(one.host for one in running), Counter(one.account_id for one in running)
    chosen: list[Due] = []
    for one in due:
        if len(running) + len(chosen) >= AT_ONCE:
            break
        if hosts[one.host] < PER_HOST and accounts[one.account_id] < PER_ACCOUNT:
            chosen.append(one)
            hosts[one.host] += 1
            accounts[one.account_id] += 1
    return chosen
