"""A real NATS server for tests, which can be killed and started again at the same address."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.nats import NatsFiles
from shared.processes import die_with_parent
from tests.support_wait import until


class NatsServer:
    """The server's process, and where it listens."""

    def __init__(self, folder: Path) -> None:
        self._files = NatsFiles(folder / "nats.conf")
        self._log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._files.url

    def start(self) -> None:
        """Starts it; returns once it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._files.argv,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only asks the kernel for a signal
            )
        until(self._listens, 30, "the NATS server")

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(5)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._files.port)) == 0


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that runs."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.kill()
