"""The operator's routes: API keys, credit, metrics. All of them ask for the admin key."""

import hmac
import os
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from litestar import delete, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import Answer, json_answer
from coordinator.api.bodies import body_of, decoded, stroops_of
from coordinator.api.face import Face, face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.keys import key_hash, new_secret, sent_secret, shown_prefix, unauthorized
from coordinator.api.metrics import EXPOSITION_TYPE, JOBS, PAID, WORKERS, exposition
from coordinator.api.views import instant
from coordinator.store import accounts
from coordinator.store.engine import Connection, alone
from coordinator.store.rows import KeyRow
from shared.errors import NotFound, RequestError
from shared.ids import to_gns

Connecting = ASGIConnection[Any, Any, Any, Any]


class NewKey(msgspec.Struct, frozen=True):
    """`POST /admin/keys`: without `account_id` a new account is made; `budget` and `grant` in GNS."""

    plan: str | None = None
    name: str | None = None
    budget: Decimal | None = None
    account_id: UUID | None = None
    grant: Decimal | None = None
    models: list[str] | None = None


class Grant(msgspec.Struct, frozen=True):
    """`POST /admin/accounts/{id}/grant`: GNS to put on the account."""

    gns: Decimal


MAX_WORD: Final = 200

_NEW_KEY: Final = msgspec.json.Decoder(NewKey)
_GRANT: Final = msgspec.json.Decoder(Grant)


@post("/admin/keys", name="create_key")
async def create_key(request: HttpRequest) -> ASGIApp:
    """Make a key; its secret is in this answer and nowhere else."""
    hive = face_of(request).hive
    wanted = decoded(_NEW_KEY, await body_of(request))
    _refuse_odd_words(wanted)
    budget, grant = _stroops("budget", wanted.budget), _stroops("grant", wanted.grant)
    secret, now, key_id = new_secret(os.urandom(32)), hive.clock(), uuid4()
    async with hive.engine.begin() as conn:
        account_id = await _account(conn, wanted, now)
        if grant:
            await accounts.grant(conn, account_id, grant, uuid4(), now)
        await accounts.create_key(
            conn,
            key_id,
            account_id,
            name=wanted.name or "",
            secret_hash=key_hash(secret, hive.secrets.pepper),
            prefix=shown_prefix(secret),
            now=now,
            plan=wanted.plan,
            budget=budget,
            models=wanted.models or None,
        )
    made = {"id": key_id, "key": secret, "account_id": account_id, "prefix": shown_prefix(secret)}
    return json_answer(made, 201, {"cache-control": "no-store"})


@get("/admin/keys", name="list_keys")
async def list_keys(request: HttpRequest) -> ASGIApp:
    """All keys, without their secrets."""
    async with alone(face_of(request).hive.engine) as conn:
        rows = await accounts.list_keys(conn)
    return json_answer({"data": [_shown(row) for row in rows]})


@delete("/admin/keys/{key:str}", name="revoke_key", status_code=200)
async def revoke_key(request: HttpRequest, key: FromPath[str]) -> ASGIApp:
    """Revoke a key by its id, or by a prefix that only one key has; it stops working within a second."""
    hive = face_of(request).hive
    async with hive.engine.begin() as conn:
        found = [row for row in await accounts.list_keys(conn) if str(row.id) == key or row.prefix == key]
        if len(found) != 1:
            raise NotFound(f"{len(found) or 'No'} key{'s are' if len(found) > 1 else ' is'} called {key[:64]}.")
        now = hive.clock()
        await accounts.revoke_key(conn, found[0].id, now)
    revoked = msgspec.structs.replace(found[0], revoked_at=found[0].revoked_at or now)
    return json_answer(_shown(revoked))


@get("/admin/accounts/{account_id:uuid}", name="get_account")
async def get_account(request: HttpRequest, account_id: FromPath[UUID]) -> ASGIApp:
    """An account's money."""
    async with alone(face_of(request).hive.engine) as conn:
        return json_answer(await _money(conn, account_id))


@post("/admin/accounts/{account_id:uuid}/grant", name="grant", status_code=200)
async def grant_credit(request: HttpRequest, account_id: FromPath[UUID]) -> ASGIApp:
    """Put GNS on an account; answers with its money."""
    hive = face_of(request).hive
    stroops = _stroops("gns", decoded(_GRANT, await body_of(request)).gns)
    if not stroops:
        raise RequestError("gns must be more than 0.", param="gns")
    async with hive.engine.begin() as conn:
        await accounts.grant(conn, account_id, stroops, uuid4(), hive.clock())
        return json_answer(await _money(conn, account_id))


@get("/metrics", name="metrics")
async def metrics(request: HttpRequest) -> ASGIApp:
    """Counts in the Prometheus text format."""
    status = (await face_of(request).swarm.snapshot()).status
    for state, count in status.jobs.items():
        JOBS.labels(state).set(count)
    WORKERS.set(status.active_nodes)
    PAID.set(float(status.total_tokens_distributed))
    return Answer(exposition(), EXPOSITION_TYPE)


def admit_operator(connection: Connecting, _: BaseRouteHandler) -> None:
    """Raises Unauthorized unless the request was sent with the operator's own key."""
    secret = sent_secret(connection.headers.get)
    face = connection.app.state.face
    assert isinstance(face, Face)
    if secret is None or not hmac.compare_digest(secret.encode(), face.hive.secrets.admin_key.encode()):
        raise unauthorized(secret, openai=False)


ROUTES: Final[list[Any]] = [create_key, list_keys, revoke_key, get_account, grant_credit, metrics]


def _refuse_odd_words(wanted: NewKey) -> None:
    for param, word in [
        ("plan", wanted.plan),
        ("name", wanted.name),
        *(("models", one) for one in wanted.models or []),
    ]:
        if word is not None and (len(word) > MAX_WORD or not word.isprintable()):
            raise RequestError(f"{param} takes up to {MAX_WORD} printable characters.", param=param)


async def _account(conn: Connection, wanted: NewKey, now: datetime) -> UUID:
    if wanted.account_id is None:
        account_id = uuid4()
        await accounts.create_account(conn, account_id, wanted.name or "", now)
        return account_id
    if await accounts.get_account(conn, wanted.account_id) is None:
        raise NotFound(f"There is no account {wanted.account_id}.")
    return wanted.account_id


async def _money(conn: Connection, account_id: UUID) -> dict[str, Any]:
    account = await accounts.get_account(conn, account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    free = account.credit - account.held - account.spent
    return {
        "id": account.id,
        "name": account.name,
        "created_at": instant(account.created_at),
        "credit": to_gns(account.credit),
        "held": to_gns(account.held),
        "spent": to_gns(account.spent),
        "available": to_gns(free),
    }


def _shown(row: KeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "prefix": row.prefix,
        "name": row.name,
        "plan": row.plan,
        "account_id": row.account_id,
        "budget": None if row.budget is None else to_gns(row.budget),
        "models": row.models,
        "created_at": instant(row.created_at),
        "revoked_at": instant(row.revoked_at),
    }


def _stroops(param: str, gns: Decimal | None) -> int | None:
    return None if gns is None else stroops_of(param, gns)
