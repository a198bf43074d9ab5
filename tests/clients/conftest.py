"""The clients' packages, and the stage that a scenario plays on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.store.engine import Engine
from tests.clients import programs
from tests.clients.stage import Stage, staged


@pytest.fixture(scope="session")
def installed() -> None:
    """The SDKs are there."""
    programs.install()


@pytest.fixture
async def stage(installed: None, engine: Engine, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """A coordinator of its own with one scripted worker."""
    async with staged(database_url, tmp_path / "state") as made:
        yield made
