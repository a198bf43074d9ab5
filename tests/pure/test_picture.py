"""What kind of picture some bytes are, by their first bytes alone."""

import struct

import pytest
from hypothesis import given, strategies as st

from coordinator.outside.picture import Kind, kind_of
from tests.support_outside import png


def jpeg(width: int, height: int, *before: bytes, frame: int = 0xC0) -> bytes:
    """The head of a JPEG of this size, with segments before its frame."""
    size = struct.pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8" + b"".join(before) + bytes([0xFF, frame]) + size + bytes(9) + b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def webp(chunk: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + chunk + struct.pack("<I", len(body)) + body


LOSSY = b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480)
LOSSLESS = b"\x2f" + struct.pack("<I", 639 | 479 << 14)
EXTENDED = bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
THUMBNAIL = segment(0xE1, b"Exif\0\0" + jpeg(1, 1))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (png(640, 480), "image/png"),
        (b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0\0\0", "image/gif"),
        (b"GIF87a" + struct.pack("<HH", 640, 480), "image/gif"),
        (jpeg(640, 480, segment(0xE0, b"JFIF\0")), "image/jpeg"),
        (jpeg(640, 480, segment(0xE0, b"JFIF\0"), THUMBNAIL, segment(0xC4, bytes(20)), frame=0xC2), "image/jpeg"),
        (jpeg(640, 480, b"\xff\xff", segment(0xDB, bytes(64)), b"\xff\xd0"), "image/jpeg"),
        (webp(b"VP8 ", LOSSY), "image/webp"),
        (webp(b"VP8L", LOSSLESS), "image/webp"),
        (webp(b"VP8X", EXTENDED), "image/webp"),
    ],
)
def test_a_picture_tells_its_kind_and_size(data: bytes, kind: str) -> None:
    assert kind_of(data + bytes(100)) == Kind(kind, 640, 480)
    for end in range(8):
        assert kind_of(data[:end]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"BM" + bytes(60),
        b"RIFF\0\0\0\0WAVEfmt ",
        png(0, 480),
        jpeg(640, 0),
        jpeg(640, 480)[:10],
        b"\xff\xd8\xff\xe0\0\0" * 50,
        b"\xff\xd8" + b"\xff" * 1000,
        png(640, 480)[:20],
        webp(b"VP8 ", bytes(30)),
    ],
)
def test_what_is_none_is_none(data: bytes) -> None:
    assert kind_of(data) is None


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF0000WEBPVP8 "]), st.binary(max_size=300)
)
def test_no_bytes_make_it_fail(start: bytes, rest: bytes) -> None:
    found = kind_of(start + rest)
    assert found is None or min(found.width, found.height) > 0
