"""Reads the header of a GGUF file from a stranger: a header, or GgufError with one sentence, in bounded time and memory."""

import struct
from pathlib import Path
from typing import Final, Protocol

import msgspec

from shared.gguf.kinds import TENSOR

MAGIC: Final = b"GGUF"
FRONT: Final = 24
"""Bytes before the metadata: magic, version, and how many tensors and pairs follow."""
MOST_PAIRS: Final = 1 << 14
MOST_TENSORS: Final = 1 << 15
MOST_STRINGS: Final = 1 << 21
MOST_HEADER: Final = 1 << 28
MOST_DIMENSIONS: Final = 4
LONGEST_NAME: Final = 127
LONGEST_KEY: Final = 1 << 16
LONGEST_TEXT: Final = 1 << 18
LONGEST_ARRAY: Final = 1 << 12
MOST_KEPT: Final = 1 << 22
LARGEST_ALIGNMENT: Final = 1 << 20
_BLOCK: Final = 1 << 18
_SCALARS: Final = {
    0: struct.Struct("<B"), 1: struct.Struct("<b"), 2: struct.Struct("<H"), 3: struct.Struct("<h"),
    4: struct.Struct("<I"), 5: struct.Struct("<i"), 6: struct.Struct("<f"), 7: struct.Struct("<?"),
    10: struct.Struct("<Q"), 11: struct.Struct("<q"), 12: struct.Struct("<d"),
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9


class GgufError(ValueError):
    """The file is no GGUF that can be trusted to llama.cpp; the message is half a sentence about "it"."""


class Source(Protocol):
    """What a header is read from: a file, or one far away."""

    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Skipped(msgspec.Struct, frozen=True):
    """A value too large to keep: how many items (or bytes of text) it has."""

    count: int


Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...] | Skipped


class Tensor(msgspec.Struct, frozen=True):
    """A tensor of the table: `offset` and `size` are bytes, the offset from the file's start; `values` its numbers."""

    name: str
    kind: str
    shape: tuple[int, ...]
    values: int
    offset: int
    size: int


class Header(msgspec.Struct, frozen=True):
    """All that stands before the weights. `metadata_end` and `data_start` are offsets in bytes."""

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    alignment: int
    metadata_end: int
    data_start: int
    size_bytes: int


def read_file(path: Path) -> Header:
    """The header of a file, whose tensors all lie inside it; raises GgufError, or OSError if it cannot be read."""
    with path.open("rb", buffering=0) as source:
        return read(source, path.stat().st_size)


def read(source: Source, size: int) -> Header:
    """The header of a GGUF of `size` bytes; it seeks and reads no further than the tensor table's end."""
    cursor = _Cursor(source, size)
    if cursor.take(4) != MAGIC:
        raise GgufError("it does not begin as a GGUF file does")
    version = cursor.number(4)
    if version not in (2, 3):
        raise GgufError("it is a GGUF of another byte order" if version & 0xFFFF == 0 else f"it is GGUF {version}")
    tensors = _counted(cursor.number(10), MOST_TENSORS, "tensors")
    pairs = _counted(cursor.number(10), MOST_PAIRS, "metadata values")
    metadata = _metadata(cursor, pairs)
    metadata_end, alignment = cursor.position, _alignment(metadata)
    table = [_tensor(cursor) for _ in range(tensors)]
    if len({tensor.name for tensor in table}) != tensors:
        raise GgufError("two of its tensors have one name")
    start = -(-cursor.position // alignment) * alignment
    return Header(
        metadata=metadata,
        tensors=tuple(_placed(tensor, start, alignment, size) for tensor in table),
        alignment=alignment,
        metadata_end=metadata_end,
        data_start=start,
        size_bytes=size,
    )


class _Cursor:
    """Goes through a file once, forwards, in blocks; says so when the file ends too early."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._end = min(size, MOST_HEADER)
        self._cut = "its header is too long" if size > MOST_HEADER else "it is cut off"
        self._block = b""
        self._start = 0
        self.position = 0
        self.strings = 0
        self.kept = 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        first = self.position - self._start
        if first + count > len(self._block):
            if count > self._end - self.position:
                raise GgufError(self._cut)
            self._source.seek(self.position)
            self._block = self._read(max(count, min(_BLOCK, self._end - self.position)))
            self._start, first = self.position, 0
            if count > len(self._block):
                raise GgufError(self._cut)
        self.position += count
        return self._block[first : first + count]

    def skip(self, count: int) -> None:
        """Passes over the next bytes without reading them."""
        if count > self._end - self.position:
            raise GgufError(self._cut)
        self.position += count

    def number(self, kind: int) -> int:
        """A whole number of one of GGUF's kinds."""
        form = _SCALARS[kind]
        return int(form.unpack(self.take(form.size))[0])

    def text(self, longest: int) -> str:
        """A short text, which must be UTF-8."""
        length = self.number(10)
        if length > longest:
            raise GgufError("a name in it is too long")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise GgufError("a name in it is no text") from error

    def skip_strings(self, count: int) -> None:
        """Passes over texts; their number is bounded over the whole file, for each costs a step."""
        self.strings += count
        if self.strings > MOST_STRINGS:
            raise GgufError("it has too many texts in its metadata")
        for _ in range(count):
            self.skip(int.from_bytes(self.take(8), "little"))

    def _read(self, count: int) -> bytes:
        """A raw file may give less than it is asked for."""
        parts, missing = [], count
        while missing and (part := self._source.read(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _metadata(cursor: _Cursor, pairs: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for _ in range(pairs):
        key = cursor.text(LONGEST_KEY)
        if key in found:
            raise GgufError(f"it says {key[:60]!r} twice")
        cursor.kept += len(key)
        if cursor.kept > MOST_KEPT:
            raise GgufError("the names in its metadata are too long")
        found[key] = _value(cursor, cursor.number(4))
    return found


def _value(cursor: _Cursor, kind: int) -> Value:
    if kind == _STRING:
        return _text(cursor)
    if kind == _ARRAY:
        return _array(cursor)
    form = _SCALARS.get(kind)
    if form is None:
        raise GgufError(f"it has a metadata value of an unknown kind, {kind}")
    value: Scalar = form.unpack(cursor.take(form.size))[0]
    return value


def _text(cursor: _Cursor) -> str | Skipped:
    """A text of the metadata; where it is no UTF-8 the faults are replaced, as llama.cpp does not look."""
    length = cursor.number(10)
    if length > LONGEST_TEXT or cursor.kept + length > MOST_KEPT:
        cursor.skip(length)
        return Skipped(length)
    cursor.kept += length
    return cursor.take(length).decode("utf-8", "replace")


def _array(cursor: _Cursor) -> tuple[Scalar, ...] | Skipped:
    """A short array of numbers; others are passed over."""
    kind, count = cursor.number(4), cursor.number(10)
    if kind == _STRING:
        cursor.skip_strings(count)
        return Skipped(count)
    form = _SCALARS.get(kind)
    if form is None:
        what = "lists, which llama.cpp does not read" if kind == _ARRAY else f"values of an unknown kind, {kind}"
        raise GgufError(f"it has a list of {what}")
    size = count * form.size
    if count > LONGEST_ARRAY or cursor.kept + size > MOST_KEPT:
        cursor.skip(size)
        return Skipped(count)
    cursor.kept += size
    return tuple(struct.unpack(f"<{count}{form.format[-1]}", cursor.take(size)))


def _alignment(metadata: dict[str, Value]) -> int:
    """What `general.alignment` says, 32 where it says nothing."""
    found = metadata.get("general.alignment", 32)
    if type(found) is not int or not 0 < found <= LARGEST_ALIGNMENT or found & (found - 1):
        raise GgufError("its alignment is no power of two")
    return found


def _tensor(cursor: _Cursor) -> Tensor:
    """One line of the table, its offset still from the start of the data."""
    name = cursor.text(LONGEST_NAME)
    dimensions = cursor.number(4)
    if not 0 < dimensions <= MOST_DIMENSIONS:
        raise GgufError(f"its tensor {name[:60]!r} has {dimensions} dimensions")
    shape = tuple(cursor.number(10) for _ in range(dimensions))
    number, offset = cursor.number(4), cursor.number(10)
    if number not in TENSOR:
        raise GgufError(f"its tensor {name[:60]!r} is of an unknown type, {number}")
    kind, block, block_bytes = TENSOR[number]
    values = 1
    for length in shape:
        values *= length
    if not 0 < values < 1 << 62 or shape[0] % block:
        raise GgufError(f"its tensor {name[:60]!r} has an impossible shape")
    return Tensor(name, kind, shape, values, offset, values // block * block_bytes)


def _placed(tensor: Tensor, start: int, alignment: int, size: int) -> Tensor:
    """The tensor where it is in the file, if it is there in full."""
    if tensor.offset % alignment:
        raise GgufError(f"its tensor {tensor.name[:60]!r} is not aligned")
    if start + tensor.offset + tensor.size > size:
        raise GgufError(f"it is cut off: the tensor {tensor.name[:60]!r} does not lie in it")
    return msgspec.structs.replace(tensor, offset=start + tensor.offset)


def _counted(count: int, most: int, what: str) -> int:
    if count > most:
        raise GgufError(f"it claims to have {count} {what}")
    return count
