"""What holds for the whole suite: the one PostgreSQL server that all test processes share, and logs as each test found them."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.support_postgres import database_url, engine, postgres_server

# How long an example takes says what else runs on the machine; a test as a whole has its time limit.
settings.register_profile("hive", deadline=None)
settings.load_profile("hive")

__all__ = ["database_url", "engine", "postgres_server"]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that a test runs in its own process sets the logs of that process: for this test alone."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
