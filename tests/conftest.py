"""What holds for the whole suite: the one PostgreSQL server that all test processes share, and logs as each test found them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog
from hypothesis import settings

from tests.support_postgres import database_url, engine, postgres_server
from tests.support_servers import servers_stop_at_once

# How long an example takes says what else runs on the machine; a test as a whole has its time limit.
settings.register_profile("hive", deadline=None)
settings.load_profile("hive")

__all__ = ["database_url", "engine", "postgres_server", "servers_stop_at_once"]

FOLDERS: Final = ("clients", "machine", "swarm", "web", "postgres", "house", "pure")
"""What waits for other processes is begun first: at the end of a run on several processes none waits long for the last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files keep together, in the order of their folders."""
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(Path(__file__).parent).parts[0]))


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that a test runs in its own process sets the logs of that process: for this test alone."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
