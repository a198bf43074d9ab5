"""Accounts, their keys and their credit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from coordinator.settle import ledger
from coordinator.store import money
from coordinator.store.engine import Connection
from coordinator.store.rows import AccountRow, KeyRow
from coordinator.store.tables import accounts, key_spend, keys, spend
from coordinator.submit.plans import limits_of

_KEY = select(
    keys.c.id, keys.c.account_id, keys.c.name, keys.c.plan, keys.c.prefix, key_spend.c.budget, keys.c.models,
    keys.c.created_at, keys.c.revoked_at, keys.c.scopes, keys.c.expires_at, keys.c.rpm, keys.c.tpm, keys.c.at_once,
).join(key_spend, key_spend.c.key_id == keys.c.id)  # fmt: skip


async def create_account(conn: Connection, id_: UUID, name: str, now: datetime) -> None:
    """Makes an account without credit."""
    await conn.execute(insert(accounts).values(id=id_, name=name, created_at=now))
    await conn.execute(insert(spend).values(account_id=id_))


async def get_account(conn: Connection, id_: UUID) -> AccountRow | None:
    """An account and its money."""
    statement = (
        select(accounts, spend.c.credit, spend.c.held, spend.c.spent)
        .join(spend, spend.c.account_id == accounts.c.id)
        .where(accounts.c.id == id_)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else AccountRow(**row._mapping)


async def grant(conn: Connection, account_id: UUID, stroops: int, ref: UUID, now: datetime) -> int | None:
    """Gives an account `stroops`; `ref` is the grant's own name: the same grant is not booked twice in a day.

    Returns the new credit in stroops, None if there is no such account.
    """
    credit = await money.add_credit(conn, account_id, stroops)
    if credit is not None:
        await money.post(conn, ledger.grant(now.date(), ref, account_id, stroops), now)
    return credit


async def create_key(
    conn: Connection, id_: UUID, account_id: UUID, *, name: str, secret_hash: str, prefix: str, now: datetime,
    plan: str | None = None, budget: int | None = None, models: list[str] | None = None,
) -> None:  # fmt: skip
    """Makes a key of which only the hash of its secret is kept; `budget` in stroops, None for no limit."""
    row = {"account_id": account_id, "name": name, "hash": secret_hash, "prefix": prefix, "plan": plan}
    await conn.execute(insert(keys).values(id=id_, models=models, created_at=now, **row))
    await conn.execute(insert(key_spend).values(key_id=id_, budget=budget))


async def find_key(conn: Connection, secret_hash: str) -> KeyRow | None:
    """The key with this hash, revoked or not."""
    row = (await conn.execute(_KEY.where(keys.c.hash == secret_hash))).one_or_none()
    return None if row is None else _key(row)


async def list_keys(conn: Connection, account_id: UUID | None = None) -> list[KeyRow]:
    """An account's keys, or everybody's, oldest first."""
    statement = _KEY if account_id is None else _KEY.where(keys.c.account_id == account_id)
    return [_key(row) for row in await conn.execute(statement.order_by(keys.c.created_at, keys.c.id))]


async def revoke_key(conn: Connection, id_: UUID, now: datetime) -> bool:
    """Ends a key's life; False if there is none or it was revoked before."""
    mine = (keys.c.id == id_) & keys.c.revoked_at.is_(None)
    return (await conn.execute(update(keys).where(mine).values(revoked_at=now))).rowcount == 1


def _key(row: Any) -> KeyRow:
    found = dict(row._mapping)
    limits = limits_of(found["plan"], *(found.pop(name) for name in ("rpm", "tpm", "at_once")))
    return KeyRow(**found, limits=limits)
