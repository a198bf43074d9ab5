"""The batch lane alone, for tests: a real database and the face's own intake; a test says when a round is, what the time
is, and what the workers do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
from nacl.signing import SigningKey
from sqlalchemy import event, text

from coordinator.api.face import Face
from coordinator.api.keys import key_hash
from coordinator.batch import rounds
from coordinator.dispatch.relay import Relay
from coordinator.queue import moves
from coordinator.queue.moves import Reports
from coordinator.settings import Secrets, Settings
from coordinator.store import accounts, batch_lines, batches, files
from coordinator.store.batches import BatchRow
from coordinator.store.callers import KeyRow
from coordinator.store.engine import Engine, connect
from coordinator.store.files import CHUNK, FileRow
from coordinator.store.rows import Ask
from tests.postgres.made import WORKER, assign_all, result
from tests.swarm.batching import CHAT, ENDED, Json, jsonl
from tests.swarm.http_hive import Recording, TestHive, make_key, online

HOUR = timedelta(hours=1)


class KilledError(BaseException):
    """The coordinator is dead, as by kill -9: nothing of it goes on."""


class Death:
    """Lets a coordinator die at its nth word with the database: before a statement is sent, or before a commit."""

    def __init__(self, engine: Engine) -> None:
        self.left: int | None = None
        for name in ("before_cursor_execute", "commit"):
            event.listen(engine.sync_engine, name, self._count)

    def _count(self, *_: Any) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise KilledError


class Lane:
    """One account's batches, and the face behind them."""

    def __init__(self, engine: Engine, face: Face, hive: TestHive, key: KeyRow, death: Death) -> None:
        self.engine, self.face, self.hive, self.key, self.death = engine, face, hive, key, death
        self.says: Callable[[int], str] = lambda number: f"Answer {number}."

    async def file(self, data: bytes) -> UUID:
        """A file of these bytes."""
        now = self.hive.clock()
        row = FileRow(
            id=uuid4(), account_id=self.key.account_id, purpose="batch", filename="f", bytes=len(data), whole=True,
            created_at=now, expires_at=now + 48 * HOUR,
        )  # fmt: skip
        async with self.engine.begin() as conn:
            await files.insert(conn, row)
            for at in range(0, len(data), CHUNK):
                await files.write(conn, row.id, at, data[at : at + CHUNK])
        return row.id

    async def begin(self, data: bytes | Sequence[Json], endpoint: str = CHAT, **different: Any) -> BatchRow:
        """A batch of these lines, or bodies."""
        now = self.hive.clock()
        file = await self.file(data if isinstance(data, bytes) else jsonl(data, endpoint))
        usual = BatchRow(
            id=uuid4(), account_id=self.key.account_id, key_id=self.key.id, endpoint=endpoint, input_file=file,
            headers=b"{}", metadata=b"{}", output_seconds=3600, status="validating", created_at=now,
            expires_at=now + 24 * HOUR, feed_at=now, due_at=now,
        )  # fmt: skip
        row = msgspec.structs.replace(usual, **different)
        async with self.engine.begin() as conn:
            await batches.insert(conn, row)
        return row

    async def now(self, batch: BatchRow) -> BatchRow:
        """The batch as it stands."""
        async with self.engine.connect() as conn:
            found = await batches.get(conn, self.key.account_id, batch.id)
        assert found is not None
        return found

    async def rounds(self) -> None:
        """Rounds until no batch is due now."""
        while await rounds.one_round(self.face):
            pass

    def wait(self, time: timedelta) -> None:
        """Lets time pass."""
        self.hive.late += time

    async def worked(self, most: int = 1000) -> int:
        """The workers do up to so many of the jobs that wait; how many they did."""
        at = datetime.now(self.hive.clock().tzinfo) + self.hive.late
        async with self.engine.begin() as conn:
            kinds = (await conn.scalars(text("SELECT DISTINCT kind_id FROM jobs WHERE state = 'pending'"))).all()
            claimed = await moves.claim(conn, [Ask(kind_id=kind, limit=most) for kind in kinds], at)
            await assign_all(conn, claimed, WORKER, at)
            done = [
                result(one.id, one.attempt + 1, cost=0, text=self.says(number), tokens_out=3)
                for number, one in enumerate(claimed)
            ]
            await moves.apply(conn, Reports(finished=done), at)
        return len(done)

    async def finished(self, batch: BatchRow) -> BatchRow:
        """The batch at its end, with workers that do what waits."""
        for _ in range(500):
            found = await self.now(batch)
            if found.status in ENDED:
                return found
            await self.rounds()
            await self.worked()
            self.wait(timedelta(seconds=1))
        raise AssertionError(f"the batch is {found.status} for ever: {found}")

    async def lines(self, file: UUID | None) -> dict[str, Json]:
        """What a file says, by the lines' names; each is there once."""
        data = b""
        async with self.engine.connect() as conn:
            while file is not None and (more := await files.read(conn, file, len(data))):
                data += more
        told = [msgspec.json.decode(line) for line in data.splitlines()]
        by_name = {line["custom_id"]: line for line in told}
        assert len(by_name) == len(told), "a line is told of once"
        return by_name

    async def jobs(self) -> int:
        """How many jobs there are and were."""
        async with self.engine.connect() as conn:
            return int(
                await conn.scalar(text("SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM jobs_ended)")) or 0
            )

    async def untold(self, batch: BatchRow) -> int:
        """How many lines were read and are not told of."""
        async with self.engine.connect() as conn:
            return len(await batch_lines.untold(conn, batch.id))


@asynccontextmanager
async def lane(engine: Engine, database_url: str, folder: Path, **terms: Any) -> AsyncIterator[Lane]:
    """The batch lane of a coordinator, with a worker that is there and a key with these terms. What it says to the database
    goes over an engine of its own, which a test may let die; the writer's is another."""
    own = connect(database_url)
    secrets = Secrets(SigningKey.generate(), b"pepper" * 5, "hive-admin-test")
    hive = TestHive(own, Settings(state_dir=folder), secrets, Recording(engine))
    hive.join(online("rome"))

    async def cancel(job: UUID, reason: str) -> bool:
        async with engine.begin() as conn:
            return await moves.cancel(conn, job, reason, hive.clock()) is not None

    hive.relay = Relay(cancel)
    hashed = key_hash(await make_key(hive, **terms), secrets.pepper)
    async with own.connect() as conn:
        key = await accounts.find_key(conn, hashed)
    assert key is not None
    death = Death(own)
    writing = asyncio.create_task(hive.writer.real.run())
    try:
        yield Lane(engine, Face(hive), hive, key, death)
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await own.dispose()
