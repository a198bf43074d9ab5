"""Responses that are kept: asked for again, followed, cancelled, deleted, and what they were made from."""

from time import perf_counter
from typing import Any, Final
from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.answer.readers import Readers
from coordinator.answer.streamed import Streamed
from coordinator.api.answers import json_answer
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.jobs import page_limit
from coordinator.api.trace import Trace
from coordinator.openai.responses_stored import SHOWN, find, items_given, missing, named, shown
from coordinator.queue.lifecycle import TERMINAL
from coordinator.store import responses
from shared.errors import RequestError

MAX_NUMBER: Final = 9
"""Digits of a number in a query."""
_ONE: Final = ["/v1/responses/{response_id:str}", "/responses/{response_id:str}"]


@get(_ONE, name="get_response")
async def get_response(request: HttpRequest, response_id: FromPath[str]) -> ASGIApp:
    """A response as it stands, or with `stream=true` its events, those after `starting_after` alone."""
    received = perf_counter()
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    query = request.query_params
    if query.get("stream", "").lower() not in ("true", "1"):
        return json_answer(shown(await find(face, account, named(response_id))))
    after, job = _starting_after(query.get("starting_after")), named(response_id)
    trace = Trace(job, received=received, accepted=perf_counter(), now=perf_counter)
    return await retold(face, account, job, trace, -1 if after is None else after)


@delete(_ONE, name="delete_response", status_code=200)
async def delete_response(request: HttpRequest, response_id: FromPath[str]) -> ASGIApp:
    """Forgets a response, what it was made from and what its job's prompt and result were; it ends if it goes on."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    view = (await find(face, account, named(response_id))).view
    if view.status not in TERMINAL:
        await face.hive.relay.cancel(view.id, "deleted by its owner")
    async with face.hive.engine.begin() as conn:
        forgotten = await responses.forget(conn, account, view.id)
    if not forgotten:
        raise missing(response_id)
    return json_answer({"id": response_id, "object": "response", "deleted": True})


@post([f"{path}/cancel" for path in _ONE], name="cancel_response", status_code=200)
async def cancel_response(request: HttpRequest, response_id: FromPath[str]) -> ASGIApp:
    """Cancels a response that is made in the background; one that has ended stays as it is."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    stored = await find(face, account, named(response_id))
    if not stored.echo["background"]:
        raise RequestError("Only a response that is made in the background can be cancelled.", param="response_id")
    await face.hive.relay.cancel(stored.view.id, "cancelled by its owner")
    return json_answer(shown(await find(face, account, named(response_id))))


@get([f"{path}/input_items" for path in _ONE], name="list_response_items")
async def list_response_items(request: HttpRequest, response_id: FromPath[str]) -> ASGIApp:
    """What a response was made from, the newest first: `order`, `limit` (1 to 100) and `after` select."""
    face = face_of(request)
    account = (await face.keys.caller(request)).account_id
    query = request.query_params
    limit, order, after = page_limit(query.get("limit")), query.get("order", "desc"), query.get("after")
    if order not in ("asc", "desc"):
        raise RequestError("order must be asc or desc.", param="order")
    items = items_given(await find(face, account, named(response_id)))
    items = items if order == "asc" else items[::-1]
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise RequestError("after is none of the response's items.", param="after")
        items = items[places[0] + 1 :]
    page = items[:limit]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    more = len(items) > limit
    return json_answer({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more})


async def retold(face: Face, account_id: UUID, job: UUID, trace: Trace, after: int = -1) -> ASGIApp:
    """Tells of a response from its first event on, or from the one after the number `after`, for as long as the client is
    there: leaving changes nothing. What was cut into other events before its log was lost is left out but for the last
    event, which holds all of it. Raises NotFound."""
    reader = face.hive.relay.open(job, attached=False)
    try:
        stored = await find(face, account_id, job)
    except BaseException:
        reader.close()
        raise
    face.tell_if_ended(stored.view)
    readers = Readers([reader])
    return Streamed(stored.teller(after), [stored.answer()], readers, trace, now=perf_counter, at_once=True)


def _starting_after(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER):
        raise RequestError(f"starting_after must be a number, not {text[:SHOWN]!r}.", param="starting_after")
    return int(text)


ROUTES: Final[list[Any]] = [get_response, delete_response, cancel_response, list_response_items]
