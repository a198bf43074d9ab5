"""`hive worker models` as a person types it: a killed fetch goes on, and every refusal is one sentence."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.catalogue import library
from tests.support_gguf import a_model
from tests.support_hub import Hub, hub
from tests.support_wait import until
from worker.fetching import left_over

ROOT = Path(__file__).resolve().parents[2]
MODEL = a_model(vocabulary=100_000)


@pytest.fixture
def it() -> Iterator[Hub]:
    with hub() as made:
        yield made


def environment(home: Path, it: Hub) -> dict[str, str]:
    return {**os.environ, "HIVE_HOME": str(home), "HF_ENDPOINT": it.url, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def hive(home: Path, it: Hub, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from shared.cli import main; main()", "worker", "models", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home, it),
    )  # fmt: skip


def test_a_killed_fetch_goes_on(tmp_path: Path, it: Hub) -> None:
    listed = library()["tinyllama"]
    it.put(listed.repository, listed.file, MODEL)
    it.stall_at = 4 << 20
    first = hive(tmp_path, it, "fetch", "tinyllama", "--force")
    assert it.stalled.wait(30)
    until(lambda: any(part.stat().st_size for part in left_over(tmp_path)), 30, "bytes in the file")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    out, err = hive(tmp_path, it, "list").communicate()
    assert ("hive-nano" in out, "unfinished" in err) == (True, True)
    it.stall_at = None
    it.go_on.set()
    [part] = left_over(tmp_path)
    have = part.stat().st_size
    assert have > 0
    out, err = hive(tmp_path, it, "fetch", "tinyllama-1.1b-chat", "--force", "--json").communicate()
    assert json.loads(out)["id"] == "tinyllama", err
    assert it.whole()[-1] == f"bytes={have}-{len(MODEL) - 1}"
    assert left_over(tmp_path) == []


def test_the_commands_list_and_remove(tmp_path: Path, it: Hub) -> None:
    def said(*words: str) -> tuple[int, str, str]:
        process = hive(tmp_path, it, *words)
        out, err = process.communicate()
        return process.returncode, out, err

    lines = {line["id"]: line for line in json.loads(said("list", "--all", "--json")[1])}
    assert (lines["hive-nano"]["source"], lines["hive-nano"]["fits"]) == ("bundled", True)
    assert (lines["llama3:8b-instruct-q8_0"]["source"], lines["llama3:8b-instruct-q8_0"]["context"]) == ("hub", 8192)
    for words, says in [
        (("fetch", "gpt-9"), "the library has no model gpt-9"),
        (("fetch", "tinyllama"), "the hub has no"),
        (("rm", "hive-nano"), "bundled"),
        (("rm", "tinyllama"), "models fetch tinyllama"),
        (("rm",), "--unfinished"),
    ]:
        code, out, err = said(*words)
        assert (code, out, says in err, err.count("\n")) == (1, "", True, 1), err
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "abc.part").write_bytes(b"half")
    assert json.loads(said("rm", "--unfinished", "--json")[1]) == {"freed_bytes": 4}
    assert left_over(tmp_path) == []
