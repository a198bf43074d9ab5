"""The addresses of a name, by the system's resolver, in threads of their own; and which of them are this machine's."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from coordinator.outside.addresses import Address, as_address
from coordinator.outside.outcome import UnreachedError

LookUp = Callable[[str], Awaitable[list[Address]]]

AT_ONCE: Final = 64
"""How many look-ups may hang: a resolver cannot be interrupted, and a caller's name server may never answer it."""

NOWHERE: Final = "has no public address"
"""Said of unknown names and of private ones alike: a caller is not told which names there are in the operator's network."""

_free = threading.BoundedSemaphore(AT_ONCE)


async def look_up(name: str) -> list[Address]:
    """Every address of a name, in the resolver's order; raises UnreachedError. It takes as long as the resolver does.

    Neither the loop's own threads nor the end of the process wait for it.
    """
    if not _free.acquire(blocking=False):
        raise UnreachedError("has to wait: too many names are being looked up")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address]] = loop.create_future()
    threading.Thread(target=_look_up, args=(name, loop, found), name="names", daemon=True).start()
    return await found


def is_here(address: Address) -> bool:
    """Whether an address is this machine's own: then the way to it begins where it ends. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((str(address), 9))
            return as_address(str(way.getsockname()[0])) == address
    except OSError:  # there is no way at all
        return False


def _look_up(name: str, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[Address]]) -> None:
    answer: list[Address] | UnreachedError
    try:
        answer = [as_address(str(place[0])) for *_, place in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        answer = UnreachedError(NOWHERE)
    finally:
        _free.release()
    with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
        loop.call_soon_threadsafe(_tell, found, answer)


def _tell(found: asyncio.Future[list[Address]], answer: list[Address] | UnreachedError) -> None:
    if found.done():
        return
    if isinstance(answer, UnreachedError):
        found.set_exception(answer)
    else:
        found.set_result(answer)
