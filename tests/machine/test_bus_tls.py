"""The bus over TLS: coordinators hear of each other through a server whose certificate is that of its name, and nobody else is
told a word."""

import asyncio
import gc
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from coordinator.bus import Nats, Secured
from coordinator.dispatch.between import Message, Over
from tests.support_nats import NatsServer
from tests.support_wait import eventually

JOB = UUID(int=9)
WORD = Over([JOB])


def openssl(*argv: str) -> None:
    subprocess.run(["openssl", *argv], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    """The certificate of a new authority; its key lies beside it."""
    made = folder / f"{name}.pem"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", str(made.with_suffix(".key")), "-out", str(made),
    )  # fmt: skip
    return made


def certified(folder: Path, by: Path, host: str) -> tuple[Path, Path]:
    """A server's certificate for this host, and its key."""
    key, asked, made, says = (folder / f"server.{end}" for end in ("key", "csr", "pem", "ext"))
    says.write_text(f"subjectAltName={host}\n")
    openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=nats",
        "-keyout", str(key), "-out", str(asked),
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", str(asked), "-CA", str(by), "-CAkey", str(by.with_suffix(".key")), "-CAcreateserial",
        "-days", "2", "-extfile", str(says), "-out", str(made),
    )  # fmt: skip
    return made, key


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An authority that this process trusts, as an operator says by the environment."""
    made = authority(tmp_path, "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    return made


@pytest.fixture
def started() -> Iterator[list[NatsServer]]:
    """What a test has started."""
    servers: list[NatsServer] = []
    yield servers
    for server in servers:
        server.kill()


def serving(started: list[NatsServer], folder: Path, by: Path, host: str) -> str:
    """The address of a new server with a certificate for this host."""
    server = NatsServer(folder)
    made, key = certified(folder, by, host)
    with (folder / "nats.conf").open("a") as config:
        config.write(f'tls {{ cert_file: "{made}", key_file: "{key}" }}\n')
    server.start()
    started.append(server)
    return server.url.replace("nats://", "tls://")


@asynccontextmanager
async def on_the_bus(*buses: Nats) -> AsyncIterator[list[list[Message]]]:
    """What each bus hears."""
    heard: list[list[Message]] = [[] for _ in buses]
    running = [asyncio.create_task(bus.run(heard[place].append)) for place, bus in enumerate(buses)]
    yield heard
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("breaks", [False, True])
async def test_coordinators_hear_of_each_other_over_tls_and_leave_no_task_and_no_socket_behind(
    tmp_path: Path, trusted: Path, started: list[NatsServer], monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    url = serving(started, tmp_path, trusted, "IP:127.0.0.1")
    before = asyncio.all_tasks()
    one, other = (Nats(url, fleet="f", name=name) for name in ("one", "other"))
    async with on_the_bus(one, other) as heard:

        async def there() -> bool:
            return one.connected and other.connected

        await eventually(there, 10, "both on the bus")
        one.tell(WORD)

        async def told() -> bool:
            return heard[1] == [WORD]

        await eventually(told, 10, "the word")
        if breaks:
            monkeypatch.setattr(Secured, "close", reset)
    assert asyncio.all_tasks() == before
    gc.collect()  # a socket that is left open is told of now, and fails this test


async def reset(_: Secured) -> None:
    """What waits to be written cannot be, says uvloop."""
    raise RuntimeError("unable to perform operation; the handler is closed")


async def logged(url: str, reason: str) -> Sequence[Any]:
    """What a bus logs that does not come to this server."""
    bus = Nats(url, fleet="f", name="one")
    with capture_logs() as logs:
        async with on_the_bus(bus):

            async def told() -> bool:
                return any(reason in str(line.get("reason")) for line in logs)

            await eventually(told, 10, f"the word that {reason}")
            assert not bus.connected
    return logs


@pytest.mark.parametrize(
    ("host", "known", "reason"),
    [
        ("DNS:nats.example.org", True, "IP address mismatch"),
        ("IP:127.0.0.1", False, "unable to get local issuer certificate"),
    ],
)
async def test_a_server_that_cannot_prove_its_name_is_told_nothing(
    tmp_path: Path, trusted: Path, started: list[NatsServer], host: str, known: bool, reason: str
) -> None:
    by = trusted if known else authority(tmp_path, "stranger")
    url = serving(started, tmp_path, by, host)
    logs = await logged(url, reason)
    password = url.partition("hive:")[2].partition("@")[0]
    assert len(password) == 32
    assert password not in str(logs)
    assert len(logs) == 1


async def test_a_server_that_says_it_needs_no_tls_gets_no_password() -> None:
    got: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true}\r\n')
        got.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await logged(f"tls://hive:s3cret@127.0.0.1:{port}", "does not ask for TLS")
    assert got
    assert set(got) == {b""}
