"""A GGUF without its weights: the metadata as they stand, and no tensors. llama.cpp loads it for its vocabulary alone."""

import struct
from typing import Final

from shared.gguf.reader import FRONT, MAGIC, Header, Source

VERSION: Final = 3


def thin(source: Source, header: Header) -> bytes:
    """The same metadata, byte for byte, with a table of no tensors; raises OSError where the source ends too early."""
    source.seek(FRONT)
    parts, missing = [], header.metadata_end - FRONT
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    if missing:
        raise OSError("the file ended while it was read")
    front = struct.pack("<4sIQQ", MAGIC, VERSION, 0, len(header.metadata))
    return (front + b"".join(parts)).ljust(-(-header.metadata_end // header.alignment) * header.alignment, b"\0")
