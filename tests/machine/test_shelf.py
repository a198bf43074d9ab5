"""The models of a running worker with real engines: what is wanted, let go, replaced, and what a stop ends."""

import asyncio
import os
import select
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.crypto import Context, sign
from shared.protocol.messages import Decline, Done, Inventory, Offer, Wanted
from tests.machine.coordinator_double import JOB, ROME, body, clock, coordinator, local_model, model_file
from tests.machine.test_worker_daemon import made
from worker.daemon import Daemon
from worker.demand import Demand
from worker.engine.process import Engine, EngineError
from worker.engine.wire import Loaded
from worker.hardware import hardware
from worker.identity import identity
from worker.models import LocalModel, add
from worker.settings import Settings, settings
from worker.shelf import Shelf

NANO = local_model()
OTHER = msgspec.structs.replace(NANO, id="other")


class Told:
    """Is told that something about the models has changed, and lets others wait for it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.event.set()

    async def until(self, true: Any) -> None:
        while not true():
            self.event.clear()
            await self.event.wait()


@asynccontextmanager
async def shelf(home: Path, *models: LocalModel, memory: int = 1 << 40) -> AsyncIterator[tuple[Shelf, Told]]:
    """A shelf whose engines run; `memory` is what its models may take."""
    told = Told()
    it = Shelf(home, chosen(home, slots=1, context=256, **{"limits.memory": memory}), list(models), told)
    async with asyncio.TaskGroup() as group:
        it.start(group)
        try:
            yield it, told
        finally:
            it.cancel()
            await it.stop()


def chosen(home: Path, **flags: Any) -> Settings:
    return settings(home, {}, {"cell": ROME, **flags})


def engine(it: Shelf, name: str) -> Engine:
    found = it.served[name].engine
    assert isinstance(found, Engine)
    return found


async def test_a_worker_that_loaded_what_was_wanted_still_ends_when_it_is_told_to(tmp_path: Path) -> None:
    add(tmp_path, model_file(), "other")
    async with coordinator() as it:
        daemon, _ = made(tmp_path, it, context=256)
        running = asyncio.create_task(daemon.run())
        await it.hellos.get()
        await it.say(Wanted("other", NANO.digest, NANO.size_bytes))
        await it.hear(Inventory, lambda i: any(m.id == "other" and m.loaded for m in i.capabilities.models))
        daemon.stop()
        daemon.stop()
        async with asyncio.timeout(30):
            await running


async def test_a_model_that_a_job_waits_for_is_not_given_up_for_another(tmp_path: Path) -> None:
    async with shelf(tmp_path, NANO, OTHER, memory=NANO.size_bytes + 1) as (it, _):
        waiting = asyncio.create_task(engine(it, "hive-nano").ready())
        await asyncio.sleep(0)
        assert not it.use("other")
        assert isinstance(await waiting, Loaded)
        assert it.use("other")
        assert isinstance(await engine(it, "other").ready(), Loaded)
        assert engine(it, "hive-nano").pid is None, "the other one was loaded before this one was gone"


async def test_of_two_jobs_in_one_moment_one_has_its_model_and_the_other_is_declined(tmp_path: Path) -> None:
    async with coordinator() as it:
        who = identity(tmp_path, now=clock(), entropy=os.urandom(32))
        flags = {"coordinator": it.url, "slots": 2, "context": 256, "limits.memory": NANO.size_bytes + 1}
        daemon = Daemon(tmp_path, chosen(tmp_path, **flags), who, [NANO, OTHER], clock=clock, probe=hardware([]))
        running = asyncio.create_task(daemon.run())
        await it.hear(Inventory, lambda i: any(model.loaded for model in i.capabilities.models))
        for number, model in enumerate(("other", "hive-nano")):
            terms = body(who.pk, NANO.digest, number, model_id=model, max_tokens=4)
            daemon.heard(Offer(terms, sign(it.offers_by, Context.OFFER, msgspec.to_builtins(terms))))
        declined, done = await it.hear(Decline), await it.hear(Done)
        assert (declined.job_id, done.receipt["job_id"]) == (JOB.format(1), JOB.format(0))
        daemon.stop()
        daemon.stop()
        await running


async def test_models_that_come_back_after_a_rest_are_those_that_fit(tmp_path: Path) -> None:
    async with shelf(tmp_path, NANO, OTHER, memory=NANO.size_bytes + 1) as (it, told):
        await told.until(lambda: it.served["hive-nano"].loaded)
        it.park(True)
        await engine(it, "hive-nano").gone()
        assert engine(it, "hive-nano").pid is None
        it.park(False)
        await told.until(lambda: it.served["hive-nano"].loaded)
        assert (engine(it, "other").starts, engine(it, "other").pid) == (0, None)


async def test_a_wish_loads_nothing_while_the_owner_has_the_memory(tmp_path: Path) -> None:
    add(tmp_path, model_file(), "other")
    async with shelf(tmp_path, NANO) as (it, _):
        it.park(True)
        await Demand(tmp_path, chosen(tmp_path), it, 1 << 40).one(Wanted("other", NANO.digest, NANO.size_bytes))
        assert it.served["other"].engine.parked


async def test_a_file_that_was_replaced_is_served_under_its_own_digest(tmp_path: Path) -> None:
    async with shelf(tmp_path, msgspec.structs.replace(NANO, id="other", digest="ab" * 32)) as (it, told):
        before = engine(it, "other")
        await before.ready()
        it.offer(OTHER)
        await told.until(lambda: before.loaded is None)
        assert it.served["other"].model.digest == NANO.digest
        assert isinstance(await engine(it, "other").ready(), Loaded)


async def test_a_file_that_has_changed_is_not_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "other.gguf"
    file.write_bytes(model_file().read_bytes())
    other = msgspec.structs.replace(OTHER, path=str(file), mtime_ns=file.stat().st_mtime_ns)
    async with shelf(tmp_path, NANO) as (it, told):
        it.offer(other)
        assert isinstance(await engine(it, "other").ready(), Loaded)
        last = engine(it, "other")
        it.served["other"].park()
        await last.gone()
        file.write_bytes(b"GGUF" + bytes(1000))
        with pytest.raises(EngineError, match="not the one"):
            await last.ready()
        await told.until(lambda: "other" not in it.served)


async def test_a_stop_ends_a_fetch_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho $$ > "$HIVE_HOME/pid"\nexec sleep 600\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    wishes = chosen(tmp_path, **{"policy.wanted": "fetch", "policy.fetch_budget": "1 TB"})
    demand = Demand(tmp_path, wishes, Shelf(tmp_path, wishes, [], lambda: None), 1 << 40)
    fetching = asyncio.create_task(demand.one(Wanted("tinyllama", "ab" * 32, 1000)))
    process = os.pidfd_open(int(await asyncio.to_thread(fifo.read_text)))
    fetching.cancel()
    await asyncio.wait((fetching,))
    assert await asyncio.to_thread(select.select, [process], [], [], 10) == ([process], [], [])
    os.close(process)
