"""What a worker and its engine process say to each other: length-prefixed msgpack on the engine's stdin and stdout."""

from typing import BinaryIO, Final, Literal

import msgspec

from shared.protocol.messages import Gpu, Logprob, Message, Sampling, Task

PREFIX_BYTES: Final = 4
MAX_BYTES: Final = 64 << 20


class Load(msgspec.Struct, frozen=True, tag="load"):
    """The first message: the GGUF file, how many requests at once, tokens of context for each of them, threads
    (0: by the machine and the model), and the owner's caps: tokens per second over all requests (0: none), and bytes of
    memory on GPUs (None: whatever is free; 0: no GPU at all)."""

    path: str
    slots: int
    context: int
    threads: int = 0
    max_tps: float = 0.0
    gpu_bytes: int | None = None


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    """One request: continue after `messages` (through the model's template) or `prompt` (as it is), and `resume`.

    `max_tokens` counts the resumed tokens too, and the sampler's position of the first new token is their number.
    `tools`, `tool_choice` and `response_format` are OpenAI's as JSON text; `logit_bias` is in millionths by token id;
    `logprobs` is how many alternatives to tell (None: no logprobs). Prompts of one `scope` share cached prefixes;
    `fresh` reads none.
    """

    number: int
    max_tokens: int
    sampling: Sampling
    seed: int
    messages: list[Message] | None = None
    prompt: str | None = None
    stop: list[str] = []
    resume: list[int] = []
    scope: str = ""
    fresh: bool = False
    tools: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool = True
    response_format: str | None = None
    logit_bias: dict[str, int] = {}
    logprobs: int | None = None


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    """Embed each text; the vectors are normalised."""

    number: int
    texts: list[str]


class Rank(msgspec.Struct, frozen=True, tag="rank"):
    """Score how well each document answers the query."""

    number: int
    query: str
    documents: list[str]


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop this request between two steps; nothing more is said of it."""

    number: int


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model is ready: context in tokens for each slot, the devices that ggml found beside the CPU, where the layers
    went in a sentence, what it can be asked, and whether it sees images."""

    context: int
    slots: int
    threads: int
    engine_build: str
    load_ms: int
    gpus: list[Gpu] = []
    placement: str = ""
    tasks: tuple[Task, ...] = ("generate",)
    vision: bool = False


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """The model cannot be served from this file; trying again changes nothing."""

    message: str


class Prefill(msgspec.Struct, frozen=True, tag="prefill"):
    """`done` of `total` tokens of the prompt are read, or were in the cache."""

    number: int
    done: int
    total: int


class Made(msgspec.Struct, frozen=True, tag="made"):
    """New tokens, the text that they make certain, and a logprob for each token if the request asked for them."""

    number: int
    ids: list[int]
    text: str
    logprobs: list[Logprob] = []


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The answer is whole: `text` is what was still held back. `tokens_in` is the length of the prompt, of which
    `cached_tokens` were not computed. Durations in ms."""

    number: int
    reason: Literal["stop", "length"]
    text: str
    tokens_in: int
    cached_tokens: int
    prefill_ms: int
    decode_ms: int


class Embedded(msgspec.Struct, frozen=True, tag="embedded"):
    """A vector for each text, as little-endian float32, and how many tokens were read in all."""

    number: int
    vectors: list[bytes]
    tokens_in: int


class Ranked(msgspec.Struct, frozen=True, tag="ranked"):
    """A score for each document, higher is better, and how many tokens were read in all."""

    number: int
    scores: list[float]
    tokens_in: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The request is over without an answer; `retryable`: another engine may do better."""

    number: int
    code: str
    message: str
    retryable: bool


ToEngine = Load | Generate | Embed | Rank | Cancel
OfRequest = Prefill | Made | Finished | Embedded | Ranked | Failed
FromEngine = Loaded | LoadFailed | OfRequest

_ENCODER: Final = msgspec.msgpack.Encoder()
_TO_ENGINE: Final[msgspec.msgpack.Decoder[ToEngine]] = msgspec.msgpack.Decoder(ToEngine)
_FROM_ENGINE: Final[msgspec.msgpack.Decoder[list[FromEngine]]] = msgspec.msgpack.Decoder(list[FromEngine])


def packed(message: ToEngine | list[FromEngine]) -> bytes:
    """A command, or all that came of a step, with its length in front."""
    return framed(_ENCODER.encode(message))


def framed(body: bytes) -> bytes:
    """A body with its length in front."""
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def next_body(stream: BinaryIO) -> bytes | None:
    """The next body; None once the other side has closed its end, or is gone in the middle of one. Raises ValueError if
    it is over 64 MiB."""
    prefix = stream.read(PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        return None
    length = length_of(prefix)
    body = stream.read(length)
    return body if len(body) == length else None


def length_of(prefix: bytes) -> int:
    """The body's length in bytes; raises ValueError if it is over 64 MiB."""
    length = int.from_bytes(prefix, "big")
    if length > MAX_BYTES:
        raise ValueError(f"a message of {length} bytes is over the {MAX_BYTES} of the engine's pipe")
    return length


def to_engine(body: bytes) -> ToEngine:
    """The worker's message of this body; raises msgspec.DecodeError."""
    return _TO_ENGINE.decode(body)


def from_engine(body: bytes) -> list[FromEngine]:
    """What the engine says in this body; raises msgspec.DecodeError."""
    return _FROM_ENGINE.decode(body)
