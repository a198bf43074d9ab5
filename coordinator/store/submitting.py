"""A group of submissions as one statement, so that a commit is one round trip: all of it is written, or none."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg.exceptions import DivisionByZeroError
from sqlalchemy import text

from coordinator.settle.ledger import Entry
from coordinator.store.engine import Connection
from coordinator.store.jobs import INSERT, insert_values
from coordinator.store.money import CHANGED, JOURNAL, Changes, change_values, journal_values
from coordinator.store.rows import NewJob

# The hot rows of money are locked last, when all the rest is written. A statement cannot roll itself back, but an error
# does: it divides by zero where an account's or a key's row did not allow its hold.
_AFTER = "(SELECT count(*) FROM told) + (SELECT count(*) FROM booked) > 0"
_SUBMIT = text(f"""
    WITH {INSERT}, booked AS ({JOURNAL} RETURNING ref), {CHANGED.format(after=_AFTER)}
    SELECT 1 / CASE WHEN count(*) = :owners THEN 1 ELSE 0 END FROM changed
""")  # noqa: S608  # names of ours


async def submit(
    conn: Connection, jobs: Sequence[NewJob], entries: Sequence[Entry], accounts: Changes, keys: Changes, at: datetime
) -> bool:
    """Makes pending rows, their first events and their holds; False if an account or a key has no room for its own, and
    then nothing is made and the transaction is over."""
    values = insert_values(jobs) | journal_values(entries, at) | change_values(accounts, keys)
    try:
        await conn.execute(_SUBMIT, values | {"owners": len(accounts) + len(keys)})
    except DivisionByZeroError:
        return False
    return True
