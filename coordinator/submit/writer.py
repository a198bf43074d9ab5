"""Accepts jobs in groups: one transaction makes up to 64 of them, with their holds: a commit serves many clients."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from coordinator.queue.limits import IDEMPOTENCY
from coordinator.settle import ledger
from coordinator.store import idempotency, money, submitting
from coordinator.store.engine import Connection, Engine, alone
from coordinator.store.money import Changes, Room
from coordinator.store.rows import NewJob
from shared.errors import BudgetExceeded, Conflict, Forbidden, HiveError

GROUP: Final = 64
Answer = UUID | Exception
"""The id of the job that stands for a submission, or why there is none."""


class _OvertakenError(Exception):
    """Another transaction took the room that this one had seen: nothing of it holds."""


class _Waiting(msgspec.Struct):
    job: NewJob
    answer: asyncio.Future[UUID]


class Writer:
    """Takes submissions from any number of tasks; `run` writes them. A submission is accepted when `submit` returns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._tight: set[UUID] = set()

    async def submit(self, job: NewJob) -> UUID:
        """Makes the job and its hold, durable when this returns.

        Returns its id, or that of the earlier job for which its idempotency key stands; raises Forbidden,
        BudgetExceeded, Conflict, or Away: then the job may or may not be there.
        """
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
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
            answers = await _write(self._engine, [w.job for w in group], looking=self._is_tight(group))
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

    def _is_tight(self, group: list[_Waiting]) -> bool:
        """Whether an account's room has to be looked at before it is written for, because the last time it was none."""
        return any(waiting.job.account_id in self._tight for waiting in group)

    def _learn(self, group: list[_Waiting], answers: list[Answer]) -> None:
        refused = {w.job.account_id for w, a in zip(group, answers, strict=True) if isinstance(a, HiveError)}
        self._tight -= {waiting.job.account_id for waiting in group}
        self._tight |= refused


def admit(new: Sequence[NewJob], room: Room) -> dict[UUID, HiveError]:
    """Which of these jobs do not fit into what their account and key may still hold, in the order of their coming."""
    left, budgets = dict(room.accounts), dict(room.keys)
    refused: dict[UUID, HiveError] = {}
    for job in new:
        if job.hold > left.get(job.account_id, 0):
            refused[job.id] = _no_balance()
        elif job.hold > budgets.get(job.key_id, job.hold):
            refused[job.id] = _no_budget()
        else:
            left[job.account_id] = left.get(job.account_id, 0) - job.hold
            if job.key_id in budgets:
                budgets[job.key_id] -= job.hold
    return refused


def _next_group(waiting: deque[_Waiting]) -> list[_Waiting]:
    """The first submissions, at most GROUP and no two of them under one idempotency key: the second waits its turn."""
    group: list[_Waiting] = []
    keys: set[tuple[UUID, str]] = set()
    while waiting and len(group) < GROUP:
        if waiting[0].answer.cancelled():
            waiting.popleft()
            continue
        job = waiting[0].job
        if job.idempotency_key is not None:
            key = (job.account_id, job.idempotency_key)
            if key in keys:
                break
            keys.add(key)
        group.append(waiting.popleft())
    return group


async def _write(engine: Engine, new: Sequence[NewJob], *, looking: bool) -> list[Answer]:
    """Writes a group as if all of it fitted, or after `looking` what does; if it was overtaken after that, each of its
    jobs on its own until it fits or is seen not to."""
    while True:
        try:
            return await _tried(engine, new, looking=looking)
        except _OvertakenError:
            if looking and len(new) > 1:
                return [answer for job in new for answer in await _write(engine, [job], looking=True)]
            looking = True


async def _tried(engine: Engine, new: Sequence[NewJob], *, looking: bool) -> list[Answer]:
    """One transaction; most often there is nothing to look up, and a single statement needs none around it."""
    if looking or any(job.idempotency_key is not None for job in new):
        async with engine.begin() as conn:
            return await _write_in(conn, new, looking=looking)
    async with alone(engine) as conn:
        await _keep(conn, new)
    return [job.id for job in new]


async def _write_in(conn: Connection, new: Sequence[NewJob], *, looking: bool) -> list[Answer]:
    known = await _known(conn, new)
    fresh = [job for job in new if job.id not in known]
    refused = admit(fresh, await _room(conn, fresh)) if looking else {}
    admitted = [job for job in fresh if job.id not in refused]
    if admitted:
        await _reserve(conn, admitted)
        await _keep(conn, admitted)
    return [known.get(job.id) or refused.get(job.id) or job.id for job in new]


async def _room(conn: Connection, new: Sequence[NewJob]) -> Room:
    return await money.read_room(conn, [job.account_id for job in new], [job.key_id for job in new])


async def _known(conn: Connection, new: Sequence[NewJob]) -> dict[UUID, Answer]:
    """The answers for submissions whose idempotency key stands for an earlier job."""
    keyed = {(job.account_id, job.idempotency_key): job for job in new if job.idempotency_key is not None}
    if not keyed:
        return {}
    found = await idempotency.read(conn, list(keyed), min(job.created_at for job in keyed.values()) - IDEMPOTENCY)
    same = {keyed[key].id: (known.job_id, known.body_hash == keyed[key].body_hash) for key, known in found.items()}
    return {id_: earlier if equal else _conflict() for id_, (earlier, equal) in same.items()}


async def _reserve(conn: Connection, new: Sequence[NewJob]) -> None:
    """Takes the idempotency keys of these jobs for them."""
    keyed = [job for job in new if job.idempotency_key is not None]
    if keyed and await idempotency.take(conn, keyed, IDEMPOTENCY) < len(keyed):
        raise _OvertakenError


async def _keep(conn: Connection, new: Sequence[NewJob]) -> None:
    """Writes jobs and takes their holds out of the guarded rows."""
    holds = [entry for job in new for entry in ledger.hold(job.id, job.account_id, job.hold)]
    accounts, keys = _holds((j.account_id, j.hold) for j in new), _holds((j.key_id, j.hold) for j in new)
    if not await submitting.submit(conn, new, holds, accounts, keys, max(job.created_at for job in new)):
        raise _OvertakenError


def _holds(parts: Iterable[tuple[UUID, int]]) -> Changes:
    sums: Changes = {}
    for owner, amount in parts:
        sums[owner] = (sums.get(owner, (0, 0))[0] + amount, 0)
    return sums


def _no_balance() -> HiveError:
    return Forbidden("The account's balance does not cover what this job may cost.", code="insufficient_balance")


def _no_budget() -> HiveError:
    return BudgetExceeded("This key's budget does not cover what this job may cost.")


def _conflict() -> HiveError:
    return Conflict("This idempotency key was used for another body.", code="idempotency_conflict")
