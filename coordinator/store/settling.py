"""The end of jobs in two statements, each one round trip: first the rows of these jobs alone, then those that they share with
others, which are locked until the commit."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from coordinator.settle.ledger import Entry
from coordinator.store import ended, limits, money, receipts
from coordinator.store.changes import End, Use, Work
from coordinator.store.engine import Connection, statement
from coordinator.store.money import Changes
from coordinator.store.rows import Result

END = f"""
    WITH {ended.MOVED},
    signed AS ({receipts.INSERT}),
    owed AS ({money.OWE}),
    booked AS ({money.JOURNAL})
    SELECT job_id FROM told
"""  # noqa: S608  # names of ours
# The sums of workers first, then of callers and the day's, limits, accounts and their keys, in every transaction, so that no two
# wait for each other.
SETTLE = f"""
    WITH {ended.TALLIED},
    {limits.GIVEN_BACK.format(after="(SELECT count(*) FROM tallied) >= 0")},
    {money.CHANGED.format(after="(SELECT count(*) FROM given_back) >= 0")}
    SELECT id FROM changed
"""  # noqa: S608  # names of ours


async def end(
    conn: Connection, ends: Sequence[End], results: Iterable[Result], owed: dict[str, Any], booked: Sequence[Entry],
    now: datetime,
) -> set[UUID]:  # fmt: skip
    """Moves locked live jobs to where the ended ones are, with their attempts and events, the receipts of results, what is `owed`
    for them (money.owe_values) and its entries in the journal; returns the moved."""
    values = ended.end_values(ends) | receipts.values(results) | owed
    values |= money.journal_values(booked, now) | {"now": now}
    return set(await conn.scalars(statement(END), values))


async def settle(
    conn: Connection, ends: Sequence[End], works: Iterable[Work], uses: Iterable[Use], back: Mapping[UUID, int],
    accounts: Changes, keys: Changes, now: datetime,
) -> None:  # fmt: skip
    """Adds ended jobs to the sums that are kept of them, gives limits back what was not used, and takes holds off accounts and
    keys; hot rows, so last in the transaction."""
    values = ended.tally_values(ends, works, uses, now.date()) | limits.back_values(back)
    await conn.execute(statement(SETTLE), values | money.change_values(accounts, keys) | {"now": now})
