"""The fixtures `swarm` and `lasting`: a whole real coordinator on a database of its own, and scripted workers in three cities;
and `floor`: dispatch alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from coordinator.store.engine import Engine
from tests.support_postgres import emptied
from tests.swarm.floor import Floor, opened
from tests.swarm.whole import Swarm, coordinating


@pytest.fixture
async def swarm(engine: Engine, database_url: str, tmp_path: Path) -> AsyncIterator[Swarm]:
    """A coordinator with an enterprise key, and workers in Rome, Berlin and New York that are free and honest."""
    async with coordinating(database_url, tmp_path) as made, made.three_cities():
        yield made


@pytest.fixture
async def floor(engine: Engine) -> AsyncIterator[Floor]:
    """The dispatch of a coordinator, without HTTP and without workers."""
    async with opened(engine) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Swarm]:
    """The same for all tests of a module, which must not mind what the others leave there. They run in its event loop, by
    `pytestmark = pytest.mark.asyncio(loop_scope="module")`, and none of them asks for an empty database."""
    folder = tmp_path_factory.mktemp("swarm")
    async with emptied(database_url), coordinating(database_url, folder) as made, made.three_cities():
        yield made
