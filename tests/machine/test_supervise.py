"""Children are started again when they die and never outlive their parent."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.supervise import Child

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()",
]


async def test_a_dead_child_is_started_again(tmp_path: Path) -> None:
    child = Child("one", FOREVER, os.environ, tmp_path / "log")
    started: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(child.run(lambda: started.put_nowait(child.pid)))
    first = await started.get()
    os.kill(first, signal.SIGKILL)
    second = await asyncio.wait_for(started.get(), 30)
    assert second != first
    assert child.deaths == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not psutil.pid_exists(second)


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = Child("one", STUBBORN, os.environ, tmp_path / "log", patience=0.3)
    up = asyncio.Event()
    task = asyncio.create_task(child.run(up.set))
    await up.wait()
    pid = child.pid
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not psutil.pid_exists(pid)


PARENT = """
import asyncio, os, sys, pathlib
from deploy.supervise import Child
async def main():
    child = Child("one", [sys.executable, "-c", "import signal; signal.pause()"], os.environ, pathlib.Path(sys.argv[1]))
    await child.run(lambda: print(child.pid, flush=True))
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's death on Linux alone")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    orphan.wait(30)
    assert not orphan.is_running()
