"""Accounts, their keys and their credit."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import case, func, insert, or_, select, text, update

from coordinator.settle import ledger
from coordinator.store import money
from coordinator.store.batch import Batch
from coordinator.store.callers import AccountRow, KeyRow, KeyTerms, Recharge, Spending
from coordinator.store.engine import Connection
from coordinator.store.tables import accounts, key_spend, keys, spend
from coordinator.submit.plans import limits_of

_OWN = (
    keys.c.id, keys.c.account_id, keys.c.name, keys.c.plan, keys.c.prefix, key_spend.c.budget, keys.c.models,
    keys.c.created_at, keys.c.revoked_at, keys.c.scopes, keys.c.old_until, keys.c.rpm, keys.c.tpm, keys.c.at_once,
    key_spend.c.recharge, key_spend.c.recharge_below, key_spend.c.recharge_daily,
)  # fmt: skip
_SPENDING = key_spend.c.key_id == keys.c.id
_KEY = select(*_OWN, keys.c.expires_at).join(key_spend, _SPENDING)


_TODAY = "CASE WHEN s.recharged_on = :today THEN s.recharged ELSE 0 END"
_GROWTH = text(f"""
    SELECT s.key_id, CASE WHEN s.recharge_daily IS NOT NULL THEN greatest(0, s.recharge_daily - {_TODAY}) END AS growth
    FROM key_spend s WHERE s.key_id = ANY(:keys) AND s.recharge IS NOT NULL
""")  # noqa: S608  # names of ours

_holding = Batch("h", holder="uuid", hold="bigint")
_LEFT = "(s.budget - s.held - s.spent)"
_GROWN = f"""least(
    (g.hold + s.recharge_below - {_LEFT} + s.recharge - 1) / s.recharge * s.recharge,
    coalesce(s.recharge_daily - ({_TODAY}), g.free), g.free - {_LEFT})"""
_RECHARGE = text(f"""
    WITH accounts AS MATERIALIZED (
        SELECT s.account_id, s.credit - s.held - s.spent AS free FROM spend s
        WHERE s.account_id = ANY(:accounts) ORDER BY s.account_id FOR UPDATE OF s),
    growing AS MATERIALIZED (
        SELECT s.key_id, h.hold, a.free FROM {_holding.sql} JOIN keys k ON k.id = h.holder
            JOIN accounts a ON a.account_id = k.account_id JOIN key_spend s ON s.key_id = k.id
        ORDER BY s.key_id FOR UPDATE OF s)
    UPDATE key_spend s SET budget = s.budget + {_GROWN}, recharged = {_TODAY} + {_GROWN}, recharged_on = :today
    FROM growing g WHERE s.key_id = g.key_id AND s.recharge IS NOT NULL AND {_GROWN} > 0
""")  # noqa: S608  # names of ours


USUAL = KeyTerms()


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
    plan: str | None = None, budget: int | None = None, models: list[str] | None = None, terms: KeyTerms = USUAL,
) -> None:  # fmt: skip
    """Makes a key of which only the hash of its secret is kept; `budget` in stroops, None for no limit (such a one cannot
    be recharged)."""
    own = msgspec.structs.asdict(terms) | {"plan": plan, "models": models, "created_at": now}
    recharge: Recharge | None = own.pop("recharge")
    named = {"account_id": account_id, "name": name, "hash": secret_hash, "prefix": prefix}
    await conn.execute(insert(keys).values(id=id_, **named, **own))
    spending: dict[str, Any] = {"key_id": id_, "budget": budget}
    if recharge is not None:
        spending |= {
            "recharge": recharge.amount, "recharge_below": recharge.below, "recharge_daily": recharge.daily,
        }  # fmt: skip
    await conn.execute(insert(key_spend).values(spending))


async def find_key(conn: Connection, secret_hash: str) -> KeyRow | None:
    """The key with this secret, or with this one before its last rotation; revoked, expired or not."""
    old = keys.c.old_hash == secret_hash
    ends = case((old, func.least(keys.c.expires_at, keys.c.old_until)), else_=keys.c.expires_at)
    found = (
        select(*_OWN, ends.label("expires_at")).join(key_spend, _SPENDING).where(or_(keys.c.hash == secret_hash, old))
    )
    row = (await conn.execute(found)).one_or_none()
    return None if row is None else _key(row)


async def get_key(conn: Connection, id_: UUID) -> KeyRow | None:
    """The key of this id; revoked, expired or not."""
    row = (await conn.execute(_KEY.where(keys.c.id == id_))).one_or_none()
    return None if row is None else _key(row)


async def rotate_key(conn: Connection, id_: UUID, *, secret_hash: str, prefix: str, old_until: datetime) -> bool:
    """Gives a key a new secret; the present one works until `old_until`, the one before it no longer. False if there is no
    such key, or it was revoked."""
    mine = (keys.c.id == id_) & keys.c.revoked_at.is_(None)
    new = {"hash": secret_hash, "prefix": prefix, "old_hash": keys.c.hash, "old_until": old_until}
    return (await conn.execute(update(keys).where(mine).values(new))).rowcount == 1


async def read_growth(conn: Connection, key_ids: Iterable[UUID], today: date) -> dict[UUID, int | None]:
    """By how much the budgets of these keys may still grow today, in stroops; None for as much as the account has."""
    rows = await conn.execute(_GROWTH, {"keys": list(key_ids), "today": today})
    return {row.key_id: row.growth for row in rows}


async def recharge(conn: Connection, holds: Mapping[UUID, int], accounts: Iterable[UUID], today: date) -> None:
    """Lets the budgets of these keys grow, by as many recharges as it takes to hold this much more (in stroops) and not fall
    below the threshold; no further than the day's cap and what the account has.

    Locks `accounts`, all whose money the transaction will touch, and then these keys.
    """
    await conn.execute(_RECHARGE, _holding.bind(holds.items()) | {"accounts": list(set(accounts)), "today": today})


async def get_spending(conn: Connection, key_id: UUID) -> Spending:
    """What a key holds and has spent."""
    found = select(key_spend.c.budget, key_spend.c.held, key_spend.c.spent).where(key_spend.c.key_id == key_id)
    return Spending(**(await conn.execute(found)).one()._mapping)


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
    amount, below, daily = (found.pop(name) for name in ("recharge", "recharge_below", "recharge_daily"))
    recharge = None if amount is None else Recharge(amount=amount, below=below, daily=daily)
    return KeyRow(**found, limits=limits, recharge=recharge)
