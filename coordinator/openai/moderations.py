"""OpenAI's moderations: what a guard model of the catalogue says of texts."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called, serve_whole
from coordinator.answer.teller import Counts, Names, Told
from coordinator.api.bodies import decoded
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.verdict import codes_of, result_of, verdict_of
from coordinator.submit.body import ContentPart, PlacedBody, asked_by_body, refuse_common
from coordinator.submit.content import content_of
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import MAX_CHOICES, JobRequest, Submission, sampling
from shared.catalogue import Entry, named
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups
from shared.protocol.messages import Message

MAX_TOKENS: Final = 64
"""A verdict and all categories fit in."""


class ModerationBody(PlacedBody, frozen=True, kw_only=True):
    """`POST /v1/moderations`: a text, a list of them, or the parts of one; without a model any guard that is served."""

    input: str | list[str | ContentPart]
    model: str | None = None


_DECODER: Final = msgspec.json.Decoder(ModerationBody)


def submission(
    body: ModerationBody, model: str, header: Callable[[str], str | None], groups: Groups = NO_GROUPS
) -> Submission:
    """A job of this guard for each text; raises RequestError for what is wrong with the body."""
    refuse_common(body)
    plain = JobRequest(model=model, sampling=sampling(temperature=0.0), logprobs=0)
    return Submission(
        requests=tuple(
            msgspec.structs.replace(plain, messages=[Message("user", text)]) for text in texts_of(body.input)
        ),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        max_tokens=MAX_TOKENS,
        attached=True,
    )


def texts_of(given: str | list[str | ContentPart]) -> list[str]:
    """The texts to judge; the parts of one are one text. Raises RequestError for what is none."""
    if isinstance(given, str):
        return [given]
    texts = [one for one in given if isinstance(one, str)]
    parts = [one for one in given if isinstance(one, ContentPart)]
    if not 1 <= len(given) <= MAX_CHOICES or (texts and parts):
        raise RequestError(f"input must be a text, 1 to {MAX_CHOICES} texts, or the parts of one text.", param="input")
    if texts:
        return texts
    text, images = content_of(parts, "input")
    if images:
        raise RequestError("Guards judge text alone, not images.", code="unsupported_parameter", param="input")
    return [text or ""]


class ModerationTeller:
    """Tells verdicts as OpenAI does; `template` is the guard's, which says what its codes mean."""

    def __init__(self, names: Names, *, template: str) -> None:
        self._names = names
        self._codes = codes_of(template)

    def whole(self, answers: Sequence[Told], _counts: Counts) -> object:
        """A result for each text; raises JobFailed where a guard gave no verdict."""
        verdicts = [verdict_of(answer.text, answer.end.likely) for answer in answers]
        return {
            "id": f"modr-{self._names.id.hex}",
            "model": self._names.model,
            "results": [result_of(verdict, self._codes) for verdict in verdicts],
        }


@post(["/v1/moderations", "/moderations"], name="moderations", status_code=200)
async def moderations(request: HttpRequest) -> ASGIApp:
    """Verdicts on texts: a durable job for each, told in one piece; a client that goes away cancels them."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    face = face_of(request)
    guard = guard_of(face, body.model)
    asked = submission(body, guard.id, request.headers.get, face.groups)
    template = face.hive.vocabularies[guard.id].metadata("tokenizer.chat_template") or ""
    return await serve_whole(request, call, asked, partial(ModerationTeller, template=template))


def guard_of(face: Face, name: str | None) -> Entry:
    """The guard of this name, or without one the first, those before others that a worker online has; raises RequestError
    `invalid_model`."""
    guards = {entry.id: entry for entry in face.hive.catalogue.values() if entry.guard}
    if not guards:
        raise _no_guard("No guard model is known here: an operator pins one with `hive coordinator models add`.")
    if name is None:
        served = face.hive.hub.served
        return min(guards.values(), key=lambda entry: served.of(entry.id).workers == 0)
    entry = named(guards, name)
    if entry is None:
        raise _no_guard(f"{name[:200]!r} is no guard model here; there is {', '.join(guards)}.")
    return entry


def _no_guard(why: str) -> RequestError:
    return RequestError(why, code="invalid_model", param="model")


ROUTES: Final[list[Any]] = [moderations]
