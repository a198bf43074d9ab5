"""The way of every request for an answer, whatever its face: taken as jobs, read as they run, told as the face tells it."""

from time import perf_counter

import msgspec
from litestar.types import ASGIApp

from coordinator.answer.readers import Readers
from coordinator.answer.said import Answer, Terms
from coordinator.answer.streamed import Streamed
from coordinator.answer.teller import Names, Tell, TellWhole
from coordinator.answer.whole import Whole
from coordinator.api.bodies import body_of
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.intake import Accepted, Sent
from coordinator.api.jobs import body_hash, idempotency_key
from coordinator.store.callers import KeyRow
from coordinator.store.rows import NewJob
from coordinator.submit.request import JobRequest, Submission
from shared.chat.constraint import offered_tools
from shared.tokens import Vocabulary

RETRIES = "x-stainless-retry-count"
"""How often an official SDK has sent this request before, by itself."""


class Call(msgspec.Struct, frozen=True):
    """A request that was read whole: by whose key, its body, and what of it matters for a submit."""

    key: KeyRow
    raw: bytes
    sent: Sent


async def called(request: HttpRequest) -> Call:
    """Reads a request; raises Unauthorized without a good key, RequestError for a body that does not come."""
    received = perf_counter()
    key = await face_of(request).keys.caller(request)
    raw = await body_of(request)
    again = request.headers.get(RETRIES, "0").strip() not in ("", "0")
    sent = Sent(received, body_hash(request, raw), idempotency_key(request), again=again, size=len(raw))
    return Call(key, raw, sent)


async def serve(request: HttpRequest, call: Call, asked: Submission, tell: Tell, *, stream: bool) -> ASGIApp:
    """Takes what is asked as durable jobs and answers as the face tells it; a client that goes away cancels them. Raises
    what the intake raises."""
    if not stream:
        return await serve_whole(request, call, asked, tell)
    accepted, answers = await _taken(request, call, asked)
    return Streamed(tell(_names(accepted)), answers, Readers(accepted.readers), accepted.trace, now=perf_counter)


async def serve_whole(request: HttpRequest, call: Call, asked: Submission, tell: TellWhole) -> ASGIApp:
    """The same for an answer in one piece."""
    accepted, answers = await _taken(request, call, asked)
    return Whole(tell(_names(accepted)), answers, Readers(accepted.readers), accepted.trace)


async def _taken(request: HttpRequest, call: Call, asked: Submission) -> tuple[Accepted, list[Answer]]:
    """The jobs, and how each of their answers is read."""
    face = face_of(request)
    await face.admit(request, asked)
    accepted = await face.intake.take(asked, call.key, call.sent)
    vocabulary = face.hive.vocabularies[accepted.entry.id]
    requests = [plan.request for plan in accepted.planned for _ in range(asked.n)]
    return accepted, [Answer(_terms(*each, vocabulary)) for each in zip(accepted.jobs, requests, strict=True)]


def _terms(job: NewJob, asked: JobRequest, vocabulary: Vocabulary) -> Terms:
    tools = offered_tools(asked.tools, asked.tool_choice)
    return Terms(
        format=vocabulary.format,
        spell=lambda token: vocabulary.detokenise([token]),
        tools=tuple(tool.name for tool in tools),
        logprobs=asked.logprobs is not None,
        seed=str(job.id),
        plain=asked.messages is None,
        stops=tuple(asked.stop),
    )


def _names(accepted: Accepted) -> Names:
    return Names(
        id=accepted.id,
        created=int(accepted.jobs[0].created_at.timestamp()),
        model=accepted.entry.id,
        system_fingerprint=f"fp_{accepted.entry.digest[:16]}",
        tokens_in=sum(plan.tokens_in for plan in accepted.planned),
    )
