"""Web servers that stop when they are told to: uvicorn looks ten times a second whether it is to stop, whether its
connections have closed and whether its requests are answered, and each test that has servers would wait for several such
looks. What they do is the same, only sooner."""

import asyncio
from asyncio import sleep
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from uvicorn import server

PACE: Final = 0.05
"""How much sooner than uvicorn wants it is looked."""


async def _sooner(seconds: float) -> None:
    await sleep(seconds * PACE)


@pytest.fixture(scope="session", autouse=True)
def servers_stop_at_once() -> Iterator[None]:
    """For all servers of this process."""
    with pytest.MonkeyPatch.context() as patch:
        theirs: Any = SimpleNamespace(**vars(asyncio) | {"sleep": _sooner})
        patch.setattr(server, "asyncio", theirs)
        yield
