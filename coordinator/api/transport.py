"""Which requests may come in at all: outside loopback only those whose TLS ended here or at a trusted proxy."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from shared.errors import RequestError

Network = IPv4Network | IPv6Network


def networks(proxies: Sequence[str]) -> list[Network]:
    """The trusted proxies' addresses or CIDR blocks; raises RequestError if one is neither."""
    try:
        return [ip_network(proxy.strip(), strict=False) for proxy in proxies if proxy.strip()]
    except ValueError as e:
        raise RequestError(f"HIVE_TRUSTED_PROXIES takes addresses and CIDR blocks: {e}.") from e


def is_private_way(
    scheme: str, peer: str | None, header: Callable[[str], str | None], trusted: Sequence[Network]
) -> bool:
    """Whether nobody between could read the request: TLS here, TLS as a trusted proxy says, or this very machine.

    `peer` is the address of the connection itself, None for a Unix socket.
    """
    if scheme in ("https", "wss") or peer is None:
        return True
    address = _address(peer)
    if address is None:
        return False
    forwarded = header("x-forwarded-proto")
    if forwarded is not None and any(address in network for network in trusted):
        return forwarded.strip().lower() in ("https", "wss")
    return bool(address.is_loopback)


@lru_cache(maxsize=4096)
def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
