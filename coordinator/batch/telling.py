"""What a batch's files say of its lines: one JSON object a line, as OpenAI writes it."""

import asyncio
import hashlib
from collections.abc import Sequence
from functools import reduce
from typing import Any, Final
from uuid import UUID

import msgspec

from coordinator.answer.said import Answer
from coordinator.answer.serve import fingerprint, terms_of
from coordinator.answer.teller import Counts, Names, Told
from coordinator.answer.whole import MUCH_TEXT, told_again
from coordinator.api.answers import ENCODER
from coordinator.api.errors import error_body
from coordinator.api.face import Face
from coordinator.api.failures import failure_of
from coordinator.batch.endpoints import Endpoint, Header, Read, read
from coordinator.openai.common import text_of
from coordinator.queue.lifecycle import State
from coordinator.store import batches
from coordinator.store.rows import JobView
from shared.chat.events import Reasoning
from shared.errors import HiveError, NotFound
from shared.tokens import Vocabulary

EXPIRED: Final = "batch_expired"
CANCELLED: Final = "batch_cancelled"
_WHY: Final = {
    EXPIRED: "This request could not be executed before the completion window expired.",
    CANCELLED: "This request could not be executed before the batch was cancelled.",
}


class Outcome(msgspec.Struct, frozen=True):
    """A line that is told of: its number, the JSON of it, whether that belongs to the errors, and what it counts."""

    line: int
    told: bytes
    failed: bool
    counts: batches.Told


class Place(msgspec.Struct, frozen=True):
    """Which line of which batch is told of, and the caller's own name for it."""

    batch: UUID
    line: int
    custom_id: str


def refused(at: Place, error: HiveError, job: UUID | None = None) -> Outcome:
    """A line that was answered with an error."""
    return _answered(at, error.status, error_body(error), job, batches.Told(failed=1))


def left_out(at: Place, code: str) -> Outcome:
    """A line that was not executed, for its batch expired or was cancelled before."""
    told = {"id": _id(at), "custom_id": at.custom_id, "response": None, "error": {"code": code, "message": _WHY[code]}}
    return Outcome(at.line, _line(told), failed=True, counts=batches.Told(failed=1))


async def executed(
    face: Face, at: Place, endpoint: Endpoint, raw: bytes, header: Header, views: Sequence[JobView], closing: str | None
) -> Outcome:  # fmt: skip
    """A line whose jobs have ended; `closing` says why the batch had those cancelled that had not. The window's end is that
    of the jobs too: who sees it first makes no difference to what is told."""
    job = None if not views else views[0].parent or views[0].id
    if closing is not None and any(view.status in (State.CANCELLED, State.TIMED_OUT) for view in views):
        return left_out(at, closing)
    try:
        answers, names, vocabulary, line = _answers(face, endpoint, raw, header, views)
    except HiveError as error:
        return refused(at, error, job)
    counts = reduce(Counts.plus, (one.end.counts for one in answers), Counts())
    teller = line.tell(names)
    if sum(len(one.text) for one in answers) > MUCH_TEXT:
        body = await asyncio.to_thread(_encoded, teller.whole, answers, counts)
    else:
        body = _encoded(teller.whole, answers, counts)
    thoughts = "".join(text_of(one.events, Reasoning) for one in answers)
    reasoning = min(counts.tokens_out, len(vocabulary.tokenise(thoughts, special=False))) if thoughts else 0
    used = batches.Told(
        completed=1, tokens_in=counts.tokens_in, cached=counts.cached, tokens_out=counts.tokens_out, reasoning=reasoning
    )
    return _answered(at, 200, body, job, used)


def _answers(
    face: Face, endpoint: Endpoint, raw: bytes, header: Header, views: Sequence[JobView]
) -> tuple[list[Told], Names, Vocabulary, Read]:  # fmt: skip
    """What was answered, in the words of all; raises why there is no answer."""
    failure = next((failed for view in views if (failed := failure_of(view)) is not None), None)
    if failure is not None:
        raise failure
    if not views or any(view.result_text is None for view in views):
        raise NotFound("The result of this job is no longer kept.", code="result_expired")
    first = views[0]
    entry = face.hive.catalogue.get(first.model)
    if entry is None:
        raise NotFound(f"The model {first.model!r} is no longer served here.")
    vocabulary, line = face.hive.vocabularies[entry.id], read(face, endpoint, raw, header)
    requests = [request for request in line.asked.requests for _ in range(line.asked.n)]
    names = Names(
        id=first.parent or first.id,
        created=int(first.created_at.timestamp()),
        model=entry.id,
        system_fingerprint=fingerprint(entry),
        tokens_in=sum(view.tokens_in for view in views if not view.copy),
    )
    each = zip(views, requests, strict=True)
    told = [told_again(Answer(terms_of(view.id, asked, vocabulary)), view) for view, asked in each]
    return told, names, vocabulary, line


def _encoded(whole: Any, answers: Sequence[Told], counts: Counts) -> msgspec.Raw:
    return msgspec.Raw(ENCODER.encode(whole(answers, counts)))


def _answered(at: Place, status: int, body: object, job: UUID | None, counts: batches.Told) -> Outcome:
    request = str(job) if job is not None else _id(at)
    response = {"status_code": status, "request_id": request, "body": body}
    told = {"id": _id(at), "custom_id": at.custom_id, "response": response, "error": None}
    return Outcome(at.line, _line(told), failed=status >= 400, counts=counts)


def _line(told: object) -> bytes:
    return ENCODER.encode(told) + b"\n"


def _id(at: Place) -> str:
    """The line's own id, the same however often it is told."""
    return f"batch_req_{hashlib.blake2b(at.batch.bytes + at.line.to_bytes(4, 'big'), digest_size=16).hexdigest()}"
