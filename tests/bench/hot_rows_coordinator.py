"""What one coordinator writes that is never without work: `python -m tests.bench.hot_rows_coordinator`, told on stdin for which
accounts and how long; prints how many jobs it has ended and how long their transactions took (ms)."""

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

import msgspec
import uvloop

from coordinator.queue import moves
from coordinator.queue.limits import LEASE
from coordinator.store.engine import Engine, connect
from coordinator.store.quick import quick, quick_begin
from coordinator.store.rows import Assignment, NewJob
from coordinator.submit.writer import Writer
from shared.ids import new_job_id
from tests.postgres.made import HOLD, result

CELL = "841e805ffffffff"


class Coordinator:
    """Submits groups of jobs, gives them away, and ends what it gave while it submits more."""

    def __init__(self, engine: Engine, told: dict[str, Any]) -> None:
        self._engine, self._told = engine, told
        self._writer = Writer(engine)
        self._owners = cycle((UUID(account), UUID(key)) for account, key in told["accounts"])
        self._given: asyncio.Queue[list[UUID]] = asyncio.Queue(2)
        self.ended = 0
        self.took: dict[str, list[float]] = {"submit": [], "end": []}

    async def run(self) -> None:
        """Works for so long."""
        writing = asyncio.create_task(self._writer.run())
        ending = asyncio.create_task(self._end())
        until = time.monotonic() + self._told["seconds"]
        while time.monotonic() < until:
            await self._given.put(await self._submit())
        await self._given.put([])
        await ending
        writing.cancel()

    async def _submit(self) -> list[UUID]:
        """A group of jobs that workers of this coordinator have."""
        now = datetime.now(UTC)
        jobs = [self._job(now) for _ in range(self._told["group"])]
        began = time.perf_counter()
        ids = list(await asyncio.gather(*map(self._writer.submit, jobs)))
        self.took["submit"].append(time.perf_counter() - began)
        gifts = [
            Assignment(id=id_, attempt_before=0, worker_pk=self._told["worker"], cell=CELL, price=1) for id_ in ids
        ]
        async with quick(self._engine) as conn:
            await moves.assign(conn, gifts, coordinator=self._told["worker"], now=now, lease_until=now + LEASE)
        return ids

    def _job(self, now: datetime) -> NewJob:
        account, key = next(self._owners)
        return NewJob(
            id=new_job_id(now, secrets.token_bytes(16)), account_id=account, key_id=key, kind_id=self._told["kind"],
            model="m", source="hive", priority="interactive", request=b'{"a": 1}', tokens_in=10, max_tokens=100, hold=HOLD,
            reward=None, seed="7", salt="00" * 32, deadline_at=now + timedelta(hours=24), created_at=now, store=False,
            attached=False, idempotency_key=None, body_hash="00",
        )  # fmt: skip

    async def _end(self) -> None:
        while ids := await self._given.get():
            done = [result(id_, 1, self._told["worker"]) for id_ in ids]
            began = time.perf_counter()
            async with quick_begin(self._engine) as conn:
                reported = await moves.apply(conn, moves.Reports(finished=done), datetime.now(UTC))
            self.took["end"].append(time.perf_counter() - began)
            self.ended += sum(outcome.verdict == "accepted" for outcome in reported.outcomes)


async def main() -> None:
    """Does what it is told."""
    told = msgspec.json.decode(sys.stdin.readline())
    engine = connect(told["url"])
    try:
        one = Coordinator(engine, told)
        await one.run()
    finally:
        await engine.dispose()
    took = {what: [1000 * each for each in all_] for what, all_ in one.took.items()}
    print(msgspec.json.encode({"ended": one.ended, **took}).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
