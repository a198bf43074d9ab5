"""A worker that knows several coordinators of a fleet: it goes to the next where one is out of reach, and to no stranger."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from shared.processes import free_port
from shared.protocol.messages import CloseCode, Drain
from tests.machine.coordinator_double import ROME, Coordinator, clock, coordinator
from worker.daemon import Daemon
from worker.hardware import hardware
from worker.identity import identity
from worker.known import pinned_key
from worker.link import LinkRefusedError
from worker.settings import SettingsError, settings

NOBODY = "http://127.0.0.1:{}"


def made(home: Path, *urls: str, **flags: str) -> Daemon:
    """A worker without a model that knows these coordinators, not yet running."""
    first, *others = urls
    given = {"cell": ROME, "coordinator": first, "elsewhere": others, "log_level": "error", **flags}
    who = identity(home, now=clock(), entropy=os.urandom(32))
    return Daemon(home, settings(home, {}, given), who, [], clock=clock, probe=hardware([]))


@asynccontextmanager
async def working(daemon: Daemon) -> AsyncIterator[None]:
    """Runs it inside the block."""
    running = asyncio.create_task(daemon.run())
    try:
        yield
    finally:
        daemon.stop()
        daemon.stop()
        await running


def host_of(it: Coordinator) -> str:
    return it.url.removeprefix("http://")


async def test_a_coordinator_that_is_killed_or_drains_is_followed_by_the_next(tmp_path: Path) -> None:
    key = SigningKey.generate()
    nobody = NOBODY.format(free_port())
    async with coordinator(key) as one, coordinator(key) as other:
        async with working(made(tmp_path, nobody, one.url, other.url)):
            first = await one.hellos.get()
            one.cut()
            assert (await other.hellos.get()).worker_pk == first.worker_pk
            await other.say(Drain(50))
            other.cut()
            await one.hellos.get()
        assert {pinned_key(tmp_path, host_of(it)) for it in (one, other)} == {bytes(key.verify_key).hex()}


async def test_one_that_stays_away_is_not_waited_for_longer_and_longer(tmp_path: Path) -> None:
    async with coordinator() as it, working(made(tmp_path, it.url, *(NOBODY.format(free_port()) for _ in range(3)))):
        for _ in range(3):
            await it.hellos.get()
            it.cut()


async def test_a_stranger_among_them_is_not_joined(tmp_path: Path) -> None:
    async with coordinator() as it, coordinator() as stranger:
        running = asyncio.create_task(made(tmp_path, it.url, stranger.url).run())
        await it.hellos.get()
        it.refuse = CloseCode.OVERLOAD, "no more"
        it.cut()
        with pytest.raises(LinkRefusedError, match="not the one expected"):
            await running
    assert stranger.hellos.empty()
    assert pinned_key(tmp_path, host_of(stranger)) is None


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ftp://x is no address of a coordinator"):
        made(tmp_path, "http://127.0.0.1:1", "ftp://x")
