"""What a worker and its engine process say to each other: length-prefixed msgpack on the engine's stdin and stdout."""

from typing import Final, Literal

import msgspec

from shared.protocol.messages import Gpu, Sampling

PREFIX_BYTES: Final = 4
MAX_BYTES: Final = 64 << 20


class Load(msgspec.Struct, frozen=True, tag="load"):
    """The first message: the GGUF file, how many requests at once, tokens of context for each of them, threads
    (0: by the machine and the model), and the owner's cap in tokens per second over all of them (0: none)."""

    path: str
    slots: int
    context: int
    threads: int = 0
    max_tps: float = 0.0


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    """One request: continue after `prompt` and `resume`. `max_tokens` counts the resumed tokens too, and the sampler's
    position of the first new token is their number."""

    number: int
    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    seed: int
    stop: list[str] = []
    resume: list[int] = []


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop this request between two steps; nothing more is said of it."""

    number: int


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model is ready: context in tokens for each slot, and the devices that ggml found beside the CPU."""

    context: int
    slots: int
    threads: int
    engine_build: str
    load_ms: int
    gpus: list[Gpu] = []


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """The model cannot be served from this file; trying again changes nothing."""

    message: str


class Prefill(msgspec.Struct, frozen=True, tag="prefill"):
    """`done` of `total` tokens of the prompt are read."""

    number: int
    done: int
    total: int


class Made(msgspec.Struct, frozen=True, tag="made"):
    """New tokens and the text that they make certain."""

    number: int
    ids: list[int]
    text: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The answer is whole: `text` is what was still held back. Durations in ms."""

    number: int
    reason: Literal["stop", "length"]
    text: str
    prefill_ms: int
    decode_ms: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The request is over without an answer; `retryable`: another engine may do better."""

    number: int
    code: str
    message: str
    retryable: bool


ToEngine = Load | Generate | Cancel
OfRequest = Prefill | Made | Finished | Failed
FromEngine = Loaded | LoadFailed | Prefill | Made | Finished | Failed

_ENCODER: Final = msgspec.msgpack.Encoder()
_TO_ENGINE: Final[msgspec.msgpack.Decoder[ToEngine]] = msgspec.msgpack.Decoder(ToEngine)
_FROM_ENGINE: Final[msgspec.msgpack.Decoder[FromEngine]] = msgspec.msgpack.Decoder(FromEngine)


def packed(message: ToEngine | FromEngine) -> bytes:
    """The message with its length in front."""
    body = _ENCODER.encode(message)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def length_of(prefix: bytes) -> int:
    """The body's length in bytes; raises ValueError if it is over 64 MiB."""
    length = int.from_bytes(prefix, "big")
    if length > MAX_BYTES:
        raise ValueError(f"a message of {length} bytes is over the {MAX_BYTES} of the engine's pipe")
    return length


def to_engine(body: bytes) -> ToEngine:
    """The worker's message of this body; raises msgspec.DecodeError."""
    return _TO_ENGINE.decode(body)


def from_engine(body: bytes) -> FromEngine:
    """The engine's message of this body; raises msgspec.DecodeError."""
    return _FROM_ENGINE.decode(body)
