"""The door of a running worker: who has the token is heard, garbage is met with silence, and a pause outlives a restart."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.protocol.messages import Decline, Failed, Heartbeat, Inventory, Tokens
from tests.machine.coordinator_double import body, coordinator, local_model
from tests.machine.test_worker_cli import ended, hive, said
from tests.machine.test_worker_daemon import made, working
from tests.support_wait import eventually
from worker.comfort.verdict import Machine
from worker.control import LINE_BYTES, ControlError, Door, ask
from worker.report import Report

DIGEST = local_model().digest


def door(home: Path) -> Door:
    return msgspec.json.decode((home / "control.json").read_bytes(), type=Door)


async def asked(home: Path, do: Any, until: int | None = None) -> Report | None:
    return await asyncio.to_thread(ask, home, do, until)


async def sent(home: Path, data: bytes) -> bytes:
    """What comes back for these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door(home).port)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_worker_is_paused_resumed_and_asked(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it):
        assert (tmp_path / "control.json").stat().st_mode & 0o777 == 0o600
        found = await asked(tmp_path, "status")
        assert found is not None
        assert (found.state, found.rest, found.paused) == ("online", None, False)
        found = await asked(tmp_path, "pause", 4_102_444_800_000)
        assert found is not None
        assert found.rest is not None
        assert (found.rest[:20], found.paused) == ("you paused it until ", True)
        await it.hear(Inventory, lambda i: not i.capabilities.jobs)
        await it.hear(Heartbeat, lambda h: h.free == 0)
        found = await asked(tmp_path, "resume")
        assert found is not None
        assert found.rest is None
        await it.hear(Inventory, lambda i: i.capabilities.jobs)
        await it.hear(Heartbeat, lambda h: h.free == 2)
    assert not (tmp_path / "control.json").exists()
    assert await asked(tmp_path, "status") is None


async def test_garbage_is_met_with_silence_and_disturbs_nobody(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it):
        right = door(tmp_path).token
        wrong: list[Any] = [
            {"token": "0" * 64, "do": "quit"}, {"token": "ü", "do": "quit"}, {"do": "quit"}, {"token": right, "do": "explode"},
            {"token": right, "do": "pause", "until": "soon"}, [], 7, None,
        ]  # fmt: skip
        lines = [json.dumps(one).encode() + b"\n" for one in wrong]
        lines += [
            b"",
            b"\n",
            b"\0\xff\xfe\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"x" * (LINE_BYTES + 1),
            b"x" * 1_000_000 + b"\n",
        ]
        for line in lines:
            assert await sent(tmp_path, line) == b"", line[:80]
        many = [await asyncio.open_connection("127.0.0.1", door(tmp_path).port) for _ in range(40)]
        for _, writer in many:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in many), return_exceptions=True)
        found = await asked(tmp_path, "status")
        assert found is not None
        assert (found.state, found.paused) == ("online", False)


async def test_a_door_that_leads_nowhere_is_no_worker(tmp_path: Path) -> None:
    assert await asked(tmp_path, "status") is None
    (tmp_path / "control.json").write_bytes(b"{}")
    (tmp_path / "control.json").chmod(0o600)
    with pytest.raises(ControlError, match="start it again"):
        ask(tmp_path, "status")


async def test_a_pause_outlives_a_restart_and_ends_by_its_command(tmp_path: Path) -> None:
    code, out, _ = await said(tmp_path, "pause", "--for", "2h")
    assert (code, out.startswith("No worker is running here; one that starts is paused until ")) == (0, True)
    async with coordinator() as it:
        daemon, who = made(tmp_path, it)
        running = asyncio.create_task(daemon.run())
        hello = await it.hellos.get()
        assert not hello.capabilities.jobs
        await it.offer(body(who.pk, DIGEST))
        assert (await it.hear(Decline)).reason == "takes no work now"
        assert (await said(tmp_path, "resume"))[1] == "Working again.\n"
        await it.hear(Inventory, lambda i: i.capabilities.jobs)
        assert (await said(tmp_path, "pause", "--until", "18:00"))[1].startswith("Paused until 18:00")
        assert (await said(tmp_path, "pause"))[1] == "Paused until `hive worker resume`.\n"
        assert "paused: you paused it" in (await said(tmp_path, "status"))[1]
        assert (await said(tmp_path, "drain"))[0] == 0
        await running
    assert "is not paused" in (await said(tmp_path, "resume"))[1]
    code, _, err = await said(tmp_path, "drain")
    assert (code, "no worker is running" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--for", "soon"], "no length of time"),
        (["--until", "25:00"], "no time of a day"),
        (["--for", "1h", "--until", "18:00"], "either --for or --until"),
    ],
)
async def test_a_pause_that_cannot_be_read_is_a_sentence(tmp_path: Path, words: list[str], says: str) -> None:
    code, out, err = await said(tmp_path, "pause", *words)
    assert (code, out, says in err, "Traceback" in err) == (1, "", True, False)


async def test_a_game_cuts_what_runs_once_its_grace_is_over(tmp_path: Path) -> None:
    found = Machine(on_battery=False, metered=False)
    at_once: dict[str, Any] = {"when.grace": 0}
    async with coordinator() as it:
        daemon, who = made(tmp_path, it, max_tps=20.0, look=lambda *_: found, **at_once)
        running = asyncio.create_task(daemon.run())
        await it.hellos.get()
        await it.offer(body(who.pk, DIGEST, max_tokens=1000))
        await it.hear(Tokens)
        found = msgspec.structs.replace(found, programs=("cs2",))
        await daemon._guard.one_round()
        await it.hear(Inventory, lambda i: not i.capabilities.jobs)
        failed = await it.hear(Failed)
        assert (failed.code, failed.retryable) == ("paused", True)
        assert "cs2 is running" in failed.message
        await it.hear(Heartbeat, lambda h: not h.running)
        daemon.stop()
        await running


async def test_models_leave_the_memory_while_it_rests_and_come_back(tmp_path: Path) -> None:
    found = Machine(on_battery=False, metered=False)
    soon: dict[str, Any] = {"when.unload_after": 0.001}
    async with coordinator() as it, working(tmp_path, it, look=lambda *_: found, **soon) as (daemon, _):

        async def gone() -> bool:
            return daemon.engines() == []

        daemon.pause(None)
        await it.hear(Inventory, lambda i: not any(model.loaded for model in i.capabilities.models))
        await eventually(gone, 30, "the end of the engine")
        daemon.resume()
        await it.hear(Inventory, lambda i: i.capabilities.jobs and any(m.loaded for m in i.capabilities.models))
        assert len(daemon.engines()) == 1
        sent, received = daemon.traffic()
        assert sent > received > 500


async def test_leave_asks_the_worker_to_end(tmp_path: Path) -> None:
    async with coordinator() as it:
        process = await hive(tmp_path, "join", "--coordinator", it.url, "--yes", "--cell", "871e8052affffff")
        await it.hellos.get()
        code, out, err = await said(tmp_path, "leave")
        assert (code, "has left the swarm" in out) == (0, True), err
        assert await ended(process) == 0
