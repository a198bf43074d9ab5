"""URLs that callers name, read once: what is checked is what is called."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from coordinator.outside.addresses import Address, Allowed, is_ordinary, may_call, plain

MAX_URL: Final = 2048
MAX_HOST: Final = 253
_PORTS: Final = {"http": 80, "https": 443}
_IN_PATHS: Final = "%/:?#[]@!$&'()*+,;=~\"<>^`{|}"
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


class BadUrlError(ValueError):
    """A URL that is not called; its text says why, in words that follow the URL's name."""


class Target(msgspec.Struct, frozen=True):
    """Where a request goes. `host` is ASCII, in lower case, an IPv6 address without brackets; `path` holds the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The address that the host is; None for a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def target_of(url: str) -> Target:
    """The target that a URL names; raises BadUrlError. Its fragment is left out."""
    if len(url) > MAX_URL:
        raise BadUrlError(f"is longer than {MAX_URL} characters")
    if _FORBIDDEN.search(url):
        raise BadUrlError("holds spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrlError("is no URL") from None
    if parts.scheme not in _PORTS:
        raise BadUrlError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise BadUrlError("holds a user name or a password, which is not sent")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = _PORTS[parts.scheme] if port is None else port
    return Target(parts.scheme, _host(parts.hostname or ""), port, quote(path, safe=_IN_PATHS))


def refused_at_once(target: Target, allow: Allowed) -> str | None:
    """Why a target can never be called, whatever its name resolves to; None if that has to be looked up."""
    named = bool(allow.networks) or (target.host, target.port) in allow.places
    if target.port == 0 or not (named or is_ordinary(target.port)):
        return f"names port {target.port}; use 443, 80 or one from 1024 on"
    here = _LOOPBACK if _is_localhost(target.host) else (target.address,)
    if any(one is None or may_call(target.host, target.port, one, allow) for one in here):
        return None
    return "names an address that is not public"


def _host(written: str) -> str:
    """The host in the one form that is looked up."""
    host = written if written.isascii() else _ascii(written)
    host = host.lower().removesuffix(".")
    if ":" in host:
        return str(plain(_ipv6(host)))
    if not host or len(host) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadUrlError("names no host")
    return str(_ipv4(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _ipv4(host: str) -> IPv4Address:
    """An address in any of the forms that resolvers read: 127.1, 0x7f000001 and 017700000001 are 127.0.0.1."""
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        raise BadUrlError("names an address that is none") from None


def _ipv6(host: str) -> IPv6Address:
    try:
        address = IPv6Address(host)
    except ValueError:
        raise BadUrlError("names an address that is none") from None
    if address.scope_id is not None:
        raise BadUrlError("names an address with a zone")
    return address


def _ascii(host: str) -> str:
    import idna  # noqa: PLC0415 - a megabyte of tables, and most names are ASCII

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise BadUrlError("names no host") from None


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith((".localhost", ".localdomain"))
