"""Which addresses a coordinator may call for its callers: those of the public internet, and what the operator allows."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from shared.errors import RequestError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ORDINARY_PORTS: Final = (80, 443)
FREE_PORTS: Final = 1024
"""From here on every port may be called. Below, only those of HTTP: mail servers and their like would read a request too."""

_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NEVER: Final = tuple(
    ip_network(block)
    for block in (
        "192.0.0.0/24",  # protocol assignments: a cloud's metadata too
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's metadata on a public address
        "2001::/23",  # protocol assignments: Teredo, which hides an IPv4 address
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)


class Allowed(msgspec.Struct, frozen=True):
    """What the operator allows besides: addresses with any port, and names or addresses with one."""

    networks: tuple[Network, ...] = ()
    places: frozenset[tuple[str, int]] = frozenset()

    def names(self, host: str, port: int, address: Address) -> bool:
        """Whether the operator's own list has this place."""
        places = ((host, port), (str(address), port))
        return any(place in self.places for place in places) or any(address in network for network in self.networks)


NOTHING_ALLOWED: Final = Allowed()


def allowed(entries: Iterable[str]) -> Allowed:
    """The operator's list of addresses, CIDR blocks and `host:port`; raises RequestError for what is none of them."""
    networks: list[Network] = []
    places: set[tuple[str, int]] = set()
    for entry in filter(None, (text.strip() for text in entries)):
        try:
            networks.append(ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            host, _, port = entry.rpartition(":")
            if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
                message = f"HIVE_CALLBACK_ALLOW takes addresses, CIDR blocks and host:port; {entry[:100]!r} is none."
                raise RequestError(message) from None
            places.add((_host(host.strip("[]")), int(port)))
    return Allowed(tuple(networks), frozenset(places))


def _host(written: str) -> str:
    try:
        return str(ip_address(written))
    except ValueError:
        return written.lower().removesuffix(".")


def plain(address: Address) -> Address:
    """The address that a connection really goes to: an IPv4 address in the dress of an IPv6 one is undressed."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_public(address: Address) -> bool:
    """Whether the address is a single machine's on the public internet, looked through forms that hide an IPv4 one."""
    address = plain(address)
    if any(address in block for block in _NEVER):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    if address in _NAT64:
        return is_public(_low(address))
    hidden = [address.sixtofour, _low(address) if _is_isatap(address) else None]
    return address in _UNICAST and address.is_global and all(is_public(inner) for inner in hidden if inner is not None)


def may_call(host: str, port: int, address: Address, allow: Allowed, *, public: bool = True) -> bool:
    """Whether this place may be called: the operator allows it, or it is public, where `public` ones may be."""
    if allow.names(host, port, plain(address)):
        return True
    return public and is_ordinary(port) and is_public(address)


def is_ordinary(port: int) -> bool:
    """Whether a public host may be called at this port."""
    return port in ORDINARY_PORTS or port >= FREE_PORTS


def _low(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _is_isatap(address: IPv6Address) -> bool:
    return (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE


def as_address(text: str) -> Address:
    """An address as a resolver writes it; the zone of a link-local one is left out."""
    return ip_address(text.partition("%")[0])
