"""How far keys have used up their limits: one row for each key and what is limited, the same for every coordinator."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.submit.limits import Charge

_charge = Batch("c", charged_id="uuid", what="text", start="bigint", charge="bigint", room="bigint")
CHARGED = f"""
    limited AS MATERIALIZED (
        SELECT l.key_id, l.what, c.start, c.charge, c.room
        FROM {_charge.sql} JOIN limits l ON l.key_id = c.charged_id AND l.what = c.what
        WHERE {{after}} ORDER BY l.key_id, l.what FOR UPDATE OF l),
    charged AS (
        UPDATE limits l SET until = greatest(l.until, c.start) + c.charge FROM limited c
        WHERE l.key_id = c.key_id AND l.what = c.what AND greatest(l.until, c.start) + c.charge <= c.start + c.room
        RETURNING l.key_id, l.what, l.until)
"""  # noqa: S608  # names of ours
_CHARGE = text(f"WITH {CHARGED.format(after='true')} SELECT key_id, what, until FROM charged")  # noqa: S608  # names of ours

_wanted = Batch("w", key_id="uuid", what="text")
_OPEN = text(f"""
    WITH made AS (
        INSERT INTO limits (key_id, what, until) SELECT key_id, what, 0 FROM {_wanted.sql} ORDER BY key_id, what
        ON CONFLICT (key_id, what) DO NOTHING)
    SELECT l.key_id, l.what, l.until FROM {_wanted.sql} JOIN limits l ON l.key_id = w.key_id AND l.what = w.what
""")  # noqa: S608  # names of ours
_READ = text("SELECT key_id, what, until FROM limits WHERE key_id = :key_id")

_back = Batch("b", key_id="uuid", what="text", amount="bigint")
# With 'tokens' in words, and without statistics, all of the index would be walked for them; where the keys are an array too,
# the join is not turned round.
GIVEN_BACK = f"""
    believed AS MATERIALIZED (
        SELECT l.key_id, l.what, b.amount FROM {_back.sql} JOIN limits l ON l.key_id = b.key_id AND l.what = b.what
        WHERE {{after}} ORDER BY l.key_id FOR UPDATE OF l),
    given_back AS (
        UPDATE limits l SET until = l.until - b.amount FROM believed b
        WHERE l.key_id = ANY(ARRAY(SELECT key_id FROM believed)) AND l.key_id = b.key_id AND l.what = b.what RETURNING 1)
"""  # noqa: S608  # names of ours

Used = dict[UUID, dict[str, int]]
"""By key and what is limited: until when it is used up, in ns since 1970."""


class Charged(NamedTuple):
    """A charge and the key that it is for."""

    key_id: UUID
    charge: Charge


async def charge(conn: Connection, charged: Iterable[Charged]) -> Used:
    """Charges keys what still fits, each (key, what) at most once; returns how far those are used up then. A row that
    nobody has opened is not charged."""
    return used(await conn.execute(_CHARGE, charge_values(charged)))


def charge_values(charged: Iterable[Charged]) -> dict[str, Any]:
    """The parameters of CHARGED."""
    return _charge.bind((key_id, c.what, c.start, c.cost, c.room) for key_id, c in charged)


async def open_rows(conn: Connection, wanted: Iterable[tuple[UUID, str]]) -> Used:
    """Makes the rows of these (key, what) that are missing; returns how far the others are used up."""
    return used(await conn.execute(_OPEN, _wanted.bind(wanted)))


async def read(conn: Connection, key_id: UUID) -> dict[str, int]:
    """How far a key's limits are used up."""
    return used(await conn.execute(_READ, {"key_id": key_id})).get(key_id, {})


def back_values(amounts: Mapping[UUID, int]) -> dict[str, Any]:
    """The parameters of GIVEN_BACK: what keys get back that jobs were charged for tokens that they did not use, in ns."""
    return _back.bind((key_id, "tokens", amount) for key_id, amount in amounts.items())


def used(rows: Iterable[Any]) -> Used:
    """Rows of (key_id, what, until), sorted by key."""
    found: Used = {}
    for key_id, what, until in rows:
        found.setdefault(key_id, {})[what] = until
    return found
