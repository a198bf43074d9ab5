"""What a caller wants done: the one request that every face translates into, and the sampling in millionths."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from coordinator.submit.callback import Callback
from coordinator.submit.placement import Placement
from shared.errors import RequestError
from shared.protocol.messages import Image, Message, Sampling, Task

MILLION: Final = 1_000_000
MAX_STOPS: Final = 64
MAX_STOP_LENGTH: Final = 1000
MAX_SEED_LENGTH: Final = 200
MAX_CHOICES: Final = 128
MAX_FALLBACKS: Final = 16
MAX_BIASES: Final = 1024
MAX_BIAS: Final = 100.0
DEFAULT_DEADLINE: Final = timedelta(hours=24)
MAX_DEADLINE_S: Final = 30 * 24 * 3600


class JobRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model is given and how it chooses tokens; kept as JSON on the job until its end is purged.

    Exactly one of `messages` (through the model's template) and `prompt` (to the model as it is) is there, or for another
    `task` than to generate its `inputs`: texts to embed, or a query and the documents to score. `tools`,
    `tool_choice` and `response_format` are OpenAI's as JSON text; `logit_bias` is in millionths by token id, `logprobs` how
    many alternatives to tell for each token (None: no logprobs); `fresh`: the caller gave the seed, so no cache is read.
    `trace` is that which it belongs to, as W3C's traceparent writes it.
    """

    model: str
    messages: list[Message] | None = None
    prompt: str | None = None
    sampling: Sampling = Sampling()
    stop: list[str] = []
    tools: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool = True
    response_format: str | None = None
    logit_bias: dict[str, int] = {}
    logprobs: int | None = None
    fresh: bool = False
    task: Task = "generate"
    inputs: list[str] = []
    trace: str | None = None

    @property
    def images(self) -> list[Image]:
        """The images of all its messages."""
        return [image for message in self.messages or [] for image in message.images]

    @property
    def needs_seeded(self) -> bool:
        """Whether it asks for what only our own engine does, or for an answer that can be had again."""
        asked = self.tools, self.response_format, self.logprobs
        return self.fresh or bool(self.logit_bias) or any(part is not None for part in asked)


class Submission(msgspec.Struct, frozen=True):
    """Requests that are answered together, each `n` times, with the caller's terms: what every face translates into.

    All name the same model; `fallbacks` are tried in their order where it cannot be had. `max_tokens` as asked, `reward` in
    stroops for each answer (None: by the model's price). `echo` is what the face has to say of it again, where it keeps it;
    `cache_key` what makes it the same again, where its answer may be given again.
    """

    requests: tuple[JobRequest, ...]
    placement: Placement
    source: Literal["hive", "v1"]
    max_tokens: int | None = None
    seed: str | None = None
    reward: int | None = None
    priority: Literal["interactive", "batch"] = "interactive"
    deadline: timedelta = DEFAULT_DEADLINE
    store: bool = False
    attached: bool = False
    n: int = 1
    fallbacks: tuple[str, ...] = ()
    echo: bytes | None = None
    callback: Callback | None = None
    cache_key: bytes | None = None

    @property
    def request(self) -> JobRequest:
        """The first request: what they have in common can be read from it."""
        return self.requests[0]

    def traced(self, trace: str) -> "Submission":
        """The same as a part of this trace."""
        requests = tuple(msgspec.structs.replace(request, trace=trace) for request in self.requests)
        return msgspec.structs.replace(self, requests=requests)


def sampling(
    *,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    repetition_penalty: float | None = None,
) -> Sampling:
    """The sampling in millionths; None takes the default, top_k -1 is off; raises RequestError naming what is out of
    range."""
    return Sampling(
        temperature=_millionths("temperature", temperature, 1.0, 0.0, 2.0),
        top_p=_millionths("top_p", top_p, 1.0, 0.0, 1.0),
        min_p=_millionths("min_p", min_p, 0.0, 0.0, 1.0),
        top_k=_top_k(top_k),
        presence_penalty=_millionths("presence_penalty", presence_penalty, 0.0, -2.0, 2.0),
        frequency_penalty=_millionths("frequency_penalty", frequency_penalty, 0.0, -2.0, 2.0),
        repetition_penalty=_millionths("repetition_penalty", repetition_penalty, 1.0, 0.01, 2.0),
    )


def stops(stop: str | list[str] | None) -> list[str]:
    """The stop strings of a request, empty ones left out; raises RequestError if they are too many or too long."""
    given = [stop] if isinstance(stop, str) else stop or []
    if len(given) > MAX_STOPS or any(len(text) > MAX_STOP_LENGTH for text in given):
        raise RequestError(f"stop takes up to {MAX_STOPS} strings of up to {MAX_STOP_LENGTH} characters.", param="stop")
    return [text for text in given if text]


def biases(logit_bias: Mapping[str, float] | None) -> dict[str, int]:
    """The logit biases by token id in millionths, those of 0 left out; raises RequestError for what is no token or out of
    range."""
    given = logit_bias or {}
    if len(given) > MAX_BIASES:
        raise RequestError(f"logit_bias takes up to {MAX_BIASES} tokens.", param="logit_bias")
    for token, value in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) <= 9):
            raise RequestError(f"logit_bias: {token[:40]!r} is not a token id.", param="logit_bias")
        if not -MAX_BIAS <= value <= MAX_BIAS:
            raise RequestError(f"logit_bias must be between -100 and 100, got {value:g}.", param="logit_bias")
    return {str(int(token)): round(value * MILLION) for token, value in given.items() if value}


def seed_text(seed: int | str | None) -> str | None:
    """The caller's seed as the text that the sampler's seed is derived from; None leaves it to Hive."""
    text = None if seed is None else str(seed)
    if text is not None and (len(text) > MAX_SEED_LENGTH or not text.isprintable()):
        raise RequestError(f"seed takes up to {MAX_SEED_LENGTH} printable characters.", param="seed")
    return text


def choices(n: int | None, prompts: int = 1) -> int:
    """How many answers each prompt gets: 1 where nothing is said; raises RequestError for none, or more than 128 in all."""
    each = 1 if n is None else n
    if not 1 <= each * prompts <= MAX_CHOICES:
        raise RequestError(f"n must be at least 1, and at most {MAX_CHOICES} answers are made at once.", param="n")
    return each


def models_of(model: str | None, models: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    """The model that is asked for, by OpenRouter's list alone too, and those to be tried after it, each once; raises
    RequestError for none, or more than 16 others."""
    first, *others = dict.fromkeys([*([model] if model else []), *(models or ())]) or [""]
    if not first:
        raise RequestError("model is missing.", param="model")
    if len(others) > MAX_FALLBACKS:
        raise RequestError(f"models takes up to {MAX_FALLBACKS} models.", param="models")
    return first, tuple(others)


def max_tokens_asked(max_tokens: int | None, param: str = "max_tokens") -> int | None:
    """The caller's limit, checked to be at least 1; None leaves it to the room in the context."""
    if max_tokens is not None and max_tokens < 1:
        raise RequestError(f"{param} must be at least 1, got {max_tokens}.", param=param)
    return max_tokens


def deadline(seconds: float | None) -> timedelta:
    """How long the job may take, waiting included: more than 0 s, up to 30 days, 24 h by default."""
    if seconds is None:
        return DEFAULT_DEADLINE
    if not 0 < seconds <= MAX_DEADLINE_S:
        raise RequestError(f"deadline_s must be above 0 and at most {MAX_DEADLINE_S}.", param="deadline_s")
    return timedelta(seconds=seconds)


def _millionths(name: str, value: float | None, default: float, low: float, high: float) -> int:
    number = default if value is None else value
    if not low <= number <= high:
        raise RequestError(f"{name} must be between {low:g} and {high:g}, got {number:g}.", param=name)
    return round(number * MILLION)


def _top_k(value: int | None) -> int:
    if value is None or value == -1:
        return 0
    if not 0 <= value < 2**31:
        raise RequestError(f"top_k must be 0 (off) or more, got {value}.", param="top_k")
    return value
