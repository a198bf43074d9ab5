"""The coordinators of a swarm on one machine: they share the folder with their secrets, and where there are several a NATS
server of their own."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.layout import Layout
from deploy.nats import NatsFiles
from deploy.supervise import Child
from shared.processes import free_port

Environment = Callable[[Mapping[str, str]], dict[str, str]]


class Coordinators:
    """How to start so many of them, the first at `port` (0 picks a free one); every worker has one of them as its own."""

    def __init__(self, layout: Layout, count: int, port: int) -> None:
        self.layout = layout
        self.ports = [port or free_port(), *(free_port() for _ in range(count - 1))]
        self.admin_ports = [free_port() for _ in range(count)]
        self.nats = NatsFiles(layout.nats) if count > 1 else None
        self.children: list[Child] = []

    @property
    def urls(self) -> list[str]:
        """Where the public API listens, at each of them."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def admin_url(self) -> str:
        """Where the admin API of the first listens."""
        return f"http://127.0.0.1:{self.admin_ports[0]}"

    @property
    def pids(self) -> int | list[int]:
        """Their processes: a list only where there are several."""
        pids = [child.pid for child in self.children]
        return pids if len(pids) > 1 else pids[0]

    def urls_of(self, worker: int) -> list[str]:
        """The coordinators that the worker of this number connects to, its own first: workers are spread over all."""
        own = worker % len(self.urls)
        return [*self.urls[own:], *self.urls[:own]]

    def listens(self, number: int) -> bool:
        """Whether coordinator `number` (from 0) has said so itself: whatever else answers on its port is not it."""
        return self._word(number).exists()

    def _word(self, number: int) -> Path:
        return self.layout.listening if number == 0 else self.layout.coordinator / f"ready-{number + 1}.json"

    def bus(self, environment: Environment) -> Child | None:
        """The NATS server, where one is needed."""
        if self.nats is None:
            return None
        return Child("nats", self.nats.argv, environment({}), self.layout.logs / "nats.log")

    def make(self, environment: Environment, said: Mapping[str, str]) -> list[Child]:
        """The processes, which are told the same but for where they listen; the words of old ones are taken away."""
        self.children = [self._child(number, environment, said) for number in range(len(self.ports))]
        return self.children

    def _child(self, number: int, environment: Environment, said: Mapping[str, str]) -> Child:
        self._word(number).unlink(missing_ok=True)
        own = {
            "HIVE_HOME": str(self.layout.root),
            "HIVE_STATE_DIR": str(self.layout.coordinator),
            "HIVE_NATS_URL": self.nats.url if self.nats else "",
            "HIVE_PORT": str(self.ports[number]),
            "HIVE_ADMIN_PORT": str(self.admin_ports[number]),
            "HIVE_READY_FILE": str(self._word(number)),
        }
        several = len(self.ports) > 1
        name = f"coordinator {number + 1}" if several else "coordinator"
        argv = [sys.executable, "-m", "shared", "coordinator", "serve"]
        log = self.layout.logs / f"{name.replace(' ', '-')}.log"
        return Child(name, argv, environment({**said, **own}), log)
