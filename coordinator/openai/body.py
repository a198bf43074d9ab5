"""A chat completion's body, translated to the one request of Hive."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from coordinator.submit.body import (
    CommonBody,
    asked_by_body,
    conversation,
    form_of,
    refuse_common,
    refuse_if,
    sampling_of,
)
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import JobRequest, Submission, biases, max_tokens_asked, seed_text, stops
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups

MAX_TOP: Final = 20


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream holds besides the answer."""

    include_usage: bool | None = None


class ChatBody(CommonBody, frozen=True, kw_only=True):
    """`POST /v1/chat/completions`: OpenAI's fields, OpenRouter's sampling fields and Hive's placement."""

    model: str
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

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of token counts."""
        return bool(self.stream_options and self.stream_options.include_usage)


def submission(body: ChatBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS) -> Submission:
    """The request that a chat body asks for; raises RequestError for what is wrong or not supported.

    `max_completion_tokens` goes before `max_tokens`; the job lives as long as somebody reads it.
    """
    if body.messages is None:
        raise RequestError("messages is missing.", param="messages")
    refuse_common(body)
    _refuse(body)
    form = form_of(body)
    return Submission(
        request=JobRequest(
            model=body.model,
            messages=conversation(body.messages),
            sampling=sampling_of(body),
            stop=stops(body.stop),
            logit_bias=biases(body.logit_bias),
            tools=form.tools,
            tool_choice=form.tool_choice,
            parallel_tool_calls=form.parallel_tool_calls,
            response_format=form.response_format,
            logprobs=_logprobs(body),
        ),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        max_tokens=_max_tokens(body),
        seed=seed_text(body.seed),
        attached=True,
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
    if body.n is not None and body.n < 1:
        raise RequestError(f"n must be at least 1, got {body.n}.", param="n")
    refuse_if((body.n or 1) > 1, "n")
    refuse_if(bool(body.functions) and body.function_call != "none", "functions")
    refuse_if(any(modality != "text" for modality in body.modalities or []), "modalities")
    refuse_if(bool(body.audio), "audio")
    refuse_if(body.web_search_options is not None, "web_search_options")
