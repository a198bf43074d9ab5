"""What is kept of the worker's log, and what a picture can show of it."""

import asyncio
import os
import signal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog

from worker.log import BETWEEN, KEPT, LONGEST, Recent, log_to
from worker.signals import on_stop


def test_warnings_and_errors_are_kept_and_all_are_printed() -> None:
    out, recent = StringIO(), Recent()
    log_to(out, "info", recent)
    log = structlog.get_logger("worker")
    log.debug("nothing")
    log.info("done", tokens=3)
    log.warning("engine_crashed", starts=2)
    log.error("result_not_kept", job="j", reason="disk \x1b[2Jfull\n")
    assert [one.what for one in recent.last(9)] == [
        "engine crashed: starts 2", "result not kept: job j, reason disk  [2Jfull ",
    ]  # fmt: skip
    assert "nothing" not in out.getvalue()
    assert "done" in out.getvalue()


def test_only_the_newest_are_kept_and_none_is_endless() -> None:
    recent = Recent()
    for number in range(KEPT + 5):
        recent(None, "warning", {"event": f"e{number}", "reason": "x" * 10_000})
    assert len(recent.last(100)) == KEPT
    assert recent.last(1)[0].what.startswith(f"e{KEPT + 4}: ")
    assert len(recent.last(1)[0].what) == LONGEST


@pytest.mark.parametrize("bounded", [False, True])
def test_a_file_of_ours_begins_anew_when_it_is_full(
    tmp_path: Path, bounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.log.MOST_BYTES", 10_000)
    with (tmp_path / "worker.log").open("a") as out:
        log_to(out, "info", Recent(), bounded=bounded)
        for number in range(2 * BETWEEN):
            structlog.get_logger("worker").info("done", number=number)
    text = (tmp_path / "worker.log").read_text()
    assert (len(text.splitlines()) < BETWEEN) is bounded
    assert f"number={2 * BETWEEN - 1}" in text


@pytest.mark.parametrize("windows", [False, True])
async def test_signals_reach_the_loop_and_what_was_there_comes_back(
    windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise NotImplementedError("as on Windows")

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    before = signal.getsignal(signal.SIGINT)
    if windows:
        monkeypatch.setattr(loop, "add_signal_handler", missing)
    with on_stop(stopped.set):
        os.kill(os.getpid(), signal.SIGINT)
        await stopped.wait()
    assert signal.getsignal(signal.SIGINT) == before
