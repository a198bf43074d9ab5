"""A job that lost a worker in mid-answer, in the books: what tests of lost shares start from."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from nacl.signing import SigningKey
from sqlalchemy import event

from coordinator.queue import moves
from coordinator.queue.lifecycle import State
from coordinator.queue.limits import LEASE
from coordinator.queue.moves import Reports
from coordinator.settle import credit, unsigned
from coordinator.settle.partial import Delivered, Made
from coordinator.settle.split import split
from coordinator.store import earnings
from coordinator.store.earnings import Sums
from coordinator.store.engine import Engine
from coordinator.verify.shares import Answer
from shared.crypto import chain_start, public_key
from shared.receipt import ShareReceipt, share_of, sign_share
from tests.postgres.made import HOLD, NOW, OTHER, Shop, complete, result
from tests.support_books import faults_in

KEY, COORDINATOR = SigningKey(b"a" * 32), SigningKey(b"c" * 32)
LOST = public_key(KEY)
COST = HOLD * 4 // 10
HOUR = timedelta(hours=1)
FIRST = list(range(40))
WHOLE = split(COST)


def gone_out(id_: UUID, attempt: int = 1, offset: int = 0, ids: list[int] = FIRST, worker: str = LOST) -> ShareReceipt:
    """What the coordinator notes of a lost attempt."""
    nothing = ShareReceipt(
        1, str(id_), attempt, "00" * 32, "", "hive-sampler-1", "00" * 32, "00" * 32,
        chain_start(str(id_), attempt).hex(), offset, 0, "seeded", worker,
    )  # fmt: skip
    return share_of(nothing, ids)


def signed(share: ShareReceipt, **different: Any) -> tuple[ShareReceipt, str]:
    """What its worker says of it."""
    said = msgspec.structs.replace(share, engine_build="b1", **different)
    return said, sign_share(KEY, said)


async def lose(shop: Shop, id_: UUID, share: ShareReceipt, worker: str = LOST) -> State:
    """The worker of an attempt is lost, of which that much went out."""
    told = [(id_, share.attempt, worker, "the worker went away")]
    made = Made(share.attempt, worker, share.offset + share.tokens_out, share.tokens_out)
    async with shop.engine.begin() as conn:
        reported = await moves.apply(conn, Reports(lost=told, delivered=delivered(id_, made, share)), NOW)
    return reported.states[id_]


def delivered(id_: UUID, made: Made, share: ShareReceipt | None = None) -> Delivered:
    """What a coordinator knows of a job."""
    return Delivered({id_: made}, {}, {} if share is None else {id_: share})


async def handed_over(shop: Shop, own: int = 10, **different: Any) -> UUID:
    """A job of which the lost worker made 40 tokens and another the rest; it has ended."""
    (id_,) = await shop.submit(shop.job(**different))
    await shop.assigned(LOST)
    assert await lose(shop, id_, gone_out(id_)) is State.PENDING
    await shop.assigned(OTHER, NOW + LEASE)
    async with shop.engine.begin() as conn:
        done = result(id_, 2, OTHER, share=(own, 40 + own), tokens_out=40 + own)
        assert [one.verdict for one in await complete(conn, [done], NOW)] == ["accepted"]
    return id_


async def sign(engine: Engine, id_: UUID, now: datetime = NOW + HOUR, **different: Any) -> Answer:
    """The worker of the job's first attempt signs for what it made."""
    share, signature = signed(gone_out(id_), **different)
    async with engine.begin() as conn:
        return (await unsigned.sign(conn, id_, share, signature, COORDINATOR, now))[0]


async def sums(engine: Engine, worker: str = LOST) -> Sums:
    """A worker's sums, in books that hold."""
    async with engine.connect() as conn:
        assert await faults_in(conn) == []
        return (await earnings.sums(conn, [worker], (NOW + HOUR).date()))[worker]


async def mature(engine: Engine) -> int:
    """Makes ready what was earned until two hours later; how many payables."""
    async with engine.begin() as conn:
        return await credit.mature(conn, 0, NOW + 2 * HOUR, NOW + 2 * HOUR)


@contextmanager
def killed_at(engine: Engine, number: int) -> Iterator[list[str]]:
    """The connection goes away as the statement with this number is about to be sent."""
    seen: list[str] = []

    def count(_conn: Any, _cursor: Any, said: str, *_: Any) -> None:
        seen.append(said)
        if len(seen) == number:
            raise ConnectionResetError("killed")

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", count)
