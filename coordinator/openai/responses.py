"""OpenAI's Responses API: answers that are kept and continued; each is a durable job."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import Call, called, serve, serve_whole
from coordinator.answer.teller import Names
from coordinator.api.answers import json_answer
from coordinator.api.bodies import MEDIA_BODY, check_size, decoded
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.responses_body import ResponseBody, check, echo, in_its_words, submission
from coordinator.openai.responses_compact import ASK, NONCE_BYTES, CompactTeller, Seal, summarising
from coordinator.openai.responses_fit import fitting
from coordinator.openai.responses_items import continued, referenced, with_references
from coordinator.openai.responses_kept import retold
from coordinator.openai.responses_stored import counting, earlier, find, named_items, shown
from coordinator.openai.responses_teller import ResponseTeller
from coordinator.store.callers import KeyRow
from coordinator.submit.request import Submission
from shared.protocol.messages import Message

_DECODER: Final = msgspec.json.Decoder(ResponseBody)


@post(["/v1/responses", "/responses"], name="create_response", status_code=200, request_max_body_size=MEDIA_BODY)
async def create_response(request: HttpRequest) -> ASGIApp:
    """A response: streamed, in one piece, or in the background, where it goes on without a reader."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    face = face_of(request)
    with in_its_words():
        asked = await asked_of(face, call.key, body, request.headers.get)
        if body.background:
            return await _in_background(request, call, asked, stream=bool(body.stream))
        return await serve(request, call, asked, partial(teller_of, face, body), stream=bool(body.stream))


@post(
    ["/v1/responses/compact", "/responses/compact"],
    name="compact_response",
    status_code=200,
    request_max_body_size=MEDIA_BODY,
)
async def compact_response(request: HttpRequest) -> ASGIApp:
    """A conversation made short by its model: what the user said, and a sealed summary that later requests bring back."""
    call = await called(request)
    body = summarising(decoded(_DECODER, call.raw))
    face = face_of(request)
    with in_its_words():
        check(body)
        messages = await _conversation(face, call.key, body)
        asked = submission(body, [*messages, Message(role="user", content=ASK)], request.headers.get, face.groups)
        tell = partial(_compact_teller, face, messages, _seal(face, call.key))
        return await serve_whole(request, call, asked, tell)


@post(
    ["/v1/responses/input_tokens", "/responses/input_tokens"],
    name="count_response_tokens",
    status_code=200,
    request_max_body_size=MEDIA_BODY,
)
async def count_response_tokens(request: HttpRequest) -> ASGIApp:
    """How many tokens the model would read, by its own template and vocabulary; costs nothing."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    face = face_of(request)
    with in_its_words():
        asked = await asked_of(face, call.key, body, request.headers.get)
        check_size(call.sent.size, media=bool(asked.request.images))
        count = await face.intake.count(asked, call.key)
    return json_answer({"object": "response.input_tokens", "input_tokens": count})


async def asked_of(
    face: Face, key: KeyRow, body: ResponseBody, header: Callable[[str], str | None]
) -> Submission:  # fmt: skip
    """What a body asks for, in the conversation that it continues; raises RequestError for what is wrong with it."""
    check(body)
    asked = submission(body, await _conversation(face, key, body), header, face.groups)
    return await fitting(face, key, asked) if body.truncation == "auto" else asked


async def _conversation(face: Face, key: KeyRow, body: ResponseBody) -> list[Message]:
    account, items = key.account_id, body.items
    before = [] if body.previous_response_id is None else await earlier(face, account, body.previous_response_id)
    if named := referenced(items):
        items = with_references(items, await named_items(face, account, named))
    return continued(before, items, _seal(face, key).open)


async def _in_background(request: HttpRequest, call: Call, asked: Submission, *, stream: bool) -> ASGIApp:
    """Takes a job that nobody has to read, and tells how it stands, or of it as it goes."""
    face, account = face_of(request), call.key.account_id
    await face.admit(request, asked)
    accepted = await face.intake.take(asked, call.key, call.sent)
    if stream:
        return await retold(face, account, accepted.id, accepted.trace)
    return json_answer(shown(await find(face, account, accepted.id)), 200, accepted.trace.headers())


def teller_of(face: Face, body: ResponseBody, names: Names) -> ResponseTeller:
    """Tells what a body asked for."""
    return ResponseTeller(names, echo=echo(body), count=counting(face.hive.vocabularies[names.model]))


def _compact_teller(face: Face, messages: list[Message], seal: Seal, names: Names) -> CompactTeller:
    count = counting(face.hive.vocabularies[names.model])
    return CompactTeller(names, messages=messages, count=count, seal=seal, nonce=os.urandom(NONCE_BYTES))


def _seal(face: Face, key: KeyRow) -> Seal:
    return Seal(face.hive.secrets.pepper, key.account_id)


ROUTES: Final[list[Any]] = [create_response, compact_response, count_response_tokens]
