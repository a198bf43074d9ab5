"""Brings a database to the newest version of the tables and makes its first partitions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection as SyncConnection

import migrations
from coordinator.store.engine import connect
from coordinator.store.partitions import make_partitions

_LOCK: Final = 1212765782
"""Any number will do, but every coordinator takes the same: they migrate one after the other."""


async def migrate(url: str) -> None:
    """Migrates the database at `url` to the newest version; several callers at once wait for one another."""
    engine = connect(url)
    try:
        async with engine.begin() as conn:
            await conn.execute(text("SET LOCAL statement_timeout = 0"))
            await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await conn.run_sync(_upgrade)
            await make_partitions(conn, datetime.now(UTC).date())
    finally:
        await engine.dispose()


def _upgrade(conn: SyncConnection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
