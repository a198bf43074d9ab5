"""`hive worker` as a person types it: a process of its own, its words and its exit codes."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from shared.protocol.messages import Inventory, Leave
from tests.machine.coordinator_double import ROME, coordinator, model_file

ROOT = Path(__file__).resolve().parents[2]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HIVE_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


async def hive(home: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from shared.cli import main; main()", "worker", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(home),
    )  # fmt: skip


async def said(home: Path, *words: str) -> tuple[int | None, str, str]:
    process = await hive(home, *words)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def ended(process: asyncio.subprocess.Process) -> int | None:
    """Its exit code, once nobody holds its outputs any more: a pipe that is left open is told of in a later test."""
    await process.communicate()
    return process.returncode


async def test_join_works_and_leave_says_goodbye(tmp_path: Path) -> None:
    async with coordinator() as it:
        process = await hive(
            tmp_path, "join", "--coordinator", it.url, "--cell", ROME, "--handle", "@rome", "--slots", "1"
        )
        hello = await it.hellos.get()
        assert hello.capabilities.handle == "@rome"
        await it.hear(Inventory, lambda i: any(model.loaded for model in i.capabilities.models))
        code, out, _ = await said(tmp_path, "status", "--json")
        status = json.loads(out)
        assert (code, status["running"], status["pid"], status["cell"]) == (0, True, process.pid, ROME)
        again = await said(tmp_path, "join", "--coordinator", it.url, "--cell", ROME)
        assert (again[0], "is running" in again[2]) == (1, True)
        leaving = await hive(tmp_path, "leave")
        assert not (await it.hear(Leave)).for_good
        assert (await it.hear(Leave)).for_good
        assert await ended(leaving) == 0
        assert await ended(process) == 0
        assert (await said(tmp_path, "whoami", "--json"))[1].count(hello.worker_pk) == 1


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async with coordinator() as it:
        process = await hive(tmp_path, "join", "--coordinator", it.url, "--cell", ROME)
        await it.hellos.get()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0


async def test_an_engine_never_outlives_its_worker(tmp_path: Path) -> None:
    async with coordinator() as it:
        process = await hive(tmp_path, "join", "--coordinator", it.url, "--cell", ROME)
        await it.hear(Inventory, lambda i: any(model.loaded for model in i.capabilities.models))
        engines = psutil.Process(process.pid).children(recursive=True)
        assert len(engines) == 1
        process.kill()
        await process.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, engines, timeout=20)
        assert alive == []
        await ended(process)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["join"], "--cell CELL"),
        (["join", "--cell", "x"], "no H3 cell"),
        (["join", "--lat", "1"], "--lat and --lon together"),
        (["join", "--cell", ROME, "--coordinator", "http://example.org"], "https://"),
        (["join", "--cell", ROME, "--model", "gpt-9"], "no model gpt-9"),
        (["join", "--cell", ROME, "--set", "limits.memory=1kB"], "limits.memory is 1.0 kB"),
        (["join", "--cell", ROME, "--set", "memory=1kB"], "--set takes NAME=VALUE"),
        (["join", "--cell", ROME, "--set", "when.quiet_hours=late"], "no hours"),
        (["whoami"], "hive worker join"),
    ],
)
async def test_an_error_is_one_sentence_and_a_way_out(tmp_path: Path, words: list[str], says: str) -> None:
    code, out, err = await said(tmp_path, *words)
    assert code == 1
    assert out == ""
    assert says in err
    assert "Traceback" not in err


async def test_no_worker_here_is_said_and_is_no_success(tmp_path: Path) -> None:
    assert (await said(tmp_path, "status"))[:2] == (1, "No worker is running here; `hive worker join` starts one.\n")


async def test_a_model_is_added_pinned_and_refused_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "Some Model.gguf"
    file.write_bytes(model_file().read_bytes())
    code, out, err = await said(tmp_path / "home", "models", "add", str(file), "--json")
    assert code == 0, err
    added = json.loads(out)
    assert (added["id"], added["context"] > 0) == ("some-model", True)
    listed = json.loads((await said(tmp_path / "home", "models", "list", "--json"))[1])
    assert [model["id"] for model in listed] == ["hive-nano", "some-model"]
    await asyncio.to_thread(Path(added["path"]).write_bytes, b"GGUF changed")
    code, _, err = await said(tmp_path / "home", "join", "--cell", ROME, "--model", "some-model")
    assert (code, "not the one that was added" in err) == (1, True)


async def test_a_file_that_is_no_model_is_not_added(tmp_path: Path) -> None:
    file = tmp_path / "notes.gguf"
    file.write_text("notes")
    code, _, err = await said(tmp_path, "models", "add", str(file))
    assert (code, "nothing was added" in err) == (1, True)
