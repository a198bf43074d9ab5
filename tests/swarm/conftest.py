"""The fixture `swarm`: a whole real coordinator on a database of its own, and scripted workers in three cities."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.store.engine import Engine
from tests.swarm.whole import Swarm, coordinating


@pytest.fixture
async def swarm(engine: Engine, database_url: str, tmp_path: Path) -> AsyncIterator[Swarm]:
    """A coordinator with an enterprise key, and workers in Rome, Berlin and New York that are free and honest."""
    async with coordinating(database_url, tmp_path) as made, made.three_cities():
        yield made
