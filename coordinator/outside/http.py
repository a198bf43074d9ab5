"""The only place from which a coordinator calls addresses that its callers name.

A name is looked up once, every address of it is checked, and the connection goes to one of those; each redirect is a new
call. There are no proxies, no cookies, no passwords, no kept connections and no decoding: httpcore does none of it by
itself. It is imported with the first call, for most coordinators never make one.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import urljoin

import msgspec

from coordinator.outside.addresses import Address, Allowed, may_call
from coordinator.outside.names import NOWHERE, LookUp, is_here, look_up
from coordinator.outside.outcome import Room, UnreachedError
from coordinator.outside.targets import BadUrlError, Target, refused_at_once, target_of

MOST_ADDRESSES: Final = 4
_REDIRECTS: Final = (301, 302, 303, 307, 308)


class _Moved(msgspec.Struct, frozen=True):
    to: str


class Outside:
    """Calls what callers name, where the operator's list and the rules of `addresses` allow it."""

    def __init__(self, allow: Allowed, names: LookUp = look_up, here: Callable[[Address], bool] = is_here) -> None:
        self.allow = allow
        self._names = names
        self._here = here

    async def fetch(self, url: str, room: Room, within_s: float, redirects: int) -> bytes:
        """The body of what is at a URL, by https, or as well by plain HTTP where the operator allows the place; raises
        UnreachedError."""
        try:
            async with asyncio.timeout(within_s):
                for _ in range(redirects + 1):
                    got = await self._get(url, room)
                    if isinstance(got, bytes):
                        return got
                    url = got.to
        except TimeoutError:
            raise UnreachedError(f"did not answer within {within_s:g} s") from None
        raise UnreachedError(f"redirects more than {redirects} times")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> int:
        """Sends a body and returns the status; what is answered is not read. Raises UnreachedError."""
        from coordinator.outside.connecting import call  # noqa: PLC0415 - as below

        target = self._target(url)
        try:
            async with asyncio.timeout(within_s):
                addresses = await self._checked(target, public=True)
                return await call("POST", target, addresses, self._tls, headers, body, _status)
        except TimeoutError:
            raise UnreachedError(f"did not answer within {within_s:g} s") from None

    async def _get(self, url: str, room: Room) -> bytes | _Moved:
        from coordinator.outside.connecting import body_of, call, header_of  # noqa: PLC0415 - httpcore and anyio, 5 MB with certificates

        target = self._target(url)
        addresses = await self._checked(target, public=target.scheme == "https")

        async def read(response: Any) -> bytes | _Moved:
            to = header_of(response, b"location")
            if response.status in _REDIRECTS and to is not None:
                return _Moved(_joined(url, to))
            if response.status != 200:
                raise UnreachedError(f"answers with status {response.status}")
            return await body_of(response, room)

        return await call("GET", target, addresses, self._tls, {}, None, read)

    def _target(self, url: str) -> Target:
        try:
            target = target_of(url)
        except BadUrlError as e:
            raise UnreachedError(str(e)) from None
        if why := refused_at_once(target, self.allow):
            raise UnreachedError(why)
        return target

    async def _checked(self, target: Target, *, public: bool) -> list[Address]:
        """The addresses to call: every one that the host has may be."""
        literal = target.address
        found = [literal] if literal is not None else await self._names(target.host)
        if not all(self._may(target, one, public=public) for one in found):
            raise UnreachedError(NOWHERE if public else "has to be fetched over https")
        return found[:MOST_ADDRESSES]

    def _may(self, target: Target, address: Address, *, public: bool) -> bool:
        """Whether an address may be called: one of this machine's only if the operator says so, for what stands behind its
        firewall is open to itself."""
        if not may_call(target.host, target.port, address, self.allow, public=public):
            return False
        return self.allow.names(target.host, target.port, address) or not self._here(address)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        from httpcore import default_ssl_context  # noqa: PLC0415 - as above

        return default_ssl_context()


async def _status(response: Any) -> int:
    return int(response.status)


def _joined(base: str, to: str) -> str:
    try:
        return urljoin(base, to)
    except ValueError:
        raise UnreachedError("redirects to what is no URL") from None
