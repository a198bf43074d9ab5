"""What explains one job costs the same however many wait."""

import pytest
from sqlalchemy import text

from coordinator.store import waiting
from coordinator.store.engine import Engine
from shared.ids import day_of
from tests.postgres.made import open_shop
from tests.postgres.test_plans import fill, nodes, plan_of, walks
from tests.postgres.test_plans_of_workers import FORGET

STATEMENTS = {"places": waiting.PLACES, "tries": waiting.TRIES}


@pytest.mark.parametrize("full", [False, True])
async def test_no_explanation_walks_through_the_jobs(engine: Engine, full: bool) -> None:
    shop = await open_shop(engine)
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
    if full:
        await fill(shop, 5000)
        async with engine.begin() as conn:
            await conn.execute(text("ANALYZE jobs"))
    async with engine.connect() as conn:
        found = {name: walks(await plan_of(conn, statement)) for name, statement in STATEMENTS.items()}
    assert found == {name: [] for name in STATEMENTS}


async def test_jobs_that_go_first_are_counted_up_to_a_bound(engine: Engine) -> None:
    shop = await open_shop(engine)
    first, second = await shop.submit(shop.job(), shop.job())
    async with engine.connect() as conn:
        before = await waiting.places(conn, [first, second])
    await fill(shop, 4000)  # each of them goes before
    async with engine.connect() as conn:
        after = await waiting.places(conn, [second])
        values = waiting._ids.bind([(day_of(second), second)])
        scans = [node for node in await nodes(conn, waiting.PLACES, values) if node.get("Relation Name") == "jobs"]
    assert {before[first].ahead, before[second].ahead} <= {0, 1}
    assert after[second].ahead == waiting.COUNTED
    assert sum(node["Actual Rows"] for node in scans) <= waiting.COUNTED + 1
