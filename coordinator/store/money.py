"""Money: guarded spend rows (touched last and in the order of their ids), the journal, and payables."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.settle.ledger import Entry
from coordinator.store.batch import Batch
from coordinator.store.engine import Connection, statement
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

_account = Batch("c", id="uuid", held="bigint", spent="bigint")
_key = Batch("c", key_id="uuid", key_held="bigint", key_spent="bigint")
CHANGED = f"""
    accounts AS MATERIALIZED (
        SELECT s.account_id AS id, c.held, c.spent FROM {_account.sql} JOIN spend s ON s.account_id = c.id
        WHERE {{after}} ORDER BY s.account_id FOR UPDATE OF s),
    keys AS MATERIALIZED (
        SELECT s.key_id AS id, c.key_held AS held, c.key_spent AS spent
        FROM {_key.sql} JOIN key_spend s ON s.key_id = c.key_id
        WHERE (SELECT count(*) FROM accounts) > 0 ORDER BY s.key_id FOR UPDATE OF s),
    paying AS (
        UPDATE spend s SET held = s.held + a.held, spent = s.spent + a.spent FROM accounts a
        WHERE s.account_id = a.id AND s.held + a.held + s.spent + a.spent <= s.credit RETURNING s.account_id AS id),
    used AS (
        UPDATE key_spend s SET held = s.held + k.held, spent = s.spent + k.spent FROM keys k
        WHERE s.key_id = k.id
            AND s.held + k.held + s.spent + k.spent <= coalesce(s.budget, 9223372036854775807) RETURNING s.key_id AS id),
    changed AS (SELECT id FROM paying UNION ALL SELECT id FROM used)
"""  # noqa: S608  # names of ours
_CHANGE = text(f"WITH {CHANGED.format(after='true')} SELECT id FROM changed")  # noqa: S608  # names of ours

JOURNAL = """
    INSERT INTO journal (day, ref, kind, accounts, amounts, at)
    SELECT day, ref, kind, accounts, amounts, :at
    FROM json_to_recordset(CAST(:entries AS json))
        AS e(day date, ref uuid, kind text, accounts text[], amounts bigint[])
"""
_JOURNAL = text(JOURNAL)

_owed = Batch(
    "p", day="date", job_id="uuid", attempt="integer", worker_pk="text", worker="bigint", platform="bigint",
    resilience="bigint", quorum="bigint", sign_until="timestamptz",
)  # fmt: skip
OWE = f"""
    INSERT INTO payables (day, job_id, attempt, worker_pk, worker, platform, resilience, quorum, state, sign_until, created_at)
    SELECT day, job_id, attempt, worker_pk, worker, platform, resilience, quorum,
        CASE WHEN sign_until IS NULL THEN 'accrued' ELSE 'unsigned' END, sign_until, :now FROM {_owed.sql}
"""  # noqa: S608  # names of ours

_GRANT = text("UPDATE spend SET credit = credit + :amount WHERE account_id = :account_id RETURNING credit")

_gain = Batch("g", id="uuid", amount="bigint")
_CREDIT = text(f"""
    WITH accounts AS MATERIALIZED (
        SELECT s.account_id AS id, g.amount FROM {_gain.sql} JOIN spend s ON s.account_id = g.id
        ORDER BY s.account_id FOR UPDATE OF s)
    UPDATE spend s SET credit = s.credit + a.amount FROM accounts a WHERE s.account_id = a.id RETURNING s.account_id
""")  # noqa: S608  # names of ours

_AT_ONCE: Final[Mapping[tuple[UUID, int], datetime]] = {}

Changes = dict[UUID, tuple[int, int]]
"""By account or key: what is added to `held` and to `spent`, in stroops."""


async def read_room(conn: Connection, accounts: Iterable[UUID], keys: Iterable[UUID]) -> Room:
    """What these accounts and keys may still hold, as last committed."""
    rows = await conn.execute(_ROOM, {"accounts": list(set(accounts)), "keys": list(set(keys))})
    found = [(row.id, row.is_account, row.room) for row in rows]
    return Room({id_: room for id_, yes, room in found if yes}, {id_: room for id_, yes, room in found if not yes})


async def change(conn: Connection, accounts: Changes, keys: Changes) -> set[UUID]:
    """Changes the spend rows of accounts and, with all of those locked, of keys; returns those whose credit or budget
    allowed it."""
    return set(await conn.scalars(_CHANGE, change_values(accounts, keys)))


def change_values(accounts: Changes, keys: Changes) -> dict[str, Any]:
    """The parameters of CHANGED."""
    rows = _account.bind((id_, *amounts) for id_, amounts in accounts.items())
    return rows | _key.bind((id_, *amounts) for id_, amounts in keys.items())


async def post(conn: Connection, entries: Sequence[Entry], at: datetime) -> None:
    """Writes entries into the journal; a second entry of a kind for the same job is a bug and raises IntegrityError."""
    if entries:
        await conn.execute(_JOURNAL, journal_values(entries, at))


def journal_values(entries: Sequence[Entry], at: datetime) -> dict[str, Any]:
    """The parameters of JOURNAL."""
    return {"entries": msgspec.json.encode(entries).decode(), "at": at}


async def owe(
    conn: Connection, payables: Iterable[Payable], now: datetime, until: Mapping[tuple[UUID, int], datetime] = _AT_ONCE
) -> None:
    """Notes what attempts earned; it is not paid before it matures, and what of it (job, attempt) is lost unless its worker
    signs for it `until` then does not mature before that."""
    await conn.execute(statement(OWE), owe_values(payables, until) | {"now": now})


def owe_values(payables: Iterable[Payable], until: Mapping[tuple[UUID, int], datetime] = _AT_ONCE) -> dict[str, Any]:
    """The parameters of OWE, beside `now`."""
    return _owed.bind((day_of(p.id), *msgspec.structs.astuple(p), until.get((p.id, p.attempt))) for p in payables)


async def add_credits(conn: Connection, amounts: Mapping[UUID, int]) -> set[UUID]:
    """Adds to several accounts' credit, in stroops; returns the accounts that there are."""
    return set(await conn.scalars(_CREDIT, _gain.bind(amounts.items())))


async def add_credit(conn: Connection, account_id: UUID, amount: int) -> int | None:
    """Adds `amount` stroops to an account's credit; returns the new credit, None if there is no such account."""
    credit = await conn.scalar(_GRANT, {"account_id": account_id, "amount": amount})
    return None if credit is None else int(credit)
