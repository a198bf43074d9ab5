"""Which submissions fit into what their account, key and limits still allow. Pure: what is left comes in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from coordinator.store.limits import Charged, Used
from coordinator.store.money import Room
from coordinator.store.rows import NewJob
from coordinator.submit.limits import Charge, charges, refusal, taken
from coordinator.submit.plans import Limits
from coordinator.submit.prepare import Size
from coordinator.submit.request import Submission
from shared.errors import BudgetExceeded, Forbidden, HiveError

Jobs = tuple[NewJob, ...]
"""One job, or the children of one parent: all of them are written, or none."""

_ENDLESS: Final = 2**62


def id_of(jobs: Jobs) -> UUID:
    """The id that a caller knows these jobs by."""
    return jobs[0].parent or jobs[0].id


def tokens_of(jobs: Jobs) -> int:
    """How many tokens a submission may use: each prompt once, and the most that each answer may have."""
    return sum(job.max_tokens + (0 if job.copy else job.tokens_in) for job in jobs)


def within(size: Size, asked: Submission, limits: Limits) -> Size:
    """The size of one of the requests; where the caller has left max_tokens out it is no larger than its part of what the
    key has in a minute, for more could never be let in."""
    if limits.tokens is None or asked.max_tokens is not None or not size.max_tokens:
        return size
    part = (limits.tokens // len(asked.requests) - size.tokens_in) // asked.n
    too_many = size.max_tokens - min(size.max_tokens, max(1, part))
    return Size(size.tokens_in, size.max_tokens - too_many, size.at_once - too_many)


def hold_of(jobs: Jobs) -> int:
    """What a submission may cost at most, in stroops."""
    return sum(job.hold for job in jobs)


def is_limited(jobs: Jobs) -> bool:
    """Whether the key has limits that a submission is charged for."""
    limits = jobs[0].limits
    return limits.requests is not None or limits.tokens is not None


def charged(new: Sequence[Jobs], at: datetime) -> list[Charged]:
    """What these submissions take of their keys' limits, summed up by key."""
    sums: dict[tuple[UUID, str], Charge] = {}
    for jobs in new:
        for one in charges(jobs[0].limits, tokens_of(jobs), at):
            known = sums.get((jobs[0].key_id, one.what))
            sums[jobs[0].key_id, one.what] = one if known is None else one._replace(cost=known.cost + one.cost)
    return [Charged(key_id, charge) for (key_id, _), charge in sums.items()]


def grown(room: Room, growth: Mapping[UUID, int | None]) -> Room:
    """The room with all that the budgets of these keys may still grow by today (None: by as much as is needed)."""
    keys = {id_: left + (growth.get(id_, 0) or 0) for id_, left in room.keys.items() if growth.get(id_, 0) is not None}
    return msgspec.structs.replace(room, keys=keys)


def admit(new: Sequence[Jobs], room: Room, used: Used, at: datetime) -> dict[UUID, HiveError]:
    """Which of these do not fit into what their account and key may still hold and do, in the order of their coming."""
    accounts, keys, marks = dict(room.accounts), dict(room.keys), dict(used)
    refused: dict[UUID, HiveError] = {}
    for jobs in new:
        first, hold, tokens = jobs[0], hold_of(jobs), tokens_of(jobs)
        account, key, limits = first.account_id, first.key_id, first.limits
        over = refusal(limits, tokens, marks.get(key, {}), at)
        if hold > accounts.get(account, 0):
            refused[id_of(jobs)] = _no_balance()
        elif hold > keys.get(key, _ENDLESS):
            refused[id_of(jobs)] = _no_budget()
        elif over is not None:
            refused[id_of(jobs)] = over
        else:
            accounts[account] = accounts.get(account, 0) - hold
            keys[key] = keys.get(key, _ENDLESS) - hold
            marks[key] = taken(limits, tokens, marks.get(key, {}), at)
    return refused


def _no_balance() -> HiveError:
    return Forbidden("The account's balance does not cover what this job may cost.", code="insufficient_balance")


def _no_budget() -> HiveError:
    return BudgetExceeded("This key's budget does not cover what this job may cost.")
