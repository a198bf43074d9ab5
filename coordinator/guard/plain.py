"""A text as words mean it: one spelling for what looks the same, and what was hidden in it brought to light.

Every step takes time in proportion to the text: no pattern here has a repetition within a repetition.
"""

import re
import unicodedata
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

PIECE: Final = 16_384
OVERLAP: Final = 400
"""A text is read in pieces that share so many characters, so that other threads get their turn and nothing is cut apart."""

ESCAPES: Final = 3
"""From so many percent signs on a piece is read as an address would be."""

_INVISIBLE: Final = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFDFA, 0xFDFB, 0xFEFF, 0xFFA0),
    *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
)  # fmt: skip
"""What is not seen, and two ligatures that stand for so many letters that a text of them would be 18 times as long."""

_TAGS: Final = {0xE0000 + code: chr(code) if 0x20 <= code < 0x7F else None for code in range(0x80)}
"""Unicode's tags are invisible letters: what they spell is read like any other text."""

_SHOWN: Final[dict[int, str | None]] = {**dict.fromkeys(_INVISIBLE, None), **_TAGS}
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_ALIKE: Final = str.maketrans("аеорсхуіјѕԁһкмтвнαεορικντυχ", "aeopcxyijsdhkmtbhaeopikvtux")
_AS_LETTERS: Final = str.maketrans("0134578@$", "oieastbas")
_MIXED: Final = re.compile("[a-z][\u0370-\u052f0134578@$]|[\u0370-\u052f0134578@$][a-z]")
_SPACED: Final = re.compile(r"(?<!\w)\w(?:[ ._*-]\w){2,60}(?!\w)")
_BETWEEN: Final = re.compile("[ ._*-]")
_REPEATED: Final = re.compile(r"([a-z])\1{2,60}")
_WORD: Final = re.compile(r"[^\W_]+|[.!?;:\n。！？；：]")
_BASE64: Final = re.compile("(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}")
_HEX: Final = re.compile("[0-9A-Fa-f]+")
_PERCENT: Final = re.compile("%[0-9A-Fa-f]{2}")
_SPACE: Final = str.maketrans("\n\r\t", "   ")


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of a bounded length that overlap."""
    if len(text) <= PIECE + OVERLAP:
        yield text
        return
    for start in range(0, len(text) - OVERLAP, PIECE):
        yield text[start : start + PIECE + OVERLAP]


def plain(text: str) -> str:
    """The text in small letters without accents, wide or styled letters as plain ones, nothing invisible in it."""
    if text.isascii():
        return text.lower()
    shown = unicodedata.normalize("NFKC", text.translate(_SHOWN))
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", shown.casefold()))
    return unicodedata.normalize("NFC", bare)


def disguised(text: str) -> str | None:
    """What a plain text says to an eye that reads digits and letters of other alphabets as those they look like, spaced
    letters as words and long letters as one; None where that is the text itself."""
    seen = text.translate(_ALIKE).translate(_AS_LETTERS) if _MIXED.search(text) else text
    seen = _SPACED.sub(lambda found: _BETWEEN.sub("", found[0]), seen)
    seen = _REPEATED.sub(r"\1", seen)
    return None if seen == text else seen


def words(text: str) -> list[str]:
    """The words of a plain text; what ends a sentence is a word of its own."""
    return _WORD.findall(text)


def hidden(text: str) -> Iterator[str]:
    """What the base64, the hex and the percent signs in a text say, where that is text; it is not looked for again in
    what was found."""
    for found in _BASE64.finditer(text):
        if (told := _decoded(found[0])) is not None:
            yield told
    if len(_PERCENT.findall(text)) >= ESCAPES:
        yield unquote(text, errors="replace")


def _decoded(run: str) -> str | None:
    whole = run[: len(run) - (len(run) % 4 == 1)]
    try:
        raw = bytes.fromhex(run) if _HEX.fullmatch(run) else urlsafe_b64decode(whole + "=" * (-len(whole) % 4))
        told = raw.decode()
    except ValueError:
        return None
    return told if told.translate(_SPACE).isprintable() else None
