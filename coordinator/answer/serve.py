"""The way of every request for an answer, whatever its face: taken as jobs, read as they run, told as the face tells it."""

from time import perf_counter
from uuid import UUID

import msgspec
from litestar.types import ASGIApp

from coordinator.answer.cache import HEADER as CACHE, key_of, may_repeat, wish_of
from coordinator.answer.readers import Readers
from coordinator.answer.said import Answer, Terms
from coordinator.answer.streamed import Streamed
from coordinator.answer.teller import Names, Tell, TellWhole
from coordinator.answer.whole import Whole
from coordinator.api.bodies import body_of
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.intake import Accepted, Sent
from coordinator.api.repeats import body_hash, idempotency_key
from coordinator.api.trace import Trace
from coordinator.observe.series import CACHE as CACHED
from coordinator.store.callers import KeyRow
from coordinator.store.rows import JobView
from coordinator.submit.prepare import servable
from coordinator.submit.request import JobRequest, Submission
from shared.catalogue import Entry
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
    reads_at = perf_counter()
    raw = await body_of(request)
    received += perf_counter() - reads_at  # the time that a client takes to send is its own
    again = request.headers.get(RETRIES, "0").strip() not in ("", "0")
    sent = Sent(received, body_hash(request, raw), idempotency_key(request), again=again, size=len(raw))
    return Call(key, raw, sent)


async def serve(request: HttpRequest, call: Call, asked: Submission, tell: Tell, *, stream: bool) -> ASGIApp:
    """Takes what is asked as durable jobs and answers as the face tells it; a client that goes away cancels them. Raises
    what the intake raises."""
    if not stream:
        return await serve_whole(request, call, asked, tell)
    taken = await _taken(request, call, asked)
    return Streamed(tell(taken.names), taken.answers, taken.readers, taken.trace, now=perf_counter)


async def serve_whole(request: HttpRequest, call: Call, asked: Submission, tell: TellWhole) -> ASGIApp:
    """The same for an answer in one piece."""
    taken = await _taken(request, call, asked)
    return Whole(tell(taken.names), taken.answers, taken.readers, taken.trace)


class Taken(msgspec.Struct, frozen=True):
    """What is told, and of which jobs it is read."""

    names: Names
    answers: list[Answer]
    readers: Readers
    trace: Trace


async def _taken(request: HttpRequest, call: Call, asked: Submission) -> Taken:
    """New jobs, or the earlier one whose answer is given again, once the guards have let the request through."""
    face = face_of(request)
    await face.admit(request, asked)
    wish = wish_of(request.headers.get(CACHE))
    entry = servable(asked, face.hive.catalogue, call.key)
    if entry is None or not may_repeat(asked, wish):
        return await _made(face, call, asked)
    cache_key = key_of(asked, entry)
    if wish is not False and call.sent.idempotency_key is None:
        known = await face.answered(call.key.account_id, cache_key)
        CACHED.labels("miss" if known is None else "hit").inc()
        if known is not None:
            return _again(face, call, asked.request, entry, *known)
    taken = await _made(face, call, msgspec.structs.replace(asked, cache_key=cache_key))
    taken.trace.cache = "miss"
    return taken


async def _made(face: Face, call: Call, asked: Submission) -> Taken:
    """Jobs that are made, or joined, and how each of their answers is read."""
    accepted = await face.intake.take(asked, call.key, call.sent)
    vocabulary = face.hive.vocabularies[accepted.entry.id]
    requests = [plan.request for plan in accepted.planned for _ in range(asked.n)]
    each = zip(accepted.readers, requests, strict=True)
    answers = [Answer(terms_of(reader.job_id, asked_for, vocabulary)) for reader, asked_for in each]
    return Taken(_names(accepted), answers, Readers(accepted.readers), accepted.trace)


def _again(face: Face, call: Call, asked: JobRequest, entry: Entry, view: JobView, served_in: tuple[str, ...]) -> Taken:
    """The answer of a job that has completed, told once more."""
    now = perf_counter()
    trace = Trace(view.id, received=call.sent.received, accepted=now, now=perf_counter)
    trace.cache, trace.served_in = "hit", {view.id: served_in}
    names = Names(
        id=view.id,
        created=int(view.created_at.timestamp()),
        model=entry.id,
        system_fingerprint=fingerprint(entry),
        tokens_in=view.tokens_in,
    )
    reader = face.hive.relay.open(view.id, attached=False)
    face.tell_if_ended(view)
    return Taken(names, [Answer(terms_of(view.id, asked, face.hive.vocabularies[entry.id]))], Readers([reader]), trace)


def terms_of(job_id: UUID, asked: JobRequest, vocabulary: Vocabulary) -> Terms:
    """How the answer of a job is read: the same whenever, and however often, it is."""
    tools = offered_tools(asked.tools, asked.tool_choice)
    return Terms(
        format=vocabulary.format,
        spell=lambda token: vocabulary.detokenise([token]),
        tools=tuple(tool.name for tool in tools),
        logprobs=asked.logprobs is not None,
        seed=str(job_id),
        plain=asked.messages is None,
        stops=tuple(asked.stop),
    )


def _names(accepted: Accepted) -> Names:
    return Names(
        id=accepted.id,
        created=int(accepted.created_at.timestamp()),
        model=accepted.entry.id,
        system_fingerprint=fingerprint(accepted.entry),
        tokens_in=sum(plan.tokens_in for plan in accepted.planned),
    )


def fingerprint(entry: Entry) -> str:
    """What `system_fingerprint` says of the model's file."""
    return f"fp_{entry.digest[:16]}"
