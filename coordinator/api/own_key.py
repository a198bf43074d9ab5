"""`GET /hive/key`: what a caller's own key may do, and how much of it is left."""

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.keys import SCOPES
from coordinator.api.views import instant
from coordinator.store import accounts
from coordinator.store.callers import KeyRow, Spending
from coordinator.store.engine import alone
from coordinator.submit.limits import Left, left
from coordinator.submit.plans import Limits
from shared.ids import to_gns


class Budget(msgspec.Struct, frozen=True):
    """A key's budget in GNS: all of it, what is held for running jobs, what is gone, what is left; `recharge` is by how much
    it grows by itself."""

    total: Decimal
    held: Decimal
    spent: Decimal
    left: Decimal
    recharge: Decimal | None


class OwnKey(msgspec.Struct, frozen=True):
    """A key as its holder sees it; a limit that is null is none, `remaining` says what is left of each and when all of it is
    back."""

    id: UUID
    prefix: str
    name: str
    plan: str | None
    limits: Limits
    remaining: dict[str, Left]
    budget: Budget | None
    models: list[str] | None
    scopes: list[str]
    created_at: str | None
    expires_at: str | None


@get("/hive/key", name="own_key")
async def own_key(request: HttpRequest) -> ASGIApp:
    """What the key that this was sent with may do."""
    face = face_of(request)
    key = await face.keys.caller(request)
    async with alone(face.hive.engine) as conn:
        spending = await accounts.get_spending(conn, key.id)
    remaining = left(key.limits, face.hive.writer.seen.marks(key.id), face.hive.clock())
    return json_answer(
        OwnKey(
            id=key.id,
            prefix=key.prefix,
            name=key.name,
            plan=key.plan,
            limits=key.limits,
            remaining={str(what): one for what, one in remaining.items()},
            budget=budget_of(key, spending),
            models=key.models,
            scopes=key.scopes or list(SCOPES),
            created_at=instant(key.created_at),
            expires_at=instant(key.expires_at),
        )
    )


def budget_of(key: KeyRow, spending: Spending) -> Budget | None:
    """What a key may spend; None where that is as much as its account has."""
    if spending.budget is None:
        return None
    rest = spending.budget - spending.held - spending.spent
    recharge = None if key.recharge is None else to_gns(key.recharge.amount)
    return Budget(to_gns(spending.budget), to_gns(spending.held), to_gns(spending.spent), to_gns(rest), recharge)


ROUTES: Final[list[Any]] = [own_key]
