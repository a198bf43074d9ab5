"""The endpoints that a batch may be for. A line's body is read and told by the very face that serves it by itself."""

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, assert_never, get_args

import msgspec

from coordinator.answer.teller import TellWhole
from coordinator.api.bodies import decoded
from coordinator.api.face import Face
from coordinator.openai import chat, completions, embeddings, responses
from coordinator.openai.chat import ChatBody, ChatTeller
from coordinator.openai.completions import CompletionBody, CompletionTeller
from coordinator.openai.embeddings import EmbeddingBody, EmbeddingTeller
from coordinator.openai.inputs import known, speller
from coordinator.openai.responses_body import ResponseBody, check, in_its_words, submission
from coordinator.store.callers import KeyRow
from coordinator.submit.request import Submission
from shared.errors import RequestError

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
ENDPOINTS: Final[tuple[Endpoint, ...]] = get_args(Endpoint)
Header = Callable[[str], str | None]

_CHAT: Final = msgspec.json.Decoder(ChatBody)
_COMPLETION: Final = msgspec.json.Decoder(CompletionBody)
_EMBEDDING: Final = msgspec.json.Decoder(EmbeddingBody)
_RESPONSE: Final = msgspec.json.Decoder(ResponseBody)


class Read(msgspec.Struct, frozen=True):
    """A line's body: what it asks for, of a response without the conversation before it, and how its answers are told."""

    asked: Submission
    tell: TellWhole


def read(face: Face, endpoint: Endpoint, raw: bytes, header: Header) -> Read:
    """A line's body; raises RequestError for what is wrong with it, or cannot be told afterwards."""
    match endpoint:
        case "/v1/chat/completions":
            found = _chat(face, raw, header)
        case "/v1/completions":
            found = _completion(face, raw, header)
        case "/v1/embeddings":
            found = _embedding(face, raw, header)
        case "/v1/responses":
            with in_its_words():
                found = _response(face, raw, header)
        case _:
            assert_never(endpoint)
    if any(request.logprobs is not None for request in found.asked.requests):
        message = "logprobs are not kept with a job, so a batch cannot tell them; ask for them in a request of its own."
        raise RequestError(message, code="unsupported_parameter", param="logprobs")
    return found


async def asked_for(face: Face, key: KeyRow, endpoint: Endpoint, raw: bytes, header: Header) -> Submission:
    """What a line asks for, with all that it refers to; raises RequestError for what is wrong with it."""
    asked = read(face, endpoint, raw, header).asked
    if endpoint != "/v1/responses":
        return asked
    with in_its_words():
        return await responses.asked_of(face, key, decoded(_RESPONSE, raw), header)


def _chat(face: Face, raw: bytes, header: Header) -> Read:
    body = decoded(_CHAT, raw)
    _refuse(body.stream, "stream")
    asked = chat.submission(body, header, face.groups)
    return Read(asked, partial(ChatTeller, n=asked.n))


def _completion(face: Face, raw: bytes, header: Header) -> Read:
    body = decoded(_COMPLETION, raw)
    _refuse(body.stream, "stream")
    asked = completions.submission(body, header, speller(face, body.model, "prompt"), face.groups)
    prompts = [each.prompt or "" for each in asked.requests for _ in range(asked.n)] if body.echo else []
    return Read(asked, partial(CompletionTeller, prompts=prompts))


def _embedding(face: Face, raw: bytes, header: Header) -> Read:
    body = decoded(_EMBEDDING, raw)
    _, vocabulary = known(face, body.model)
    spell = speller(face, body.model, "input")
    asked = embeddings.submission(body, header, spell, vocabulary.dimensions, face.groups)
    base64 = body.encoding_format == "base64"
    return Read(asked, partial(EmbeddingTeller, dimensions=body.dimensions, base64=base64))


def _response(face: Face, raw: bytes, header: Header) -> Read:
    body = decoded(_RESPONSE, raw)
    _refuse(body.stream, "stream")
    _refuse(body.background, "background")
    check(body)
    return Read(submission(body, [], header, face.groups), partial(responses.teller_of, face, body))


def _refuse(wanted: bool | None, param: str) -> None:
    if wanted:
        message = f"{param} is not for a batch: each of its answers is told whole, in the output file."
        raise RequestError(message, code="unsupported_parameter", param=param)
