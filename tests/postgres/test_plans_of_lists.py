"""What callers read (a job, its history, a page of a list) is found by key, however many jobs and callers there are."""

import pytest

from coordinator.store import callbacks, receipts, responses, views
from coordinator.store.engine import Engine
from tests.postgres.made import NOW, open_shop
from tests.postgres.test_plans import fill, nodes, walked

STATEMENTS = {
    "jobs": str(views._LIST), "job": str(views._GET), "answers": str(views._CHILDREN), "events": str(views._EVENTS),
    "request": str(views._REQUEST), "same request": str(views._SAME_REQUEST), "receipt": str(receipts._GET),
    "response": str(responses._READ), "forget": str(responses._FORGET),
    "callbacks": str(callbacks._PAGE_OF), "callbacks of all": str(callbacks._PAGE_OF_ALL), "callback": str(callbacks._GET),
}  # fmt: skip


@pytest.mark.parametrize("full", [False, True])
async def test_no_list_walks_through_a_table(engine: Engine, full: bool) -> None:
    assert await walked(engine, STATEMENTS, full=full, tables="") == {name: [] for name in STATEMENTS}


async def test_a_page_of_jobs_reads_no_more_than_the_page(engine: Engine) -> None:
    """The first of each partition, beside it."""
    shop, other = await open_shop(engine), await open_shop(engine)
    await fill(shop, 5000)
    await fill(other, 5000)
    values = {
        "account_id": shop.account, "states": ["pending"], "before": NOW.replace(year=9999), "before_id": shop.account,
        "most": 20,
    }  # fmt: skip
    async with engine.connect() as conn:
        scans = [node for node in await nodes(conn, str(views._LIST), values) if "Relation Name" in node]
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in scans if node["Relation Name"].startswith("jobs"))
    assert 20 <= read <= 20 + len(scans)
