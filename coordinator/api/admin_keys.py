"""The operator's routes for API keys: make, list, rotate, revoke. A secret is shown once, in the answer that makes it."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.bodies import body_of, decoded, stroops_of
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.keys import SCOPES, key_hash, new_secret, shown_prefix
from coordinator.api.views import instant
from coordinator.store import accounts
from coordinator.store.callers import KeyRow, KeyTerms, Recharge
from coordinator.store.engine import Connection, alone
from coordinator.submit.plans import PLANS
from shared.errors import NotFound, RequestError
from shared.ids import to_gns

Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
AtOnce = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
DAY_S: Final = 86_400
MAX_WORD: Final = 200


class NewKey(msgspec.Struct, frozen=True):
    """`POST /admin/keys`: without `account_id` a new account is made. `budget`, `grant` and what begins with `recharge` in
    GNS; `rpm`, `tpm` and `at_once` go before the plan's limits; without `scopes` or `models` all of them are allowed."""

    plan: str | None = None
    name: str | None = None
    budget: Decimal | None = None
    account_id: UUID | None = None
    grant: Decimal | None = None
    models: list[str] | None = None
    rpm: Limit | None = None
    tpm: Limit | None = None
    at_once: AtOnce | None = None
    scopes: list[str] | None = None
    expires_at: datetime | None = None
    recharge: Decimal | None = None
    recharge_below: Decimal | None = None
    recharge_daily: Decimal | None = None


class Rotation(msgspec.Struct, frozen=True):
    """`POST /admin/keys/{key}/rotate`: how long the present secret still works, up to 30 days."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=30 * DAY_S)] = DAY_S


_NEW_KEY: Final = msgspec.json.Decoder(NewKey)
_ROTATION: Final = msgspec.json.Decoder(Rotation)


@post("/admin/keys", name="create_key")
async def create_key(request: HttpRequest) -> ASGIApp:
    """Make a key; its secret is in this answer and nowhere else."""
    hive = face_of(request).hive
    wanted = decoded(_NEW_KEY, await body_of(request))
    now = hive.clock()
    _refuse_odd_words(wanted)
    _refuse_odd_plan(wanted)
    terms = _terms(wanted, now)
    budget, grant = _stroops("budget", wanted.budget), _stroops("grant", wanted.grant)
    secret, key_id = new_secret(os.urandom(32)), uuid4()
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
            terms=terms,
        )
    made = {"id": key_id, "key": secret, "account_id": account_id, "prefix": shown_prefix(secret)}
    return _secret_answer(made | {"plan": wanted.plan, "expires_at": instant(terms.expires_at)})


@get("/admin/keys", name="list_keys")
async def list_keys(request: HttpRequest) -> ASGIApp:
    """All keys, without their secrets."""
    async with alone(face_of(request).hive.engine) as conn:
        rows = await accounts.list_keys(conn)
    return json_answer({"data": [_shown(row) for row in rows]})


@post("/admin/keys/{key:str}/rotate", name="rotate_key", status_code=201)
async def rotate_key(request: HttpRequest, key: FromPath[str]) -> ASGIApp:
    """Give a key a new secret; the present one works until the overlap ends, an earlier one no longer."""
    hive = face_of(request).hive
    wanted = decoded(_ROTATION, await body_of(request) or b"{}")
    secret, old_until = new_secret(os.urandom(32)), hive.clock() + timedelta(seconds=wanted.overlap_s)
    async with hive.engine.begin() as conn:
        row = await _named(conn, key)
        hashed, prefix = key_hash(secret, hive.secrets.pepper), shown_prefix(secret)
        if not await accounts.rotate_key(conn, row.id, secret_hash=hashed, prefix=prefix, old_until=old_until):
            raise RequestError(f"{key[:64]} is revoked; make a new key instead.")
    made = {"id": row.id, "key": secret, "account_id": row.account_id, "prefix": prefix}
    return _secret_answer(made | {"old_prefix": row.prefix, "old_until": instant(old_until)})


@delete("/admin/keys/{key:str}", name="revoke_key", status_code=200)
async def revoke_key(request: HttpRequest, key: FromPath[str]) -> ASGIApp:
    """Revoke a key by its id, or by a prefix that only one key has; it stops working within a second."""
    hive = face_of(request).hive
    async with hive.engine.begin() as conn:
        row, now = await _named(conn, key), hive.clock()
        await accounts.revoke_key(conn, row.id, now)
    return json_answer(_shown(msgspec.structs.replace(row, revoked_at=row.revoked_at or now)))


ROUTES: Final[list[Any]] = [create_key, list_keys, rotate_key, revoke_key]


def _refuse_odd_words(wanted: NewKey) -> None:
    words = [("name", wanted.name), *(("models", one) for one in wanted.models or [])]
    for param, word in words:
        if word is not None and (len(word) > MAX_WORD or not word.isprintable()):
            raise RequestError(f"{param} takes up to {MAX_WORD} printable characters.", param=param)
    if wanted.scopes is not None and not set(SCOPES) >= set(wanted.scopes) > set():
        said = f"scopes takes one or more of {', '.join(SCOPES)}; leave it out for all of them."
        raise RequestError(said, param="scopes")


def _refuse_odd_plan(wanted: NewKey) -> None:
    if wanted.plan is not None and wanted.plan not in PLANS:
        said = f"There is no plan {wanted.plan[:64]!r}; the plans are {', '.join(PLANS)}."
        raise RequestError(said, param="plan")
    if wanted.plan is not None and PLANS[wanted.plan].daily and wanted.rpm is not None:
        raise RequestError(f"The {wanted.plan} plan counts by the day: leave rpm out, or take another.", param="rpm")


def _terms(wanted: NewKey, now: datetime) -> KeyTerms:
    expires_at = wanted.expires_at
    if expires_at is not None and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)
    if expires_at is not None and expires_at <= now:
        raise RequestError("expires_at is in the past.", param="expires_at")
    return KeyTerms(
        scopes=wanted.scopes, expires_at=expires_at, rpm=wanted.rpm, tpm=wanted.tpm, at_once=wanted.at_once,
        recharge=_recharge(wanted),
    )  # fmt: skip


def _recharge(wanted: NewKey) -> Recharge | None:
    amount, daily = _stroops("recharge", wanted.recharge), _stroops("recharge_daily", wanted.recharge_daily)
    below = _stroops("recharge_below", wanted.recharge_below) or 0
    if not amount:
        if amount is not None or below or daily is not None:
            raise RequestError("A budget that grows needs a recharge of more than 0.", param="recharge")
        return None
    if wanted.budget is None:
        raise RequestError("A key without a budget cannot be recharged: set budget, 0 will do.", param="budget")
    if daily == 0:
        raise RequestError("recharge_daily must be more than 0.", param="recharge_daily")
    return Recharge(amount=amount, below=below, daily=daily)


async def _account(conn: Connection, wanted: NewKey, now: datetime) -> UUID:
    if wanted.account_id is None:
        account_id = uuid4()
        await accounts.create_account(conn, account_id, wanted.name or "", now)
        return account_id
    if await accounts.get_account(conn, wanted.account_id) is None:
        raise NotFound(f"There is no account {wanted.account_id}.")
    return wanted.account_id


async def _named(conn: Connection, key: str) -> KeyRow:
    """The key with this id, or with this prefix if no other has it; raises NotFound."""
    found = [row for row in await accounts.list_keys(conn) if str(row.id) == key or row.prefix == key]
    if len(found) != 1:
        raise NotFound(f"{len(found) or 'No'} key{'s are' if len(found) > 1 else ' is'} called {key[:64]}.")
    return found[0]


def _secret_answer(made: dict[str, Any]) -> ASGIApp:
    return json_answer(made, 201, {"cache-control": "no-store"})


def _shown(row: KeyRow) -> dict[str, Any]:
    grows = row.recharge
    return {
        "id": row.id,
        "prefix": row.prefix,
        "name": row.name,
        "plan": row.plan,
        "account_id": row.account_id,
        "limits": row.limits,
        "scopes": row.scopes or SCOPES,
        "budget": None if row.budget is None else to_gns(row.budget),
        "recharge": None if grows is None else to_gns(grows.amount),
        "recharge_below": None if grows is None else to_gns(grows.below),
        "recharge_daily": None if grows is None or grows.daily is None else to_gns(grows.daily),
        "models": row.models,
        "created_at": instant(row.created_at),
        "expires_at": instant(row.expires_at),
        "old_until": instant(row.old_until),
        "revoked_at": instant(row.revoked_at),
    }


def _stroops(param: str, gns: Decimal | None) -> int | None:
    return None if gns is None else stroops_of(param, gns)
