"""A whole `hive up` for tests: real processes on a data directory of their own, found through the ready file."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import psutil
from openai import AsyncOpenAI

from coordinator.settle.stellar import worker_address
from deploy.layout import Ready
from tests.support_wait import eventually, until

REPOSITORY: Final = Path(__file__).parents[1]
START_S: Final = 120.0
STOP_S: Final = 20.0
OVER: Final = {"completed", "failed", "timed_out", "cancelled"}

Json = dict[str, Any]


class Up:
    """One data directory and the `hive up` that runs on it, or not."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.data = root / "data"
        self.ready_file = root / "ready.json"
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until the ready file says that all is up."""
        self.ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "shared", "up", "--port", "0", "--data-dir", str(self.data)]
        command += ["--ready-file", str(self.ready_file), *self.options]
        with (self.root / "up.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True)
        until(self._came_up, START_S, "hive up")

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Tells it to stop and waits until it has; returns the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_S)
        return time.monotonic() - began

    @property
    def is_running(self) -> bool:
        """Whether the process is there, up or not."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9 for it alone; its children learn of it from the kernel."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_S)

    def everyone(self) -> list[psutil.Process]:
        """It and all its children's children."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    @property
    def ready(self) -> Ready:
        """What the ready file says now."""
        return msgspec.json.decode(self.ready_file.read_bytes(), type=Ready)

    def client(self) -> httpx.AsyncClient:
        """Plain HTTP with the owner's key."""
        headers = {"authorization": f"Bearer {self.ready.api_key}"}
        return httpx.AsyncClient(base_url=self.ready.base_url, headers=headers, timeout=30)

    def openai(self) -> AsyncOpenAI:
        """The official client, unmodified."""
        return AsyncOpenAI(base_url=f"{self.ready.base_url}/v1", api_key=self.ready.api_key, max_retries=0, timeout=60)

    def worker_pid(self, pk: str) -> int:
        """The process of a worker."""
        ready = self.ready
        return next(pid for pid, worker in zip(ready.pids.workers, ready.workers, strict=True) if worker.pk == pk)

    def logs(self) -> str:
        """The end of every log, for the message of a failure."""
        files = [self.root / "up.log", *sorted((self.data / "logs").glob("*.log"))]
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    def _came_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.logs()
        return self.ready_file.exists()


@contextmanager
def running(*options: str) -> Iterator[Up]:
    """A swarm that is up inside the block; nothing of it is left behind, however the block ends.

    Its folder is not one of pytest's: PostgreSQL runs as another user where we are root, and each start of pytest
    closes the way into the folder of all its runs.
    """
    with tempfile.TemporaryDirectory(prefix="hive-up-", ignore_cleanup_errors=True) as root:
        up = Up(Path(root), *options)
        try:
            up.start()
            yield up
        finally:
            _end(up)


def _end(up: Up) -> None:
    if up.process is None or not up.is_running:
        return
    everyone = up.everyone()
    up.process.terminate()
    _, left = psutil.wait_procs(everyone, STOP_S)
    for process in left:
        process.kill()
    up.process.wait(5)


async def ended(up: Up, http: httpx.AsyncClient, job_id: str, seconds: float = 60) -> Json:
    """The job once it has ended; whoever is away meanwhile is asked again."""
    return await _job(up, http, job_id, lambda job: job["status"] in OVER, seconds)


async def settled(up: Up, http: httpx.AsyncClient, job_id: str, seconds: float = 30) -> Json:
    """The job once its payment is confirmed on the ledger."""
    return await _job(up, http, job_id, lambda job: bool(job["settled"]), seconds)


async def _job(up: Up, http: httpx.AsyncClient, job_id: str, is_so: Any, seconds: float) -> Json:
    async def look() -> Json | None:
        try:
            answer = await http.get(f"/hive/jobs/{job_id}")
        except httpx.TransportError:
            return None
        if answer.status_code >= 500:
            return None
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        return job if is_so(job) else None

    return await eventually(look, seconds, f"the end of job {job_id}\n{up.logs()}")


async def gns_of(up: Up, pk: str) -> int:
    """What a worker has on the local ledger, in stroops."""
    async with httpx.AsyncClient(base_url=up.ready.horizon_url, timeout=10) as http:
        account = (await http.get(f"/accounts/{worker_address(pk)}")).raise_for_status().json()
    lines = [line["balance"] for line in account["balances"] if line.get("asset_code") == "GNS"]
    whole, _, part = lines[0].partition(".")
    return int(whole + part.ljust(7, "0"))


def kill(pid: int) -> None:
    """kill -9, for a process that is there."""
    assert pid > 1, "the process is not there"
    os.kill(pid, signal.SIGKILL)
