"""Makes GGUF files by hand, right ones and wrong ones, without numpy."""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

U8: Final = (0, "<B")
U32: Final = (4, "<I")
I32: Final = (5, "<i")
F32: Final = (6, "<f")
BOOL: Final = (7, "<?")
U64: Final = (10, "<Q")

Tensors = Sequence[tuple[str, tuple[int, ...], int, int]]
"""Name, shape, ggml's number of the type, and the bytes of data."""


def text(value: str) -> bytes:
    """A text as GGUF has it."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def string(value: str) -> bytes:
    """A metadata value that is a text."""
    return struct.pack("<I", 8) + text(value)


def number(value: float, kind: tuple[int, str] = U32) -> bytes:
    """A metadata value that is a number."""
    return struct.pack("<I", kind[0]) + struct.pack(kind[1], value)


def numbers(values: Sequence[float], kind: tuple[int, str] = U32) -> bytes:
    """A metadata value that is a list of numbers."""
    front = struct.pack("<IIQ", 9, kind[0], len(values))
    return front + b"".join(struct.pack(kind[1], value) for value in values)


def strings(values: Sequence[str]) -> bytes:
    """A metadata value that is a list of texts."""
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def gguf(metadata: Mapping[str, bytes], tensors: Tensors = (), *, align: int = 32, version: int = 3) -> bytes:
    """A whole file: the header, then zeros for the weights."""
    made = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(metadata))
    made += b"".join(text(key) + value for key, value in metadata.items())
    offset = 0
    for name, shape, kind, size in tensors:
        made += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        made += struct.pack("<IQ", kind, offset)
        offset += padded(size, align)
    return made.ljust(padded(len(made), align), b"\0") + bytes(offset)


def padded(size: int, align: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // align) * align


def a_model(more: Mapping[str, bytes] | None = None, *, layers: int = 2, vocabulary: int = 64) -> bytes:
    """A small model of architecture llama with all that planning asks for; `more` adds or replaces metadata."""
    metadata = {
        "general.architecture": string("llama"),
        "general.name": string("Small"),
        "general.file_type": number(7),
        "llama.context_length": number(512),
        "llama.block_count": number(layers),
        "llama.embedding_length": number(64),
        "llama.feed_forward_length": number(128),
        "llama.attention.head_count": number(4),
        "llama.attention.head_count_kv": number(2),
        "tokenizer.ggml.tokens": strings([f"t{n}" for n in range(vocabulary)]),
        "tokenizer.chat_template": string("{{ messages[0].content }}"),
    }
    return gguf({**metadata, **(more or {})}, some_tensors(layers, vocabulary))


def some_tensors(layers: int, vocabulary: int) -> Tensors:
    """An embedding (Q8_0) and two tensors (F32 and Q8_0) for each layer."""
    each = [
        line
        for n in range(layers)
        for line in ((f"blk.{n}.attn_norm.weight", (64,), 0, 256), (f"blk.{n}.attn_q.weight", (64, 64), 8, 64 * 68))
    ]
    return [("token_embd.weight", (64, vocabulary), 8, vocabulary * 68), *each]
