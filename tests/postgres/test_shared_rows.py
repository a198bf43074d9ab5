"""Jobs of other accounts on other workers end at once: no row is written by all of them."""

import contextlib

import pytest
from sqlalchemy import text

from coordinator.store import views
from coordinator.store.ended import PARTS
from coordinator.store.engine import Connection, Engine
from tests.postgres.made import NOW, OTHER, WORKER, complete, open_shop, result


async def _apart(stack: contextlib.AsyncExitStack, engine: Engine) -> tuple[Connection, Connection]:
    """Two connections that add to other parts of the day's sums."""
    first = await stack.enter_async_context(engine.connect())
    part = (await first.scalar(text("SELECT pg_backend_pid()"))) % PARTS
    while True:
        other = await stack.enter_async_context(engine.connect())
        if (await other.scalar(text("SELECT pg_backend_pid()"))) % PARTS != part:
            return first, other


@pytest.mark.parametrize("order", [1, -1])
async def test_two_ends_do_not_wait_for_each_other(engine: Engine, order: int) -> None:
    ends = []
    for worker in (WORKER, OTHER):
        shop = await open_shop(engine)
        (id_,) = await shop.submit(shop.job())
        await shop.assigned(worker)
        ends.append(result(id_, 1, worker))
    async with contextlib.AsyncExitStack() as stack:
        first, second = await _apart(stack, engine)
        await second.execute(text("SET LOCAL lock_timeout = '2s'"))
        assert len(await complete(first, ends[::order][:1], NOW)) == 1
        assert len(await complete(second, ends[::order][1:], NOW)) == 1
        await second.commit()
        await first.commit()
    async with engine.connect() as conn:
        numbers = await views.status_numbers(conn)
    assert (numbers.completed, numbers.tokens_in, numbers.tokens_out) == (2, 20, 6)
