"""A server on loopback that misbehaves on purpose, in plain HTTP or in TLS as `hooks.example`, and names that lie."""

import asyncio
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from coordinator.outside.addresses import Address, as_address

NAME: Final = "hooks.example"
"""The name in the certificate of TLS servers here."""

AUTHORITY: Final = """\
-----BEGIN CERTIFICATE-----
MIIBZDCCAQmgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1UZXN0cyBv
ZiBIaXZlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1UZXN0cyBvZiBIaXZlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEi6CG
59x6tuACRlZwwhvhztxgaglw0a10ei3BVVec/a9eNSsK9AShzthJvf83vHy3nqTk
J6HCiSg1rSHiWp8HGKNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMC
AQYwHQYDVR0OBBYEFEe1Ts7CoWgKfh98WMpIdSadLtQSMAoGCCqGSM49BAMCA0kA
MEYCIQCVandu6SV8z75aHOyJkEghygAe4j5Q6Gl4llvph26AQAIhAIJyl28M+mQA
JuyG89+2B4RNrad9ydlc9u6eNSKoJdNb
-----END CERTIFICATE-----
"""
_CERTIFICATE: Final = """\
-----BEGIN CERTIFICATE-----
MIIBszCCAVigAwIBAgIBAjAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1UZXN0cyBv
ZiBIaXZlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1ob29rcy5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsIFi
KvPJEoBhGE84ziPuWDYAmeVPafI0GTju6UqNFAGHCxNq7GmYcVa/LuRg/dcDchnb
icNzASHc/7yAt05mFaOBkDCBjTAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIH
gDATBgNVHSUEDDAKBggrBgEFBQcDATAYBgNVHREEETAPgg1ob29rcy5leGFtcGxl
MB0GA1UdDgQWBBRbRoS0fYQpYNOXUOprdcnMMKvZTDAfBgNVHSMEGDAWgBRHtU7O
wqFoCn4ffFjKSHUmnS7UEjAKBggqhkjOPQQDAgNJADBGAiEAr0XjMk36O1JS/Eua
kRgcBIZ7VG1zmPdAM8CXI0y0RXoCIQD3U664/1S5xv4DWPCRM6WN0OOwrhulH2Em
1oTYDbabnw==
-----END CERTIFICATE-----
"""
_KEY: Final = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrT9SASYECtNM4EkN
PwzkbHNwSwDY+P4o58vGDWVLkOmhRANCAASwgWIq88kSgGEYTzjOI+5YNgCZ5U9p
8jQZOO7pSo0UAYcLE2rsaZhxVr8u5GD91wNyGduJw3MBIdz/vIC3TmYV
-----END PRIVATE KEY-----
"""


class Heard(msgspec.Struct, frozen=True):
    """One request as it came over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Say = Callable[[bytes], Awaitable[None]]
Script = Callable[[Heard, Say], Awaitable[None]]


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Script:
    """A script that answers well."""

    async def answer(_: Heard, say: Say) -> None:
        told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await say(f"HTTP/1.1 {status} Told\r\n{told}content-length: {len(body)}\r\n\r\n".encode() + body)

    return answer


class Other:
    """The other side: what it says at which path, and what it heard. At any other path it answers 404."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.heard: asyncio.Queue[Heard] = asyncio.Queue()
        self.port = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection's one request, and stays until the client is gone if the script does."""
        self.connections += 1
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            heard = await _heard(reader)
            self.heard.put_nowait(heard)

            async def say(data: bytes) -> None:
                writer.write(data)
                await writer.drain()

            await self.scripts.get(heard.path.partition("?")[0], answering(404))(heard, say)


@asynccontextmanager
async def other_side(tls_folder: Path | None = None) -> AsyncIterator[Other]:
    """The other side on a free port, in TLS if it has a folder for its certificate."""
    other, running = Other(), set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.ensure_future(other.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls_folder and _certified(tls_folder))
    other.port = server.sockets[0].getsockname()[1]
    try:
        yield other
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


class Names:
    """Names that resolve to what a test says: to one list of addresses after the other, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): [*lists] for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[Address]:
        self.asked.append(name)
        lists = self._answers[name]
        return [as_address(text) for text in (lists.pop(0) if len(lists) > 1 else lists[0])]


def png(width: int, height: int) -> bytes:
    """The head of a PNG of this size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


async def _heard(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Heard(method, path, headers, body)


def _certified(folder: Path) -> ssl.SSLContext:
    file = folder / "server.pem"
    file.write_text(_CERTIFICATE + _KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
