"""What the messages are made of: offers, what a worker brings, what it holds. Signed bodies hold no floats."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

import msgspec

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]
Uuid = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
TokenIds = list[Annotated[int, msgspec.Meta(ge=0, lt=2**31)]]
Task = Literal["generate", "embed", "rank"]
"""What a model is asked to do: to write, to turn texts into vectors, or to score documents."""


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a message."""


class Sampling(Struct, frozen=True):
    """How to choose tokens, in millionths where the API has floats; top_k 0 is off."""

    temperature: int = 1_000_000
    top_p: int = 1_000_000
    min_p: int = 0
    top_k: int = 0
    presence_penalty: int = 0
    frequency_penalty: int = 0
    repetition_penalty: int = 1_000_000


IMAGE_TOKENS: Final = 4096
"""For so many tokens an image counts at most: how many it takes only the program that sees it knows."""


class Image(Struct, frozen=True):
    """A picture in a message: `url` is a data URL, `at` says how many characters (code points) of the message's content
    come before it. In a receipt's tokens_in it counts for what the program that sees it says, at most 4096."""

    at: Count
    url: str


class Message(Struct, frozen=True):
    """One message of a conversation, as the chat template sees it. Its `images` are for models that see them."""

    role: Short
    content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    images: list[Image] = []


def images_in(messages: Iterable[Message] | None) -> int:
    """How many images a conversation has."""
    return sum(len(message.images) for message in messages or ())


class OfferBody(Struct, frozen=True):
    """What one attempt is asked to do and on which terms; signed by the coordinator, so that a worker can prove it.

    `messages` go through the model's template; `prompt` goes to the model as it is. Another `task` than to generate has
    neither, but `inputs`: the texts to embed, or the query and the documents to score, and makes no tokens. `resume_ids`
    are tokens that an earlier attempt made and the client may have read: continue after them. `price` is what the attempt
    earns at most, in stroops; `scope` is an opaque name for the account, the root of the prefix cache. `tools`,
    `tool_choice` and `response_format` are OpenAI's, as JSON text (a signed body holds no floats); `logit_bias` is in
    millionths by token id; `logprobs` is how many alternatives to tell for each token, None for no logprobs at all.
    `fresh` forbids reading the prefix cache.
    """

    job_id: Uuid
    attempt: Count
    worker_pk: Hex32
    model_id: Short
    model_digest: Hex32
    max_tokens: Count
    sampling: Sampling
    stop: list[str]
    seed: Short
    salt: Hex32
    price: Count
    scope: Short
    cell: Short
    jurisdictions: list[Short]
    evidence: Short
    geo_digest: Hex32
    expires_at: Count
    messages: list[Message] | None = None
    prompt: str | None = None
    resume_ids: TokenIds = []
    tools: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool = True
    response_format: str | None = None
    logit_bias: dict[Short, int] = {}
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    fresh: bool = False
    task: Task = "generate"
    inputs: list[str] = []


class ModelOffer(Struct, frozen=True):
    """A model file that the worker can serve.

    `verifiability` is weak where another program makes the tokens, so that nobody can replay them. Speeds are measured
    tokens per second for one stream, in thousandths; 0 while nothing was measured. `tasks` are what the model can be
    asked here; `vision`: it sees the images of messages.
    """

    id: Short
    digest: Hex32
    context: Count
    size_bytes: Count
    loaded: bool = False
    verifiability: Literal["seeded", "weak"] = "seeded"
    loading: bool = False
    prompt_mtps: Count = 0
    mtps: Count = 0
    tasks: tuple[Task, ...] = ("generate",)
    vision: bool = False


class Gpu(Struct, frozen=True):
    """A device as ggml reports it; memory in bytes."""

    name: Short
    backend: Short
    memory_total: Count
    memory_free: Count


class Hardware(Struct, frozen=True):
    """What the worker's probe found; memory in bytes, tflops_milli in 10^-3 TFLOP/s (measured, else 0)."""

    cpu: Short
    cores: Count
    memory_total: Count
    memory_free: Count
    os: Short
    gpus: list[Gpu] = []
    tflops_milli: Count = 0


class Capabilities(Struct, frozen=True):
    """What a worker brings: where it says it is, what it can run, how much at once, and for how little: `price_floor` is
    in stroops per million tokens that an attempt may make."""

    cell: Short
    slots: Count
    models: list[ModelOffer]
    hardware: Hardware
    engine_build: Short
    agent: Short
    handle: Short | None = None
    jobs: bool = True
    price_floor: Count = 0


class Held(Struct, frozen=True):
    """An attempt that the worker still holds after a lost connection: its state, and how many tokens it made."""

    job_id: Uuid
    attempt: Count
    state: Literal["running", "done"]
    tokens: Count


class Logprob(Struct, frozen=True):
    """How likely a token was, before sampling: natural logarithm in millionths (0 or less), and the likeliest tokens with
    theirs, likeliest first."""

    micros: int
    top: list[tuple[int, int]] = []
