"""Money: guarded spend rows (touched last and in the order of their ids), the journal, and payables."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.settle.ledger import Entry
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import Payable
from shared.ids import day_of


class Room(msgspec.Struct, frozen=True):
    """What accounts and keys may still hold, in stroops; a key that is missing has no budget."""

    accounts: dict[UUID, int]
    keys: dict[UUID, int]


_ROOM = text("""
    SELECT account_id AS id, true AS is_account, credit - held - spent AS room FROM spend
    WHERE account_id = ANY(:accounts)
    UNION ALL
    SELECT key_id, false, budget - held - spent FROM key_spend WHERE key_id = ANY(:keys) AND budget IS NOT NULL
""")

_change = Batch("c", id="uuid", held="bigint", spent="bigint")


def _change_spend(table: str, key: str, ceiling: str) -> str:
    return f"""
        WITH mine AS MATERIALIZED (
            SELECT s.{key} AS id, c.held, c.spent FROM {_change.sql} JOIN {table} s ON s.{key} = c.id
            ORDER BY s.{key} FOR UPDATE OF s)
        UPDATE {table} s SET held = s.held + m.held, spent = s.spent + m.spent FROM mine m
        WHERE s.{key} = m.id AND s.held + m.held + s.spent + m.spent <= {ceiling} RETURNING s.{key}
    """  # noqa: S608  # names of ours


_ACCOUNTS = text(_change_spend("spend", "account_id", "s.credit"))
_KEYS = text(_change_spend("key_spend", "key_id", "coalesce(s.budget, 9223372036854775807)"))

_JOURNAL = text("""
    INSERT INTO journal (day, ref, kind, accounts, amounts, at)
    SELECT day, ref, kind, accounts, amounts, :at
    FROM json_to_recordset(CAST(:entries AS json))
        AS e(day date, ref uuid, kind text, accounts text[], amounts bigint[])
""")

_owed = Batch(
    "p", day="date", job_id="uuid", attempt="integer", worker_pk="text", worker="bigint", platform="bigint",
    resilience="bigint", quorum="bigint",
)  # fmt: skip
_OWE = text(f"""
    INSERT INTO payables (day, job_id, attempt, worker_pk, worker, platform, resilience, quorum, state, created_at)
    SELECT day, job_id, attempt, worker_pk, worker, platform, resilience, quorum, 'accrued', :now FROM {_owed.sql}
""")  # noqa: S608  # names of ours

_GRANT = text("UPDATE spend SET credit = credit + :amount WHERE account_id = :account_id RETURNING credit")

Changes = dict[UUID, tuple[int, int]]
"""By account or key: what is added to `held` and to `spent`, in stroops."""


async def read_room(conn: Connection, accounts: Iterable[UUID], keys: Iterable[UUID]) -> Room:
    """What these accounts and keys may still hold, as last committed."""
    rows = await conn.execute(_ROOM, {"accounts": list(set(accounts)), "keys": list(set(keys))})
    found = [(row.id, row.is_account, row.room) for row in rows]
    return Room({id_: room for id_, yes, room in found if yes}, {id_: room for id_, yes, room in found if not yes})


async def change_accounts(conn: Connection, changes: Changes) -> set[UUID]:
    """Changes the spend rows of accounts; returns those whose credit allowed it."""
    return set(await conn.scalars(_ACCOUNTS, _change.bind((id_, *change) for id_, change in changes.items())))


async def change_keys(conn: Connection, changes: Changes) -> set[UUID]:
    """Changes the spend rows of keys; returns those whose budget allowed it."""
    return set(await conn.scalars(_KEYS, _change.bind((id_, *change) for id_, change in changes.items())))


async def post(conn: Connection, entries: Sequence[Entry], at: datetime) -> None:
    """Writes entries into the journal; a second entry of a kind for the same job is a bug and raises IntegrityError."""
    if entries:
        await conn.execute(_JOURNAL, {"entries": msgspec.json.encode(entries).decode(), "at": at})


async def owe(conn: Connection, payables: Iterable[Payable], now: datetime) -> None:
    """Notes what completed attempts earned; it is not paid before it matures."""
    rows = [(day_of(p.id), *msgspec.structs.astuple(p)) for p in payables]
    if rows:
        await conn.execute(_OWE, _owed.bind(rows) | {"now": now})


async def add_credit(conn: Connection, account_id: UUID, amount: int) -> int | None:
    """Adds `amount` stroops to an account's credit; returns the new credit, None if there is no such account."""
    credit = await conn.scalar(_GRANT, {"account_id": account_id, "amount": amount})
    return None if credit is None else int(credit)
