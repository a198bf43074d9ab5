"""Responses that are kept: found by their id, told again, and continued."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import msgspec

from coordinator.answer.said import Answer
from coordinator.answer.serve import terms_of
from coordinator.answer.teller import Names
from coordinator.answer.whole import told_again
from coordinator.api.face import Face
from coordinator.api.failures import failure_of
from coordinator.openai.responses_items import Item, continued, listed
from coordinator.openai.responses_output import item_id, job_of_item
from coordinator.openai.responses_teller import Count, Facts, ResponseTeller, failed, job_of, response, response_id
from coordinator.queue.lifecycle import State
from coordinator.store import responses, views
from coordinator.store.engine import alone
from coordinator.store.rows import JobView
from coordinator.submit.request import JobRequest
from shared.errors import NotFound, RequestError
from shared.protocol.messages import Message
from shared.tokens import Vocabulary

MOST_REFERENCED: Final = 256
"""So many responses may be named by the items of one request."""
SHOWN: Final = 100
_REQUESTS: Final = msgspec.json.Decoder(JobRequest)
_Json = dict[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """A response as its job has it: how that stands, what was asked of it, and what the response says of that; `words` are
    its model's, None where that is served no longer."""

    view: JobView
    request: JobRequest
    echo: _Json
    words: Vocabulary | None

    @property
    def names(self) -> Names:
        """What every part of it says alike."""
        return Names(self.view.id, int(self.view.created_at.timestamp()), self.view.model, system_fingerprint="")

    @property
    def vocabulary(self) -> Vocabulary:
        """How its model spells; raises NotFound, for without it nobody can tell its text from its calls."""
        if self.words is None:
            raise NotFound(f"The model {self.view.model!r} of this response is no longer served here.")
        return self.words

    @property
    def messages(self) -> list[Message]:
        """What it was given to answer, its own instructions apart."""
        return (self.request.messages or [])[bool(self.echo["instructions"]) :]

    def answer(self) -> Answer:
        """How its text is read."""
        return Answer(terms_of(self.view.id, self.request, self.vocabulary))

    def teller(self, after: int = -1) -> ResponseTeller:
        """Tells it again, from the event after this number on."""
        return ResponseTeller(self.names, echo=self.echo, count=counting(self.vocabulary), after=after)


def counting(vocabulary: Vocabulary) -> Count:
    """Counts the tokens of a text."""
    return lambda text: len(vocabulary.tokenise(text, special=False))


def named(id_: str) -> UUID:
    """The job whose response this is; raises NotFound if it is no response's id."""
    job = job_of(id_)
    if job is None:
        raise missing(id_)
    return job


async def find(face: Face, account_id: UUID, job: UUID) -> Stored:
    """An account's response, whatever its state; raises NotFound if it is not there, or another's."""
    async with alone(face.hive.engine) as conn:
        kept = await responses.read(conn, account_id, job)
        view = None if kept is None else await views.get_job(conn, job)
    if kept is None or view is None:
        raise missing(response_id(job))
    words = face.hive.vocabularies.get(view.model)
    return Stored(view, _REQUESTS.decode(kept.request), msgspec.json.decode(kept.echo), words)


def shown(stored: Stored) -> _Json:
    """The response object as it stands."""
    view, names = stored.view, stored.names
    facts = Facts(names.id, names.created, names.model, stored.echo)
    match view.status:
        case State.COMPLETED:
            told = told_again(stored.answer(), stored.view)
            whole: _Json = stored.teller().whole([told], told.end.counts)
            return whole
        case State.CANCELLED:
            return response(facts, "cancelled")
        case State.PENDING if stored.echo["background"]:
            return response(facts, "queued")
        case _:
            failure = failure_of(view)
            return response(facts, "in_progress") if failure is None else failed(facts, failure)


def items_given(stored: Stored) -> list[_Json]:
    """The items that it was made from, those of the conversation before it too, each with an id of its own."""
    job = stored.view.id
    return listed(stored.messages, lambda kind, place: item_id(kind, job, place, given=True))


async def earlier(face: Face, account_id: UUID, id_: str) -> list[Message]:
    """The conversation up to and with an account's response; raises RequestError `previous_response_not_found`, or what
    keeps it from being continued."""
    try:
        stored = await find(face, account_id, named(id_))
    except NotFound:
        raise RequestError(
            f"Previous response with id {id_[:SHOWN]!r} not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        ) from None
    told = shown(stored)
    if stored.view.status is not State.COMPLETED:
        message = f"Response {id_} is {told['status']}: only one that has an answer can be continued."
        raise RequestError(message, param="previous_response_id")
    whole = [item for item in told["output"] if (item["type"], item["status"]) != ("function_call", "incomplete")]
    return continued(stored.messages, msgspec.convert(whole, list[Item]), lambda _: None)


async def named_items(face: Face, account_id: UUID, ids: Iterable[str]) -> dict[str, _Json]:
    """Those of these items that an account's responses have; raises RequestError if they are of too many responses."""
    wanted = {id_: job for id_ in ids if (job := job_of_item(id_)) is not None}
    jobs = set(wanted.values())
    if len(jobs) > MOST_REFERENCED:
        raise RequestError(f"input names items of more than {MOST_REFERENCED} responses.", param="input")
    known: dict[str, _Json] = {}
    for job in jobs:
        with suppress(NotFound):  # whoever named it is told by the item's place
            stored = await find(face, account_id, job)
            items = [*items_given(stored), *shown(stored)["output"]]
            known |= {item["id"]: item for item in items if item["id"] in wanted}
    return known


def missing(id_: str) -> NotFound:
    """What is told of a response that is not there, or another's."""
    return NotFound(f"Response with id {id_[:SHOWN]!r} not found.")
