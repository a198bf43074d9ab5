"""What a worker leaves for the other commands of its machine, where two of them shared a home or the disk takes nothing."""

import asyncio
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.files import write_private
from tests.support_wait import eventually
from worker.control import Control
from worker.report import Report, forget_report, read_report, write_report

MINE = psutil.Process()


def report(process: psutil.Process) -> Report:
    return Report(
        pid=process.pid, process_started=process.create_time(), pk="", handle=None, cell="", coordinator="", server_pk=None,
        state="online", session=None, tier=None, models=[], warm=[], loaded=[], engine_build="", slots=1, free=1,
        waiting_results=0, jobs_done=0, tokens_made=0, updated_at=0,
    )  # fmt: skip


def test_a_worker_that_ends_takes_its_own_report_away_and_not_anothers(tmp_path: Path) -> None:
    other = report(psutil.Process(os.getppid()))
    write_report(tmp_path, other)
    forget_report(tmp_path)
    assert read_report(tmp_path) == other
    write_report(tmp_path, report(MINE))
    forget_report(tmp_path)
    forget_report(tmp_path)
    assert read_report(tmp_path) is None


async def opened(home: Path, other: bytes) -> tuple["asyncio.Task[None]", bytes]:
    """A control that listens, and what its door says, once that is another one's no longer."""
    worker: Any = None
    running, door = asyncio.create_task(Control(home, worker).run()), home / "control.json"

    async def is_ours() -> bool:
        return door.exists() and door.read_bytes() != other

    await eventually(is_ours, 30, "the door")
    return running, door.read_bytes()


async def ended(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_that_ends_leaves_the_door_of_the_one_that_came_after_it(tmp_path: Path) -> None:
    first, door = await opened(tmp_path, b"")
    second, other = await opened(tmp_path, door)
    await ended(first)
    assert (tmp_path / "control.json").read_bytes() == other
    await ended(second)
    assert not (tmp_path / "control.json").exists()


def test_a_disk_that_is_full_is_told_with_the_file_that_found_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as told:
        write_private(tmp_path / "identity.json", b"x")
    assert told.value.filename == str(tmp_path / "identity.json")
    assert list(tmp_path.iterdir()) == []
