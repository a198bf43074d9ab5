"""OpenAI's (older) text completions: prompts as they are, one answer or several for each."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.said import Likely
from coordinator.answer.serve import called, serve
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.api.bodies import decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.common import MILLION, Chunks, StreamOptions, head, text_of, usage
from coordinator.openai.inputs import Spell, speller, texts_of
from coordinator.submit.body import (
    AskedForm,
    SampledBody,
    asked_by_body,
    form_of,
    refuse_common,
    refuse_if,
    request_of,
)
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import (
    MAX_CHOICES,
    Submission,
    choices,
    max_tokens_asked,
    models_of,
    seed_text,
)
from shared.chat.events import Event
from shared.errors import HiveError, RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups

MAX_TOP: Final = 5


class CompletionBody(SampledBody, frozen=True, kw_only=True):
    """`POST /v1/completions`: OpenAI's fields, OpenRouter's sampling fields and Hive's placement. A prompt is text or token
    ids, or a list of either."""

    model: str
    prompt: str | list[Any] | None = None
    max_tokens: int | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    n: int | None = None
    logprobs: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    models: list[str] | None = None
    response_format: Any = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of token counts."""
        return bool(self.stream_options and self.stream_options.include_usage)


_DECODER: Final = msgspec.json.Decoder(CompletionBody)


def submission(
    body: CompletionBody, header: Callable[[str], str | None], spell: Spell, groups: Groups = NO_GROUPS
) -> Submission:
    """The requests that a body asks for, one for each prompt; raises RequestError for what is wrong or not supported."""
    refuse_common(body)
    model, others = models_of(body.model, body.models)
    refuse_if(bool(body.suffix), "suffix")
    refuse_if((body.best_of or 1) > (body.n or 1), "best_of")
    refuse_if(bool(body.echo) and body.logprobs is not None, "echo with logprobs")
    prompts = texts_of(body.prompt, spell, "prompt", MAX_CHOICES)
    if body.logprobs is not None and not 0 <= body.logprobs <= MAX_TOP:
        raise RequestError(f"logprobs must be between 0 and {MAX_TOP}, got {body.logprobs}.", param="logprobs")
    plain = request_of(model, body, form_of(AskedForm(response_format=body.response_format)))
    return Submission(
        requests=tuple(msgspec.structs.replace(plain, prompt=prompt, logprobs=body.logprobs) for prompt in prompts),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        max_tokens=max_tokens_asked(body.max_tokens),
        seed=seed_text(body.seed),
        attached=True,
        n=choices(body.n, len(prompts)),
        fallbacks=others,
    )


class CompletionTeller:
    """Tells completions as OpenAI does; with `echo` each begins with its prompt."""

    def __init__(
        self, names: Names, *, prompts: Sequence[str] = (), include_usage: bool = False, tops: int = 0
    ) -> None:
        self._names = names
        self._prompts = prompts
        self._tops = tops
        self._lengths: dict[int, int] = {}
        self._chunks = Chunks(names, "text_completion", include_usage=include_usage)

    def opening(self) -> bytes:
        """The prompts, where they are echoed."""
        return b"".join(self._choice(choice, prompt, None) for choice, prompt in enumerate(self._prompts))

    def more(self, choice: int, events: Sequence[Event], likely: list[Likely] | None) -> bytes:
        """A piece of the text."""
        text = text_of(events)
        return self._choice(choice, text, self._likelihoods(choice, likely)) if text else b""

    def ended(self, choice: int, end: End) -> bytes:
        """The finish reason, once."""
        return self._choice(choice, "", self._likelihoods(choice, end.likely or None), end.finish_reason)

    def closing(self, counts: Counts) -> bytes:
        """The counts if they were asked for, and the end."""
        return self._chunks.closing(counts)

    def broken(self, error: HiveError) -> bytes:
        """An error, and nothing that looks like a normal end."""
        return self._chunks.broken(error)

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """A `text_completion`."""
        prompts = self._prompts or [""] * len(answers)
        told = [
            {
                "index": choice,
                "text": prompt + text_of(answer.events),
                "logprobs": self._likelihoods(choice, answer.end.likely),
                "finish_reason": answer.end.finish_reason,
            }
            for choice, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        ]
        return {**head(self._names, "text_completion"), "choices": told, "usage": usage(counts)}

    def _choice(self, choice: int, text: str, logprobs: dict[str, Any] | None, reason: str | None = None) -> bytes:
        return self._chunks.choice({"index": choice, "text": text, "logprobs": logprobs, "finish_reason": reason})

    def _likelihoods(self, choice: int, likely: list[Likely] | None) -> dict[str, Any] | None:
        """OpenAI's older shape: lists side by side, with where each token begins in the text."""
        if likely is None:
            return None
        tokens = [one.raw.decode("utf-8", "replace") for one in likely]
        start = self._lengths.get(choice, 0)
        *offsets, self._lengths[choice] = accumulate(map(len, tokens), initial=start)
        tops = [{raw.decode("utf-8", "replace"): micros / MILLION for raw, micros in one.top} for one in likely]
        return {
            "tokens": tokens,
            "token_logprobs": [one.micros / MILLION for one in likely],
            "top_logprobs": tops if self._tops else None,
            "text_offset": offsets,
        }


@post(["/v1/completions", "/completions"], name="completions", status_code=200)
async def completions(request: HttpRequest) -> ASGIApp:
    """Text completions: a durable job for each answer, streamed or in one piece; a client that goes away cancels them."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    face = face_of(request)
    asked = submission(body, request.headers.get, speller(face, body.model, "prompt"), face.groups)
    prompts = [each.prompt or "" for each in asked.requests for _ in range(asked.n)] if body.echo else []
    tell = partial(CompletionTeller, prompts=prompts, include_usage=body.include_usage, tops=body.logprobs or 0)
    return await serve(request, call, asked, tell, stream=bool(body.stream))


ROUTES: Final[list[Any]] = [completions]
