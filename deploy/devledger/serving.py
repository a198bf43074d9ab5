"""Running a node: in the foreground for the command, in a thread of its own for tests."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from deploy.devledger.horizon.app import PATIENCE, build_app
from deploy.devledger.network import DEFAULT_PASSPHRASE, Network
from deploy.devledger.node import Node
from deploy.devledger.store import Store

_SHUTDOWN_SECONDS = 1


@dataclass(frozen=True)
class Plan:
    """How to run a node: where, on which file (None: in memory), and how often it closes (None: when told)."""

    port: int = 0
    data: Path | None = None
    passphrase: str = DEFAULT_PASSPHRASE
    close_every: float | None = 1.0
    patience: float = PATIENCE


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as usual, then say so."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_listening()


@dataclass
class Running:
    """A node that answers at `url`; `close_ledger` may be called from any thread."""

    url: str
    passphrase: str
    _loop: asyncio.AbstractEventLoop
    _node: Node
    _server: uvicorn.Server

    def close_ledger(self) -> int:
        """Close a ledger now and return its number."""

        async def close() -> int:
            return self._node.close().header.sequence

        return asyncio.run_coroutine_threadsafe(close(), self._loop).result(timeout=30)

    def stop(self) -> None:
        """Ask the server to end."""
        self._server.should_exit = True


async def run(plan: Plan, on_listening: Callable[[Running], None]) -> None:
    """Serve until told to stop (SIGTERM, SIGINT or `Running.stop`). Raise UnusableStoreError or OSError."""
    network = Network(plan.passphrase)
    store = Store(plan.data, network)
    try:
        node = Node(store, network, time.time, closes_itself=plan.close_every is not None)
        with socket.create_server(("127.0.0.1", plan.port)) as listener:
            # What is accepted inherits it; asyncio itself sets it only where the socket names its protocol.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _serve(plan, node, listener, on_listening)
    finally:
        store.close()


async def _serve(plan: Plan, node: Node, listener: socket.socket, on_listening: Callable[[Running], None]) -> None:
    config = uvicorn.Config(
        build_app(node, plan.patience),
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop = asyncio.get_running_loop()
    server = _Server(config, lambda: on_listening(Running(url, plan.passphrase, loop, node, server)))
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(node.close_every(plan.close_every)) if plan.close_every is not None else None
        await server.serve(sockets=[listener])
        if closing is not None:
            closing.cancel()


@contextmanager
def serve(plan: Plan) -> Iterator[Running]:
    """Run a node in a thread of this process while the block runs; its first failure to start is raised here."""
    started = threading.Event()
    running: list[Running] = []
    failures: list[BaseException] = []

    def listening(node: Running) -> None:
        running.append(node)
        started.set()

    def body() -> None:
        try:
            asyncio.run(run(plan, listening))
        except Exception as error:  # noqa: BLE001 - it is raised again in the thread that asked
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=body, name="devledger", daemon=True)
    thread.start()
    started.wait(timeout=30)
    if failures:
        raise failures[0]
    try:
        yield running[0]
    finally:
        running[0].stop()
        thread.join(timeout=10)
    if failures:
        raise failures[0]
