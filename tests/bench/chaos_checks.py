"""What must be so after a chaos run, whatever was done in it: read from the history of every job, from the books, and from
what clients and workers wrote down."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coordinator.queue.lifecycle import TERMINAL, Event, State, after
from coordinator.store.engine import Connection
from tests.bench.chaos_clients import Seen
from tests.support_books import faults_in

Acks = Iterable[tuple[str, int, str, str]]

_ENDED: Final = "SELECT id, parent, choice, state, attempt, worker_pk, lost, result FROM jobs_ended"
_LIVE: Final = "SELECT id, state, attempt, lease_until FROM jobs"
_EVENTS: Final = "SELECT job_id, attempt, event FROM job_events"
_OPEN: Final = """
    SELECT a.job_id, a.attempt FROM attempts a JOIN jobs_ended e ON e.day = a.day AND e.id = a.job_id
    WHERE a.ended_at IS NULL"""
"""Not by when: each end has the time at which its coordinator began, which may have waited long for another's."""

_WON: Final = "SELECT job_id, attempt, worker_pk FROM attempts WHERE outcome = 'complete'"
_BOUND: Final = """
    SELECT count(*) FROM attempts a JOIN jobs_ended e ON e.day = a.day AND e.id = a.job_id JOIN kinds k ON k.id = e.kind_id
    WHERE k.cell IS NOT NULL OR k.countries IS NOT NULL OR k.min_tier > 0"""
_PAID: Final = "SELECT job_id FROM payables WHERE sign_until IS NULL GROUP BY job_id HAVING count(*) > 1"
"""What is owed to workers of lost attempts has a time to be signed in, and the books say whose it is."""

_ORDER: Final = {Event.SUBMIT: 0, Event.ASSIGN: 1, Event.START: 2, Event.DECLINE: 3, Event.LOSE: 3}
"""Of events of one attempt; whatever ends a job comes last. Their times are those of several clocks."""


async def checked(
    conn: Connection, seen: Sequence[Seen] = (), acks: Mapping[str, Acks] | None = None
) -> tuple[Counter[str], list[str]]:
    """What there was, counted, and all that is wrong; `acks` are each worker's."""
    counts: Counter[str] = Counter()
    ended = {row.id: row for row in await conn.execute(text(_ENDED))}
    counts.update(f"jobs {row.state}" for row in ended.values())
    counts["attempts under a constraint of placement"] = await conn.scalar(text(_BOUND)) or 0
    wrong = [f"job {row.id} is {row.state} yet" for row in await conn.execute(text(_LIVE))]
    wrong += [f"attempt {row.attempt} of {row.job_id} outlived the job" for row in await conn.execute(text(_OPEN))]
    wrong += [f"job {row.job_id} was paid for twice" for row in await conn.execute(text(_PAID))]
    wrong += _histories(ended, (await conn.execute(text(_EVENTS))).all(), counts)
    won = {str(row.job_id): (row.attempt, row.worker_pk) for row in await conn.execute(text(_WON))}
    for pk, said in (acks or {}).items():
        wrong += _acknowledged(pk, said, won, counts)
    wrong += _streams(ended, seen, counts)
    return counts, wrong + await faults_in(conn)


def _histories(ended: dict[UUID, Any], events: Sequence[Any], counts: Counter[str]) -> list[str]:
    """Every job went its way by the table of the lifecycle, and ended once."""
    told: dict[UUID, list[tuple[int, int, Event]]] = defaultdict(list)
    for row in events:
        event = Event(row.event)
        told[row.job_id].append((row.attempt, _ORDER.get(event, 4), event))
    wrong = []
    for job_id, steps in told.items():
        state: State | None = None
        lost = 0
        for attempt, _, event in sorted(steps):
            counts[f"events {event}"] += 1
            lost += event is Event.LOSE
            to = after(state, event, lost)
            if to is None:
                wrong.append(f"job {job_id}: {event} of attempt {attempt} when it was {state}")
                break
            state = to
        else:
            end = ended.get(job_id)
            if (end.state if end else None) != (state if state in TERMINAL else None):
                wrong.append(f"job {job_id} is {end and end.state}, its history says {state}")
    return wrong


def _acknowledged(pk: str, acks: Acks, won: dict[str, tuple[int, str]], counts: Counter[str]) -> list[str]:
    """Who was told that its result counts is who the books say made it."""
    wrong = []
    for job_id, attempt, verdict, reason in acks:
        counts[f"results {verdict}"] += 1
        if verdict in ("accepted", "duplicate") and won.get(job_id) != (attempt, pk):
            wrong.append(f"attempt {attempt} of {job_id} was {verdict}, and {won.get(job_id)} counts")
        elif verdict == "rejected":
            wrong.append(f"attempt {attempt} of {job_id} was rejected: {reason}")
    return wrong


def _streams(ended: dict[UUID, Any], seen: Sequence[Seen], counts: Counter[str]) -> list[str]:
    """Nothing that was accepted is lost, and what was read is the result, or how it begins."""
    children: dict[UUID, list[Any]] = defaultdict(list)
    for row in ended.values():
        children[row.parent or row.id].append(row)
    wrong = []
    for one in seen:
        if not one.over:
            wrong.append(f"a client ({one.what}, job {one.job_id or 'unknown'}) is not answered yet")
        if not one.job_id:
            counts[f"requests {f'refused with {one.status}' if one.status else 'not answered'}: {one.what}"] += 1
            continue
        counts[f"requests {'whole' if one.whole else 'broken'}: {one.what}"] += 1
        rows = children.get(UUID(one.job_id), [])
        if not rows and one.status < 400:
            wrong.append(f"job {one.job_id} was accepted ({one.what}) and is lost")
        wrong += [fault for row in rows if (fault := _stream(one, row, counts)) is not None]
    return wrong


def _stream(one: Seen, row: Any, counts: Counter[str]) -> str | None:
    """A reader that was cut off, or told of an error, may have read what a lost worker made: where nobody knew of it any
    more the result was made anew, and that is counted."""
    read = one.texts.get(row.choice, "")
    if row.state != State.COMPLETED:
        return f"job {row.id} is {row.state}, and its reader ({one.what}) got a proper end" if one.whole else None
    result = bytes(row.result).decode()
    if row.attempt > 1 and read:
        counts[f"streams {'whole' if one.whole else 'broken'} with a hand-over"] += 1
    if (read == result) if one.whole and one.texts else result.startswith(read):
        return None
    if row.attempt > 1 and not one.whole:
        counts["streams broken and their result made anew"] += 1
        return None
    return f"job {row.id} ({one.what}): read {read!r}, and the result is {result!r}"
