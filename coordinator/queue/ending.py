"""What the end of a job takes with it, in the same transaction: its row, its attempt, its event, its callback and its
money."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from coordinator.queue.lifecycle import Event, State
from coordinator.queue.limits import KEPT, STORED
from coordinator.queue.over import Ends, Over
from coordinator.settle import ledger
from coordinator.settle.due import Due, due
from coordinator.settle.partial import Part
from coordinator.settle.split import Split
from coordinator.store import callbacks, money, parked, settling, shares
from coordinator.store.changes import End, Live, Use, Work
from coordinator.store.engine import Connection
from coordinator.store.rows import Result


async def complete_all(
    conn: Connection, done: Sequence[tuple[Live, Result, bool]], others: Sequence[tuple[Live, End]], now: datetime
) -> Ends:
    """Ends locked jobs with their results (and those of which the first token came just now too), and `others` in the same go
    (see `end_all`); the receipts of results are kept."""
    ends = [(job, _completed(job, r, now, started=started)) for job, r, started in done]
    return await end_all(conn, [*ends, *others], now, [r for _, r, _ in done])


async def end_all(
    conn: Connection, ends: Sequence[tuple[Live, End]], now: datetime, results: Sequence[Result] = ()
) -> Ends:
    """Ends locked jobs: what they cost is owed to workers and pools, the rest of their holds is released. The hot rows
    come last; with those locked the next parked jobs of the same keys are let in."""
    if not ends:
        return Ends(set(), [])
    owed = await _owed(conn, ends)
    payables = [payable for _, end in ends if end.cost for payable in owed[end.id].payables]
    until = {(p.id, p.attempt): until for p in payables if (until := owed[p.id].until(p, now))}
    booked = [e for job, end in ends for e in _settled(job, owed[end.id])]
    booked += [e for job, end in ends for e in ledger.release(job.id, job.account_id, job.hold - end.cost)]
    moved = await settling.end(conn, [end for _, end in ends], results, money.owe_values(payables, until), booked, now)
    assert len(moved) == len(ends), "a locked job cannot be moved by others"
    if told := Counter(job.parent or job.id for job, _ in ends if job.callback):
        await callbacks.ended(conn, told, now)
    works = [_work(job, end, owed[end.id].earned) for job, end in ends if _worked(end, owed[end.id])]
    uses = [_use(job, end) for job, end in ends if end.state is State.COMPLETED or end.tokens_out]
    accounts, keys = (_sums([(of(job), job, end) for job, end in ends]) for of in (_account_of, _key_of))
    await settling.settle(conn, [end for _, end in ends], works, uses, _unused(ends), accounts, keys, now)
    let_in = await parked.promote(conn, {job.key_id for job, _ in ends if job.at_once is not None}, now)
    return Ends(let_in, [Over(job, end, now) for job, end in ends])


def failed(job: Live, code: str, message: str, part: Part, now: datetime) -> End:
    """The end of a job whose attempt failed in a way that another worker would not mend."""
    return msgspec.structs.replace(
        _unfinished(job, State.FAILED, Event.FAIL, code, part, now), error_code=code, error_message=message
    )


def lost_for_good(job: Live, reason: str, part: Part, now: datetime) -> End:
    """The end of a job that has lost its last worker."""
    message = "Three workers were lost while they computed this job."
    plain_end = _unfinished(job, State.FAILED, Event.LOSE, reason, part, now)
    return msgspec.structs.replace(plain_end, lost=1, error_code="workers_lost", error_message=message)


def timed_out(job: Live, part: Part, now: datetime) -> End:
    """The end of a job that was not completed in time."""
    message = "The job was not completed in time."
    return msgspec.structs.replace(
        _unfinished(job, State.TIMED_OUT, Event.EXPIRE, "", part, now), error_code="job_timeout", error_message=message
    )


def cancelled(job: Live, reason: str, part: Part, now: datetime) -> End:
    """The end of a job that nobody wants any more."""
    return _unfinished(job, State.CANCELLED, Event.CANCEL, reason, part, now)


def _unfinished(job: Live, state: State, event: Event, reason: str, part: Part, now: datetime) -> End:
    """The text that was made is not kept: no worker has signed for it."""
    return msgspec.structs.replace(
        _end(job, state, event, reason, now), tokens_in=part.tokens_in if part.tokens else None, tokens_out=part.tokens,
        cost=part.cost, worker_pk=part.worker_pk, share=part.share,
    )  # fmt: skip


def _end(job: Live, state: State, event: Event, reason: str, now: datetime) -> End:
    purge_at = now + (STORED if job.store else KEPT)
    return End(id=job.id, attempt=job.attempt, state=state, event=event, reason=reason, purge_at=purge_at)


def _completed(job: Live, r: Result, now: datetime, *, started: bool) -> End:
    return msgspec.structs.replace(
        _end(job, State.COMPLETED, Event.COMPLETE, "", now), started=started, tokens_in=r.tokens_in, tokens_out=r.tokens_out,
        tokens_per_second=r.tokens_per_second, text=r.text, ids=r.ids, finish_reason=r.finish_reason, cost=r.cost,
        cached_tokens=r.cached_tokens, worker_pk=r.worker_pk, share=r.share,
    )  # fmt: skip


async def _owed(conn: Connection, ends: Sequence[tuple[Live, End]]) -> dict[UUID, Due]:
    """What each of these jobs owes, and to whom: of one that lost workers it is read what they had made of it."""
    lost = await shares.made(conn, [job.id for job, end in ends if end.cost and job.lost + end.lost])
    return {end.id: due(end, lost.get(end.id, ())) for _, end in ends}


def _settled(job: Live, owed: Due) -> list[ledger.Entry]:
    last, *others = owed.payables
    legs = Split(last.worker, last.platform, last.resilience, last.quorum)
    return ledger.settle(job.id, job.account_id, last.worker_pk, legs, [(p.worker_pk, p.worker) for p in others])


def _worked(end: End, owed: Due) -> bool:
    return end.state is State.COMPLETED or owed.earned > 0


def _work(job: Live, end: End, earned: int) -> Work:
    return Work(
        worker_pk=end.worker_pk, model=job.model, tokens_in=end.tokens_in or 0, tokens_out=end.share[0], earned=earned
    )


def _use(job: Live, end: End) -> Use:
    return Use(
        account_id=job.account_id, key_id=job.key_id, model=job.model, tokens_in=0 if job.copy else end.tokens_in or 0,
        cached=0 if job.copy else end.cached_tokens, tokens_out=end.tokens_out, cost=end.cost,
    )  # fmt: skip


def _unused(ends: Sequence[tuple[Live, End]]) -> dict[UUID, int]:
    """By key: what jobs were charged for tokens that they did not use, in ns."""
    back: dict[UUID, int] = {}
    for job, end in ends:
        if job.token_ns:
            most = job.max_tokens + (0 if job.copy else job.tokens_in)
            used = end.tokens_out + (0 if job.copy else end.tokens_in or 0)
            back[job.key_id] = back.get(job.key_id, 0) + max(0, most - used) * job.token_ns
    return back


def _account_of(job: Live) -> UUID:
    return job.account_id


def _key_of(job: Live) -> UUID:
    return job.key_id


def _sums(ends: Sequence[tuple[UUID, Live, End]]) -> money.Changes:
    sums: money.Changes = {}
    for owner, job, end in ends:
        held, spent = sums.get(owner, (0, 0))
        sums[owner] = (held - job.hold, spent + end.cost)
    return sums
