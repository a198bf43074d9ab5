"""OpenAI's chat completions: the body translated to the one request of Hive, and its answers told as OpenAI does."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.said import Likely
from coordinator.answer.serve import called, serve
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.api.bodies import MEDIA_BODY, decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.common import (
    Chunks,
    Delta,
    StreamOptions,
    calls_of,
    deltas,
    head,
    likelihoods,
    text_of,
    usage,
)
from coordinator.submit.body import (
    CommonBody,
    asked_by_body,
    conversation,
    form_of,
    refuse_common,
    refuse_if,
    request_of,
)
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import (
    Submission,
    choices,
    max_tokens_asked,
    models_of,
    seed_text,
)
from shared.chat.events import Event, Reasoning
from shared.errors import HiveError, RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups

MAX_TOP: Final = 20


class ChatBody(CommonBody, frozen=True, kw_only=True):
    """`POST /v1/chat/completions`: OpenAI's fields, OpenRouter's sampling fields and Hive's placement."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    functions: list[Any] | None = None
    function_call: Any = None
    modalities: list[str] | None = None
    audio: Any = None
    web_search_options: Any = None
    moderation: Any = None
    models: list[str] | None = None
    store: bool | None = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of token counts."""
        return bool(self.stream_options and self.stream_options.include_usage)


_DECODER: Final = msgspec.json.Decoder(ChatBody)


def submission(body: ChatBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS) -> Submission:
    """The request that a chat body asks for; raises RequestError for what is wrong or not supported.

    `max_completion_tokens` goes before `max_tokens`; the job lives as long as somebody reads it.
    """
    if body.messages is None:
        raise RequestError("messages is missing.", param="messages")
    refuse_common(body)
    model, others = models_of(body.model, body.models)
    _refuse(body)
    messages = conversation(body.messages)
    plain = request_of(model, body, form_of(body))
    return Submission(
        requests=(msgspec.structs.replace(plain, messages=messages, logprobs=_logprobs(body)),),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        max_tokens=_max_tokens(body),
        seed=seed_text(body.seed),
        store=bool(body.store),
        attached=True,
        n=choices(body.n),
        fallbacks=others,
    )


def _max_tokens(body: ChatBody) -> int | None:
    if body.max_completion_tokens is not None:
        return max_tokens_asked(body.max_completion_tokens, "max_completion_tokens")
    return max_tokens_asked(body.max_tokens)


def _logprobs(body: ChatBody) -> int | None:
    """How many alternatives to tell for each token; None for no logprobs."""
    top = body.top_logprobs
    if top is not None and not 0 <= top <= MAX_TOP:
        raise RequestError(f"top_logprobs must be between 0 and {MAX_TOP}, got {top}.", param="top_logprobs")
    if top and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs: true.", param="top_logprobs")
    return (top or 0) if body.logprobs else None


def _refuse(body: ChatBody) -> None:
    refuse_if(bool(body.functions) and body.function_call != "none", "functions")
    refuse_if(any(modality != "text" for modality in body.modalities or []), "modalities")
    refuse_if(bool(body.audio), "audio")
    refuse_if(body.web_search_options is not None, "web_search_options")
    refuse_if(bool(body.moderation), "moderation")


class ChatTeller:
    """Tells a chat's answers as OpenAI does."""

    def __init__(self, names: Names, *, n: int = 1, include_usage: bool = False) -> None:
        self._names = names
        self._n = n
        self._chunks = Chunks(names, "chat.completion.chunk", include_usage=include_usage)

    def opening(self) -> bytes:
        """The role, once for each choice."""
        first = {"role": "assistant", "content": ""}
        return b"".join(self._choice(choice, first, None) for choice in range(self._n))

    def more(self, choice: int, events: Sequence[Event], likely: list[Likely] | None) -> bytes:
        """Deltas, the first with what is told of all tokens since the last."""
        told = list(deltas(events))
        if not told:
            return b""
        first = self._choice(choice, told[0], likelihoods(likely))
        return first + b"".join(self._choice(choice, delta, likelihoods(None)) for delta in told[1:])

    def ended(self, choice: int, end: End) -> bytes:
        """The finish reason, once, with what of the tokens is left to be told."""
        return self._choice(choice, {}, likelihoods(end.likely or None), end.finish_reason)

    def closing(self, counts: Counts) -> bytes:
        """The counts if they were asked for, and the end."""
        return self._chunks.closing(counts)

    def broken(self, error: HiveError) -> bytes:
        """An error, and nothing that looks like a normal end."""
        return self._chunks.broken(error)

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """A `chat.completion`."""
        choices = [
            {
                "index": choice,
                "message": message_of(told.events),
                "logprobs": likelihoods(told.end.likely),
                "finish_reason": told.end.finish_reason,
            }
            for choice, told in enumerate(answers)
        ]
        return {**head(self._names, "chat.completion"), "choices": choices, "usage": usage(counts)}

    def _choice(self, choice: int, delta: Delta, logprobs: dict[str, Any] | None, reason: str | None = None) -> bytes:
        return self._chunks.choice({"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason})


def message_of(events: Sequence[Event]) -> dict[str, Any]:
    """The whole message that these events tell."""
    content, reasoning = text_of(events), text_of(events, Reasoning)
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in calls_of(events)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": content or (None if calls else ""), "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    return message | {"tool_calls": calls} if calls else message


@post(
    ["/v1/chat/completions", "/chat/completions"],
    name="chat_completions",
    status_code=200,
    request_max_body_size=MEDIA_BODY,
)
async def chat_completions(request: HttpRequest) -> ASGIApp:
    """A chat completion: a durable job for each choice, streamed or in one piece; a client that goes away cancels it."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    asked = submission(body, request.headers.get, face_of(request).groups)
    tell = partial(ChatTeller, n=asked.n, include_usage=body.include_usage)
    return await serve(request, call, asked, tell, stream=bool(body.stream))


ROUTES: Final[list[Any]] = [chat_completions]
