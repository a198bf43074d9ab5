"""A tiny writer of MaxMind databases, as their specification has them: a tree of 24-bit records, data, metadata."""

import struct
from ipaddress import ip_network
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"


def database(networks: dict[str, Any], *, kind: str = "GeoLite2-City", version: int = 6) -> bytes:
    """The file that gives each network its record; IPv4 networks lie in ::/96 of a tree for IPv6."""
    data, places = b"", {}
    for network, record in networks.items():
        places[network] = len(data)
        data += encoded(record)
    nodes: list[list[Any]] = [[None, None]]
    for network in networks:
        _insert(nodes, _bits(network, version), network)
    tree = b"".join(_number(side, places, len(nodes)).to_bytes(3, "big") for node in nodes for side in node)
    metadata = {
        "node_count": _whole(6, len(nodes)), "record_size": _whole(5, 24), "ip_version": _whole(5, version),
        "database_type": encoded(kind), "languages": encoded(["en"]), "binary_format_major_version": _whole(5, 2),
        "binary_format_minor_version": _whole(5, 0), "build_epoch": _whole(9, 1_700_000_000),
        "description": encoded({"en": "made by a test"}),
    }  # fmt: skip
    listed = b"".join(encoded(key) + value for key, value in metadata.items())
    return tree + bytes(16) + data + _MARK + _control(7, len(metadata)) + listed


def encoded(value: Any) -> bytes:
    """A value in the data section's encoding."""
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, dict):
        inner = b"".join(encoded(key) + encoded(item) for key, item in value.items())
        return _control(7, len(value)) + inner
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encoded, value))
    return _whole(5, value)


def _whole(kind: int, value: int) -> bytes:
    """A number as uint16 (5), uint32 (6) or uint64 (9): readers of metadata insist on the one that is meant."""
    length = (value.bit_length() + 7) // 8
    return _control(kind, length) + value.to_bytes(length, "big")


def _control(kind: int, size: int) -> bytes:
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    return bytes([first | size]) + extended if size < 29 else bytes([first | 29]) + extended + bytes([size - 29])


def _bits(network: str, version: int) -> str:
    parsed = ip_network(network)
    width = 32 if parsed.version == 4 else 128
    bits = f"{int(parsed.network_address):0{width}b}"[: parsed.prefixlen]
    return "0" * 96 + bits if parsed.version == 4 and version == 6 else bits


def _insert(nodes: list[list[Any]], bits: str, network: str) -> None:
    node = 0
    for bit in bits[:-1]:
        if nodes[node][int(bit)] is None:
            nodes.append([None, None])
            nodes[node][int(bit)] = len(nodes) - 1
        node = nodes[node][int(bit)]
    nodes[node][int(bits[-1])] = network


def _number(side: Any, places: dict[str, int], count: int) -> int:
    if side is None:
        return count
    return count + 16 + places[side] if isinstance(side, str) else int(side)
