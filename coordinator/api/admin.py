"""The operator's routes: credit, and in files of their own API keys and metrics. All of them ask for the admin key."""

import hmac
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api import admin_keys, scrape
from coordinator.api.answers import json_answer
from coordinator.api.bodies import body_of, decoded, stroops_of
from coordinator.api.face import Connecting, face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.keys import sent_secret, unauthorized
from coordinator.api.views import instant
from coordinator.store import accounts
from coordinator.store.engine import Connection, alone
from shared.errors import NotFound, RequestError
from shared.ids import to_gns


class Grant(msgspec.Struct, frozen=True):
    """`POST /admin/accounts/{id}/grant`: GNS to put on the account."""

    gns: Decimal


_GRANT: Final = msgspec.json.Decoder(Grant)


@get("/admin/accounts/{account_id:uuid}", name="get_account")
async def get_account(request: HttpRequest, account_id: FromPath[UUID]) -> ASGIApp:
    """An account's money."""
    async with alone(face_of(request).hive.engine) as conn:
        return json_answer(await _money(conn, account_id))


@post("/admin/accounts/{account_id:uuid}/grant", name="grant", status_code=200)
async def grant_credit(request: HttpRequest, account_id: FromPath[UUID]) -> ASGIApp:
    """Put GNS on an account; answers with its money."""
    hive = face_of(request).hive
    stroops = stroops_of("gns", decoded(_GRANT, await body_of(request)).gns)
    if not stroops:
        raise RequestError("gns must be more than 0.", param="gns")
    async with hive.engine.begin() as conn:
        await accounts.grant(conn, account_id, stroops, uuid4(), hive.clock())
        return json_answer(await _money(conn, account_id))


def admit_operator(connection: Connecting, _: BaseRouteHandler) -> None:
    """Raises Unauthorized unless the request was sent with the operator's own key."""
    secret = sent_secret(connection.headers.get)
    face = face_of(connection)
    if secret is None or not hmac.compare_digest(secret.encode(), face.hive.secrets.admin_key.encode()):
        raise unauthorized(secret, openai=False)


ROUTES: Final[list[Any]] = [*admin_keys.ROUTES, *scrape.ROUTES, get_account, grant_credit]


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
