"""Callbacks: what is to be told of a job's end, to whom, and what became of it; and which secret an account signs with."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import text

from coordinator.outside.schedule import Due, Outcome
from coordinator.store.batch import Batch, plain
from coordinator.store.engine import Connection, statement
from coordinator.store.rows import Row
from coordinator.submit.callback import Callback

State = Literal["waiting", "delivered", "dead"]
STATES: Final[tuple[State, ...]] = ("waiting", "delivered", "dead")
Lane = tuple[UUID, str]
"""An account and a host: callbacks of one lane wait for each other, never for those of another."""

FIRST_LANE: Final[Lane] = (UUID(int=0), "")


class NewCallback(Row, frozen=True):
    """A callback under the id of its job (or parent), for so many jobs; `late_at` is when all of them must have ended."""

    id: UUID
    account_id: UUID
    callback: Callback
    jobs: int
    created_at: datetime
    late_at: datetime


class CallbackRow(Row, frozen=True):
    """A callback as its owner sees it. `ended`: its jobs have; `due_at` is the next try's time."""

    id: UUID
    account_id: UUID
    url: str
    state: State
    ended: bool
    due_at: datetime
    tries: int
    calls: int
    last_at: datetime | None
    last_status: int | None
    last_reason: str | None
    created_at: datetime
    over_at: datetime | None


class SecretRow(Row, frozen=True):
    """Which of an account's webhook secrets is the newest, and when it took over; None for the first."""

    generation: int
    rotated_at: datetime | None


_new = Batch(
    "n", id="uuid", account_id="uuid", host="text", url="text", shape="text", jobs="integer", created_at="timestamptz",
    late_at="timestamptz",
)  # fmt: skip
_INSERT = text(f"""
    INSERT INTO callbacks (id, account_id, host, url, shape, state, jobs_left, created_at, due_at)
    SELECT id, account_id, host, url, shape, 'waiting', jobs, created_at, late_at FROM {_new.sql}
""")  # noqa: S608  # names of ours
# In the order of the ids, so that two transactions that end jobs of the same parents never wait for each other.
_ended = Batch("e", id="uuid", jobs="integer")
_ENDED = text(f"""
    WITH locked AS (
        SELECT c.id, e.jobs FROM {_ended.sql} JOIN callbacks c ON c.id = e.id ORDER BY c.id FOR UPDATE OF c)
    UPDATE callbacks c SET jobs_left = greatest(c.jobs_left - l.jobs, 0),
        due_at = CASE WHEN c.jobs_left <= l.jobs THEN :now ELSE c.due_at END
    FROM locked l WHERE c.id = l.id
""")  # noqa: S608  # names of ours
# From one lane to the next by the partial index, and of each the first that are due: a lane with a million rows costs the
# same as one with a few.
DUE = """
    WITH RECURSIVE lanes AS (
        (SELECT account_id, host, 1 AS n FROM callbacks
         WHERE state = 'waiting' AND (account_id, host) > (CAST(:account_id AS uuid), :host)
         ORDER BY account_id, host LIMIT 1)
        UNION ALL
        SELECT next.account_id, next.host, l.n + 1 FROM lanes l CROSS JOIN LATERAL (
            SELECT c.account_id, c.host FROM callbacks c
            WHERE c.state = 'waiting' AND (c.account_id, c.host) > (l.account_id, l.host)
            ORDER BY c.account_id, c.host LIMIT 1) AS next
        WHERE l.n < :lanes)
    SELECT l.account_id, l.host, d.id, d.url, d.shape, d.tries, d.calls, coalesce(s.generation, 1) AS generation,
        s.rotated_at
    FROM lanes l
    LEFT JOIN LATERAL (
        SELECT c.id, c.url, c.shape, c.tries, c.calls FROM callbacks c
        WHERE c.state = 'waiting' AND c.account_id = l.account_id AND c.host = l.host AND c.due_at <= :now
        ORDER BY c.due_at LIMIT :each FOR UPDATE SKIP LOCKED) AS d ON true
    LEFT JOIN LATERAL (SELECT * FROM webhook_secrets w WHERE w.account_id = l.account_id LIMIT 1) AS s ON true
    ORDER BY l.n
"""
_CLAIM = text("UPDATE callbacks SET due_at = :until, tries = tries + 1, calls = calls + 1 WHERE id = ANY(:ids)")
_RECORD = text("""
    UPDATE callbacks SET state = :state, due_at = :due_at, over_at = :over_at, jobs_left = 0, last_at = :now,
        last_status = :status, last_reason = :reason
    WHERE id = :id AND calls = :calls AND state = 'waiting'
""")
_POSTPONE = text("UPDATE callbacks SET due_at = :until, tries = 0 WHERE id = :id AND calls = :calls")
_COLUMNS = """id, account_id, url, state, jobs_left = 0 AS ended, due_at, tries, calls, last_at, last_status, last_reason,
    created_at, over_at"""
_PAGE = """
    SELECT c.* FROM unnest(CAST(:states AS text[])) AS s(state) CROSS JOIN LATERAL (
        SELECT {columns} FROM callbacks
        WHERE {whose} state = s.state AND (created_at, id) < (:before, CAST(:before_id AS uuid))
        ORDER BY created_at DESC, id DESC LIMIT :most) AS c
    ORDER BY c.created_at DESC, c.id DESC LIMIT :most
"""
_PAGE_OF = text(_PAGE.format(columns=_COLUMNS, whose="account_id = :account_id AND"))
_PAGE_OF_ALL = text(_PAGE.format(columns=_COLUMNS, whose="(state || '') = s.state AND"))
_GET = text(f"SELECT {_COLUMNS} FROM callbacks WHERE id = :id")  # noqa: S608  # columns of ours
_REPLAY = text("""
    UPDATE callbacks SET state = 'waiting', due_at = :now, tries = 0, over_at = NULL WHERE id = :id AND jobs_left = 0
""")
_FORGET = text("""
    DELETE FROM callbacks WHERE id IN (
        SELECT id FROM callbacks WHERE over_at <= :before ORDER BY over_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")
_SECRET = text("SELECT generation, rotated_at FROM webhook_secrets WHERE account_id = :account_id")
_ROTATE = text("""
    INSERT INTO webhook_secrets AS s (account_id, generation, rotated_at) VALUES (:account_id, 2, :now)
    ON CONFLICT (account_id) DO UPDATE SET generation = s.generation + 1, rotated_at = excluded.rotated_at
    RETURNING generation, rotated_at
""")


async def insert(conn: Connection, new: Iterable[NewCallback]) -> None:
    """Makes callbacks that wait for their jobs."""
    rows = (
        (n.id, n.account_id, n.callback.host, n.callback.url, n.callback.shape, n.jobs, n.created_at, n.late_at)
        for n in new
    )
    await conn.execute(_INSERT, _new.bind(rows))


async def ended(conn: Connection, jobs: Mapping[UUID, int], now: datetime) -> None:
    """So many jobs of each of these callbacks have ended; one whose last has is due."""
    await conn.execute(_ENDED, _ended.bind(jobs.items()) | {"now": now})


async def due(
    conn: Connection, after: Lane, now: datetime, *, lanes: int, each: int
) -> tuple[list[Due], Lane | None]:  # fmt: skip
    """Locks the callbacks that are to be sent now, of the next `lanes` after this one, and of each the first `each` that
    nobody else has locked. Also returns the last of these lanes, None where there are no more."""
    values = {"account_id": after[0], "host": after[1], "now": now, "lanes": lanes, "each": each}
    rows = (await conn.execute(statement(DUE), values)).all()
    seen = list(dict.fromkeys((row.account_id, row.host) for row in rows))
    return [Due(**row._mapping) for row in rows if row.id is not None], seen[-1] if len(seen) == lanes else None


async def claim(conn: Connection, ids: Sequence[UUID], until: datetime) -> None:
    """These locked callbacks are being sent: they are due again at `until`, should nobody tell how it went."""
    await conn.execute(_CLAIM, {"ids": list(ids), "until": until})


async def record(conn: Connection, id_: UUID, calls: int, came: Outcome, now: datetime) -> bool:
    """Notes how call number `calls` went; False if there was a later one, or it was over."""
    values = {"state": came.state, "due_at": came.due_at, "over_at": None if came.state == "waiting" else now}
    told = {"status": came.status, "reason": None if came.reason is None else plain(came.reason)}
    return (await conn.execute(_RECORD, values | told | {"id": id_, "calls": calls, "now": now})).rowcount == 1


async def postpone(conn: Connection, id_: UUID, calls: int, until: datetime) -> None:
    """The jobs of this callback have not ended: it waits on as if it had not been tried."""
    await conn.execute(_POSTPONE, {"id": id_, "calls": calls, "until": until})


async def page(
    conn: Connection, account_id: UUID | None, states: Sequence[State], cursor: tuple[datetime, UUID] | None, limit: int
) -> list[CallbackRow]:
    """An account's callbacks, or everybody's, in these states, the newest first, after `cursor` = (created_at, id)."""
    before, before_id = cursor or (datetime.max.replace(tzinfo=UTC), UUID(int=0))
    values: dict[str, Any] = {"states": list(states), "before": before, "before_id": before_id, "most": limit}
    if account_id is None:
        found = await conn.execute(_PAGE_OF_ALL, values)
    else:
        found = await conn.execute(_PAGE_OF, values | {"account_id": account_id})
    return [CallbackRow(**row._mapping) for row in found]


async def get(conn: Connection, id_: UUID) -> CallbackRow | None:
    """One callback, None if there is none."""
    row = (await conn.execute(_GET, {"id": id_})).one_or_none()
    return None if row is None else CallbackRow(**row._mapping)


async def replay(conn: Connection, id_: UUID, now: datetime) -> bool:
    """Makes a callback due now, with all its tries before it; False if its jobs have not ended."""
    return (await conn.execute(_REPLAY, {"id": id_, "now": now})).rowcount == 1


async def forget(conn: Connection, before: datetime, most: int) -> int:
    """Forgets up to `most` callbacks that were over before then; returns how many."""
    return (await conn.execute(_FORGET, {"before": before, "most": most})).rowcount


async def secret(conn: Connection, account_id: UUID) -> SecretRow:
    """Which webhook secret of the account is the newest."""
    row = (await conn.execute(_SECRET, {"account_id": account_id})).one_or_none()
    return SecretRow(generation=1, rotated_at=None) if row is None else SecretRow(**row._mapping)


async def rotate(conn: Connection, account_id: UUID, now: datetime) -> SecretRow:
    """Makes the next webhook secret of the account its newest."""
    return SecretRow(**(await conn.execute(_ROTATE, {"account_id": account_id, "now": now})).one()._mapping)
