"""What the way to PostgreSQL promises beside statements: nothing of a row in an exception, no endless waiting."""

import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from coordinator.store import engine as store_engine
from coordinator.store.engine import Away, Engine, connect
from tests.postgres.made import NOW

SECRET = "a prompt that nobody may read in a log"


async def test_an_exception_does_not_quote_the_row_that_was_refused(engine: Engine) -> None:
    wrong = text("INSERT INTO workers (pk, handle, cell, capabilities, countries, first_seen, last_seen, tier)"
                 " VALUES ('x', :handle, 1, '', '{}', :now, :now, 9)")  # fmt: skip
    with pytest.raises(IntegrityError) as refused:
        async with engine.begin() as conn:
            await conn.execute(wrong, {"handle": SECRET, "now": NOW})
    told = "".join(traceback.format_exception(refused.value))
    assert "workers_rungs" in told
    assert SECRET not in told


async def test_a_pool_without_a_free_connection_is_a_database_that_is_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_engine, "POOL_SIZE", 1)
    monkeypatch.setattr(store_engine, "POOL_TIMEOUT_S", 0.05)
    narrow = connect(engine.url.render_as_string(hide_password=False))
    try:
        async with narrow.connect():
            with pytest.raises(Away):
                async with narrow.connect():
                    pytest.fail("there is no second connection")
    finally:
        await narrow.dispose()
