"""Accepts jobs in groups: one transaction makes up to 64 of them, with their holds: a commit serves many clients."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from coordinator.queue.limits import IDEMPOTENCY
from coordinator.settle import ledger
from coordinator.store import accounts, callbacks, idempotency, limits, money, parked, submitting
from coordinator.store.engine import Connection, Engine
from coordinator.store.limits import Used
from coordinator.store.money import Changes
from coordinator.store.quick import quick, quick_begin
from coordinator.store.rows import NewJob
from coordinator.submit.admission import Jobs, admit, charged, grown, hold_of, id_of, is_limited
from coordinator.submit.callback import Callback
from coordinator.submit.seen import Seen
from shared.errors import Conflict, HiveError

GROUP: Final = 64
GROUP_BYTES: Final = 16 * 2**20
"""Requests with images are large: so much of them goes into one statement, or one submission that is larger."""

LATE: Final = timedelta(hours=1)
"""How long after its jobs' deadline a callback is due, should nobody have noted their end."""
Answer = UUID | Exception
"""The id of the job that stands for a submission, or why there is none."""


class _OvertakenError(Exception):
    """Another transaction took the room that this one had seen: nothing of it holds."""


class _Waiting(msgspec.Struct):
    jobs: Jobs
    answer: asyncio.Future[UUID]

    @property
    def first(self) -> NewJob:
        return self.jobs[0]


class Writer:
    """Takes submissions from any number of tasks; `run` writes them. A submission is accepted when `submit` returns; what is
    `seen` of the keys' limits is left for others to read."""

    def __init__(self, engine: Engine) -> None:
        self.seen = Seen()
        self._engine = engine
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._tight: set[UUID] = set()

    async def submit(self, *jobs: NewJob) -> UUID:
        """Makes a job, or all children of one parent, with their holds: durable when this returns, or none of them.

        Returns the job's (the parent's) id, or that of the earlier one for which the idempotency key stands; raises
        Forbidden, BudgetExceeded, RateLimited, Conflict, or Away: then the jobs may or may not be there.
        """
        waiting = _Waiting(jobs, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def run(self) -> None:
        """Writes for ever, each group as soon as the one before is committed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self.one_round()

    async def one_round(self) -> int:
        """Writes one group; returns how many submissions it answered. A group that fails fails for its members only."""
        group = _next_group(self._waiting)
        try:
            answers = await self._write([w.jobs for w in group], looking=self._is_tight(group))
        except Exception as e:  # noqa: BLE001  # it is raised again, in each task that waits for this group
            answers = [e] * len(group)
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, UUID):
                waiting.answer.set_result(answer)
            else:
                waiting.answer.set_exception(answer)
        self._learn(group, answers)
        return len(group)

    async def _write(self, new: Sequence[Jobs], *, looking: bool) -> list[Answer]:
        """Writes a group as if all of it fitted, or after `looking` what does; if it was overtaken after that, each of its
        submissions on its own until it fits or is seen not to."""
        while True:
            try:
                return await self._tried(new, looking=looking)
            except _OvertakenError:
                if looking and len(new) > 1:
                    return [answer for jobs in new for answer in await self._write([jobs], looking=True)]
                looking = True

    async def _tried(self, new: Sequence[Jobs], *, looking: bool) -> list[Answer]:
        """One transaction; most often there is nothing to look up, and a single statement needs none around it."""
        if looking or any(map(_takes_more, new)):
            async with quick_begin(self._engine) as conn:
                answers, used = await _write_in(conn, new, looking=looking)
            for key_id, marks in used.items():
                self.seen.note(key_id, marks)
            return answers
        async with quick(self._engine) as conn:
            await _keep(conn, new)
        return [id_of(jobs) for jobs in new]

    def _is_tight(self, group: list[_Waiting]) -> bool:
        """Whether an account's room has to be looked at before it is written for, because the last time it was none."""
        return any(waiting.first.account_id in self._tight for waiting in group)

    def _learn(self, group: list[_Waiting], answers: list[Answer]) -> None:
        refused = {w.first.account_id for w, a in zip(group, answers, strict=True) if isinstance(a, HiveError)}
        self._tight -= {waiting.first.account_id for waiting in group}
        self._tight |= refused


def _next_group(waiting: deque[_Waiting]) -> list[_Waiting]:
    """The first submissions, some GROUP jobs or GROUP_BYTES of them, and no two under one idempotency key: the second waits
    its turn."""
    group: list[_Waiting] = []
    keys: set[tuple[UUID, str]] = set()
    size = 0
    while waiting and sum(len(one.jobs) for one in group) < GROUP and size < GROUP_BYTES:
        if waiting[0].answer.cancelled():
            waiting.popleft()
            continue
        job = waiting[0].first
        if job.idempotency_key is not None:
            key = (job.account_id, job.idempotency_key)
            if key in keys:
                break
            keys.add(key)
        size += sum(len(one.request) for one in waiting[0].jobs)
        group.append(waiting.popleft())
    return group


def _takes_more(jobs: Jobs) -> bool:
    """Whether a submission touches more than its own rows and those of money."""
    first = jobs[0]
    keyed, called_back = first.idempotency_key is not None, first.callback is not None
    return keyed or called_back or first.recharging or is_limited(jobs) or first.limits.at_once is not None


async def _write_in(conn: Connection, new: Sequence[Jobs], *, looking: bool) -> tuple[list[Answer], Used]:
    """The answers to these submissions, and how far that uses up the limits of their keys. Rows are locked in this order:
    idempotency keys, limits, accounts, their keys."""
    at = max(jobs[0].created_at for jobs in new)
    known = await _known(conn, new)
    fresh = [jobs for jobs in new if id_of(jobs) not in known]
    refused, used = await _looked(conn, fresh, at) if looking else ({}, {})
    admitted = [jobs for jobs in fresh if id_of(jobs) not in refused]
    if admitted:
        await _reserve(conn, admitted)
        used |= await _charge(conn, admitted, at)
        await _recharge(conn, admitted, at)
        await _call_back(conn, admitted)
        await _keep(conn, admitted)
        await parked.promote(conn, {jobs[0].key_id for jobs in admitted if jobs[0].limits.at_once is not None}, at)
    return [known.get(id_) or refused.get(id_) or id_ for id_ in map(id_of, new)], used


async def _looked(conn: Connection, new: Sequence[Jobs], at: datetime) -> tuple[dict[UUID, HiveError], Used]:
    """What is seen not to fit, and how far the limits of the keys are used up."""
    rows = {(key_id, charge.what) for key_id, charge in charged(new, at)}
    used = await limits.open_rows(conn, rows) if rows else {}
    room = await money.read_room(conn, [jobs[0].account_id for jobs in new], [jobs[0].key_id for jobs in new])
    if growing := {jobs[0].key_id for jobs in new if jobs[0].recharging}:
        room = grown(room, await accounts.read_growth(conn, growing, at.astimezone(UTC).date()))
    return admit(new, room, used, at), used


async def _charge(conn: Connection, new: Sequence[Jobs], at: datetime) -> Used:
    """Takes these submissions out of the limits of their keys."""
    taking = charged(new, at)
    used = await limits.charge(conn, taking) if taking else {}
    if sum(map(len, used.values())) < len(taking):
        raise _OvertakenError
    return used


async def _recharge(conn: Connection, new: Sequence[Jobs], at: datetime) -> None:
    """Lets the budgets grow that these submissions would overdraw or leave too small."""
    growing = _sums((jobs[0].key_id, hold_of(jobs)) for jobs in new if jobs[0].recharging)
    if growing:
        await accounts.recharge(conn, growing, [jobs[0].account_id for jobs in new], at.astimezone(UTC).date())


async def _known(conn: Connection, new: Sequence[Jobs]) -> dict[UUID, Answer]:
    """The answers for submissions whose idempotency key stands for an earlier one."""
    keyed = {(jobs[0].account_id, key): jobs for jobs in new if (key := jobs[0].idempotency_key) is not None}
    if not keyed:
        return {}
    found = await idempotency.read(conn, list(keyed), min(jobs[0].created_at for jobs in keyed.values()) - IDEMPOTENCY)
    same = {
        id_of(keyed[key]): (known.job_id, known.body_hash == keyed[key][0].body_hash) for key, known in found.items()
    }
    return {id_: earlier if equal else _conflict() for id_, (earlier, equal) in same.items()}


async def _reserve(conn: Connection, new: Sequence[Jobs]) -> None:
    """Takes the idempotency keys of these submissions for them."""
    keyed = [(id_of(jobs), jobs[0]) for jobs in new if jobs[0].idempotency_key is not None]
    if keyed and await idempotency.take(conn, keyed, IDEMPOTENCY) < len(keyed):
        raise _OvertakenError


async def _call_back(conn: Connection, new: Sequence[Jobs]) -> None:
    """Keeps whom the ends of these submissions are to be told."""
    if made := [_callback(jobs, called) for jobs in new if (called := jobs[0].callback) is not None]:
        await callbacks.insert(conn, made)


def _callback(jobs: Jobs, callback: Callback) -> callbacks.NewCallback:
    return callbacks.NewCallback(
        id=id_of(jobs), account_id=jobs[0].account_id, callback=callback, jobs=len(jobs),
        created_at=jobs[0].created_at, late_at=jobs[0].deadline_at + LATE,
    )  # fmt: skip


async def _keep(conn: Connection, groups: Sequence[Jobs]) -> None:
    """Writes jobs and takes their holds out of the guarded rows."""
    new = [job for jobs in groups for job in jobs]
    holds = [entry for job in new for entry in ledger.hold(job.id, job.account_id, job.hold)]
    paying, keys = _holds((j.account_id, j.hold) for j in new), _holds((j.key_id, j.hold) for j in new)
    if not await submitting.submit(conn, new, holds, paying, keys, max(job.created_at for job in new)):
        raise _OvertakenError


def _holds(parts: Iterable[tuple[UUID, int]]) -> Changes:
    return {owner: (amount, 0) for owner, amount in _sums(parts).items()}


def _sums(parts: Iterable[tuple[UUID, int]]) -> dict[UUID, int]:
    sums: dict[UUID, int] = {}
    for owner, amount in parts:
        sums[owner] = sums.get(owner, 0) + amount
    return sums


def _conflict() -> HiveError:
    return Conflict("This idempotency key was used for another body.", code="idempotency_conflict")
