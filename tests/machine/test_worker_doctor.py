"""The doctor beside a real engine process and a coordinator on loopback."""

import asyncio
import json
import re
import sys
from pathlib import Path

import msgspec
import pytest
from nacl.signing import SigningKey
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from shared.crypto import public_key
from shared.processes import free_port
from shared.protocol.handshake import make_challenge
from shared.protocol.messages import SUBPROTOCOL
from tests.machine.coordinator_double import ROME, clock, coordinator, server_pk
from tests.machine.llama_server import llama_server
from tests.machine.test_worker_cli import said
from worker.doctor import coordinator as doctor
from worker.doctor.devices import EngineBrokenError, found_by_a_child
from worker.doctor.finding import Finding
from worker.doctor.upstreams import upstreams
from worker.known import pin
from worker.remote.upstream import Upstream
from worker.settings import Settings


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in found}


async def test_all_is_well_beside_a_coordinator_that_is_met_but_not_joined(tmp_path: Path) -> None:
    async with coordinator() as it:
        (tmp_path / "config.toml").write_text(f'[worker]\ncell = "{ROME}"\ncoordinator = "{it.url}"\n')
        code, out, err = await said(tmp_path, "doctor", "--json")
        told = json.loads(out)
        states = {check["name"]: check["state"] for check in told["checks"]}
        assert (code, err) == (0, ""), out
        assert {name for name, state in states.items() if state == "ok"} >= {
            "settings", "reach", "socket", "round trip", "clock", "disk", "engine", "outbox", "model hive-nano",
        }  # fmt: skip
        assert (states["identity"], states["worker"], states["key"]) == ("warn", "warn", "warn")
        assert it.hellos.empty()
        code, out, _ = await said(tmp_path, "doctor")
        assert (code, "Its file is whole" in out) == (0, True)
        assert not (tmp_path / "identity.json").exists()


async def test_a_clock_that_is_off_and_a_key_that_changed_are_found(tmp_path: Path) -> None:
    async with coordinator() as it:
        chosen = Settings(cell=ROME, coordinator=it.url)
        pin(tmp_path, f"127.0.0.1:{it.port}", server_pk(it))
        found = by_name(await asyncio.to_thread(doctor.met, tmp_path, chosen, lambda: clock() + 60_000))
        assert (found["clock"].state, found["key"].state) == ("warn", "ok")
        ahead = re.search(r"is (\d+\.\d) s ahead", found["clock"].sentence)
        assert ahead is not None
        assert float(ahead[1]) == pytest.approx(60, abs=10), "what the meeting took is in it"
        found = by_name(await asyncio.to_thread(doctor.met, tmp_path, chosen, lambda: clock() - 200_000))
        assert found["socket"].state == "fail"
        told = by_name(await asyncio.to_thread(doctor.trips, it.url, lambda: clock() / 1000 - 200))
        assert (told["clock"].state, "behind" in told["clock"].sentence) == ("fail", True)
        other = Settings(cell=ROME, coordinator=it.url, server_key=public_key(SigningKey.generate()))
        assert by_name(await asyncio.to_thread(doctor.met, tmp_path, other, clock))["key"].state == "fail"


async def test_nobody_there_is_said_quickly_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        f'[worker]\ncell = "{ROME}"\ncoordinator = "http://127.0.0.1:{free_port()}"\n'
    )
    code, out, _ = await said(tmp_path, "doctor", "--json")
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    assert (code, found["reach"]["state"], found["socket"]["state"]) == (1, "fail", "fail")
    assert "cannot be reached" in found["reach"]["sentence"]


async def test_another_protocol_gets_the_command_that_upgrades(tmp_path: Path) -> None:
    async def of_tomorrow(socket: ServerConnection) -> None:
        key = SigningKey.generate()
        host = socket.request.headers["host"] if socket.request else ""
        hello = make_challenge(key, host, ephemeral=b"\1" * 32, nonce=b"\2" * 32, now=clock())
        await socket.send(msgspec.json.encode(msgspec.structs.replace(hello, version=2)))
        await socket.wait_closed()

    async with serve(of_tomorrow, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        chosen = Settings(cell=ROME, coordinator=f"http://127.0.0.1:{port}")
        found = by_name(await asyncio.to_thread(doctor.met, tmp_path, chosen, clock))
        assert (found["socket"].state, "upgrade" in found["socket"].sentence) == ("fail", True)


def test_an_engine_that_does_not_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_by_a_child().variant.startswith("cpu")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ImportError: libllama.so is gone' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(EngineBrokenError, match=r"libllama\.so is gone"):
        found_by_a_child()


async def test_an_upstream_that_serves_and_one_that_is_down_are_told_apart(tmp_path: Path) -> None:
    async with llama_server() as server:
        there = Upstream(url=server.url, models={"hive-nano": "nano"})
        gone = Upstream(url=f"http://127.0.0.1:{free_port()}/v1", models={"hive-nano": "nano"})
        strange = Upstream(url=server.url, models={"mine": "nano"})
        found = [
            (await asyncio.to_thread(upstreams, tmp_path, Settings(cell=ROME, models=(), openai=(one,))))[0]
            for one in (there, gone, strange)
        ]
    assert [finding.state for finding in found] == ["ok", "fail", "fail"]
    assert "serves it as nano" in found[0].sentence
    assert "start it" in found[1].sentence
    assert "models fetch mine" in found[2].sentence
