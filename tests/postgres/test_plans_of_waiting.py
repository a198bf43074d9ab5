"""What explains one job costs the same however many wait."""

import pytest
from sqlalchemy import text

from coordinator.store import waiting
from coordinator.store.engine import Engine
from shared.ids import day_of
from tests.postgres.made import FORGET, open_shop
from tests.postgres.test_plans import fill, nodes, walked

STATEMENTS = {"places": waiting.PLACES, "tries": waiting.TRIES}


@pytest.mark.parametrize("full", [False, True])
async def test_no_explanation_walks_through_the_jobs(engine: Engine, full: bool) -> None:
    assert await walked(engine, STATEMENTS, full=full) == {name: [] for name in STATEMENTS}


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


@pytest.mark.parametrize("analysed", [False, True])
async def test_what_waits_is_counted_by_the_indexes_of_what_waits(engine: Engine, analysed: bool) -> None:
    shop = await open_shop(engine)
    await fill(shop, 3000)
    parked = "UPDATE jobs SET parked = true, at_once = 1 WHERE tag > 500 AND tag <= 3000 AND kind_id = :kind"
    running = (
        "UPDATE jobs SET state = 'assigned', worker_pk = 'w', lease_until = now() WHERE tag <= 200 AND kind_id = :kind"
    )
    async with engine.begin() as conn:
        await conn.execute(text(FORGET))
        await conn.execute(text(parked), {"kind": shop.kind.id})
        await conn.execute(text(running), {"kind": shop.kind.id})
        if analysed:
            await conn.execute(text("ANALYZE jobs"))
    async with engine.connect() as conn:
        found = {(lane.priority, lane.parked): lane.jobs for lane in await waiting.lanes(conn)}
        scans = [node for node in await nodes(conn, waiting.LANES, {}) if node.get("Relation Name") == "jobs"]
    assert found[("batch", False)] >= 300
    assert found[("batch", True)] >= 2500
    assert {node["Index Name"] for node in scans} == {"jobs_ready", "jobs_parked"}
