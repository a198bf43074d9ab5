"""One HTTP request to addresses that were checked, whatever the name resolves to by then.

httpcore does nothing by itself: no proxies, no cookies, no redirects, no decoding.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError, ConnectTimeout, Response

from coordinator.outside.addresses import Address
from coordinator.outside.outcome import Room, UnreachedError
from coordinator.outside.targets import Target

Got = TypeVar("Got")

AGENT: Final = "Hive"
EACH_S: Final = 4.0
"""How long one of several addresses may keep the others waiting."""


class Checked(AsyncNetworkBackend):
    """Connects to these addresses, in their order, and to nothing else."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._real = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - it names the certificate, not the way
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - all of the call has one
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to the first address that takes one."""
        failure: Exception = ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._real.connect_tcp(str(address), port, EACH_S, local_address, socket_options)
            except (ConnectError, ConnectTimeout) as e:
                failure = e
        raise failure


async def call(
    method: str, target: Target, addresses: Sequence[Address], tls: ssl.SSLContext, headers: Mapping[str, str],
    body: bytes | None, read: Callable[[Response], Awaitable[Got]],
) -> Got:  # fmt: skip
    """Sends a request on a connection of its own and gives what `read` makes of the answer; raises UnreachedError."""
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    sent = {"host": target.authority, "user-agent": AGENT, "accept-encoding": "identity", **headers}
    async with httpcore.AsyncConnectionPool(tls, network_backend=Checked(addresses)) as pool:
        try:
            async with pool.stream(method, url, headers=[*sent.items()], content=body) as response:
                return await read(response)
        except (ConnectError, ConnectTimeout) as e:
            raise UnreachedError(f"took no connection: {_why(e)}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            raise UnreachedError("broke off, or does not speak HTTP") from None


async def body_of(response: Response, room: Room) -> bytes:
    """The body of an answer as it was sent; raises UnreachedError where there is no room for it, or it is in an encoding."""
    if (header_of(response, b"content-encoding") or "identity").lower() != "identity":
        raise UnreachedError("answers in an encoding that was not asked for")
    parts: list[bytes] = []
    async for part in response.aiter_stream():
        room.take(len(part))
        parts.append(part)
    return b"".join(parts)


def header_of(response: Response, name: bytes) -> str | None:
    """A header of an answer, by its lower-case name."""
    found = [value for key, value in response.headers if key.lower() == name]
    return found[0].decode("latin-1") if found else None


def _why(failure: Exception) -> str:
    """Why there is no connection, as far as it is the other side's business."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not hold ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it should"
        cause = cause.__cause__ or cause.__context__
    return "nobody is there, or it is refused"
