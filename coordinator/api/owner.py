"""Linking a worker to the account of its owner: both prove who they are; to part again, one of them is enough."""

from typing import Any, Final

import msgspec
from litestar import delete, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.bodies import body_of, decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.keys import sent_secret
from coordinator.api.worker_auth import require_worker, signed_by
from coordinator.store import accounts, owners
from shared.errors import NotFound


class LinkBody(msgspec.Struct, frozen=True):
    """`spend`: what the worker earns goes to the account's balance when it is due, instead of to the worker."""

    spend: bool | None = None


class Link(msgspec.Struct, frozen=True):
    """A worker and the name of the account that it is linked to, None for nobody."""

    worker: str
    owner: str | None
    spend: bool


_DECODER: Final = msgspec.json.Decoder(LinkBody)


@post("/hive/workers/{pk:str}/owner", name="link_worker", status_code=200)
async def link_worker(request: HttpRequest, pk: FromPath[str]) -> ASGIApp:
    """Link a worker, which signs the request, to the account of the API key; a second time changes `spend`."""
    face = face_of(request)
    key = await face.keys.caller(request)
    require_worker(face.hive, request, pk)
    spend = bool(decoded(_DECODER, await body_of(request) or b"{}").spend)
    async with face.hive.engine.begin() as conn:
        await owners.link(conn, pk, key.account_id, face.hive.clock(), spend=spend)
        account = await accounts.get_account(conn, key.account_id)
    face.hive.hub.own(pk, key.account_id)
    return json_answer(Link(pk, account.name if account else None, spend))


@delete("/hive/workers/{pk:str}/owner", name="unlink_worker", status_code=200)
async def unlink_worker(request: HttpRequest, pk: FromPath[str]) -> ASGIApp:
    """Part a worker from its account: by the worker's signature, or by the account's key."""
    face = face_of(request)
    account_id = None
    if not signed_by(face.hive, request, pk):
        if sent_secret(request.headers.get) is None:
            require_worker(face.hive, request, pk)
        account_id = (await face.keys.caller(request)).account_id
    async with face.hive.engine.begin() as conn:
        parted = await owners.unlink(conn, pk, account_id)
    if not parted and account_id is not None:
        raise NotFound(f"There is no worker {pk[:64]} of yours.")
    face.hive.hub.own(pk, None)
    return json_answer(Link(pk, None, spend=False))


ROUTES: Final[list[Any]] = [link_worker, unlink_worker]
