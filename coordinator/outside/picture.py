"""What kind of picture some bytes are and how large it is, read from their first bytes; nothing is decoded."""

from typing import Final

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """A picture's media type and size in pixels."""

    media_type: str
    width: int
    height: int


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of JPEG that begin a frame, which holds the size."""
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""The markers of JPEG without a length."""


def kind_of(data: bytes) -> Kind | None:
    """The kind of a PNG, JPEG, GIF or WebP; None for anything else, and for one whose head is not whole."""
    size: tuple[int, int] | None = None
    media_type = ""
    if data.startswith(_PNG):
        media_type, size = "image/png", _png(data)
    elif data.startswith(b"\xff\xd8\xff"):
        media_type, size = "image/jpeg", _jpeg(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        media_type, size = "image/gif", _pair(data, 6, "little")
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        media_type, size = "image/webp", _webp(data)
    return None if size is None or 0 in size else Kind(media_type, *size)


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """The size in the first frame; segments before it are stepped over."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            found = _pair(data, at + 5, "big")
            return found and (found[1], found[0])
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    chunk = data[12:16]
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        found = _pair(data, 26, "little")
        return found and (found[0] & 0x3FFF, found[1] & 0x3FFF)
    if chunk == b"VP8L" and data[20:21] == b"\x2f" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _pair(data: bytes, at: int, order: str) -> tuple[int, int] | None:
    if len(data) < at + 4:
        return None
    big = order == "big"
    first, second = data[at : at + 2], data[at + 2 : at + 4]
    return int.from_bytes(first, "big" if big else "little"), int.from_bytes(second, "big" if big else "little")
