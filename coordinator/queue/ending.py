"""What the end of a job takes with it, in the same transaction: its row, its attempt, its event and its money."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from coordinator.queue.lifecycle import Event, State
from coordinator.queue.limits import KEPT, STORED
from coordinator.settle import ledger
from coordinator.settle.split import Split, own_share, split
from coordinator.store import ended, money, receipts
from coordinator.store.changes import End, Live, Work
from coordinator.store.engine import Connection
from coordinator.store.rows import Payable, Result


async def complete_all(
    conn: Connection, done: Sequence[tuple[Live, Result]], others: Sequence[tuple[Live, End]], now: datetime
) -> None:
    """Ends locked jobs with their results, and `others` in the same go: receipts are kept, workers and pools are owed."""
    shares = {r.id: own_share(split(r.cost), *r.share) for _, r in done}
    if done:
        await receipts.insert(conn, (r for _, r in done), now)
        await money.owe(conn, (_payable(r, shares[r.id]) for _, r in done if r.cost), now)
    settled = [e for job, r in done for e in ledger.settle(r.id, job.account_id, r.worker_pk, shares[r.id])]
    works = [_work(job, r, shares[r.id]) for job, r in done]
    await end_all(conn, [*((job, _completed(job, r, now)) for job, r in done), *others], now, settled, works)


async def end_all(
    conn: Connection, ends: Sequence[tuple[Live, End]], now: datetime, settled: Sequence[ledger.Entry] = (),
    works: Sequence[Work] = (),
) -> set[UUID]:  # fmt: skip
    """Ends locked jobs, books what was `settled` of their holds and releases the rest; returns them. The hot rows of
    `works` and of money come last."""
    if not ends:
        return set()
    moved = await ended.end(conn, [end for _, end in ends], now)
    assert len(moved) == len(ends), "a locked job cannot be moved by others"
    released = [e for job, end in ends for e in ledger.release(job.id, job.account_id, job.hold - end.cost)]
    await money.post(conn, [*settled, *released], now)
    await ended.tally(conn, [end for _, end in ends], works, now)
    accounts = _sums([(job.account_id, job, end) for job, end in ends])
    await money.change(conn, accounts, _sums([(job.key_id, job, end) for job, end in ends]))
    return moved


def failed(job: Live, code: str, message: str, now: datetime) -> End:
    """The end of a job whose attempt failed in a way that another worker would not mend."""
    return msgspec.structs.replace(
        _end(job, State.FAILED, Event.FAIL, code, now), error_code=code, error_message=message
    )


def lost_for_good(job: Live, reason: str, now: datetime) -> End:
    """The end of a job that has lost its last worker."""
    message = "Three workers were lost while they computed this job."
    plain_end = _end(job, State.FAILED, Event.LOSE, reason, now)
    return msgspec.structs.replace(plain_end, lost=1, error_code="workers_lost", error_message=message)


def timed_out(job: Live, now: datetime) -> End:
    """The end of a job that was not completed in time."""
    message = "The job was not completed in time."
    return msgspec.structs.replace(
        _end(job, State.TIMED_OUT, Event.EXPIRE, "", now), error_code="job_timeout", error_message=message
    )


def cancelled(job: Live, reason: str, now: datetime) -> End:
    """The end of a job that nobody wants any more."""
    return _end(job, State.CANCELLED, Event.CANCEL, reason, now)


def _end(job: Live, state: State, event: Event, reason: str, now: datetime) -> End:
    purge_at = now + (STORED if job.store else KEPT)
    return End(id=job.id, attempt=job.attempt, state=state, event=event, reason=reason, purge_at=purge_at)


def _completed(job: Live, r: Result, now: datetime) -> End:
    return msgspec.structs.replace(
        _end(job, State.COMPLETED, Event.COMPLETE, "", now), tokens_in=r.tokens_in, tokens_out=r.tokens_out,
        tokens_per_second=r.tokens_per_second, text=r.text, ids=r.ids, finish_reason=r.finish_reason, cost=r.cost,
        cached_tokens=r.cached_tokens,
    )  # fmt: skip


def _payable(r: Result, share: Split) -> Payable:
    return Payable(id=r.id, attempt=r.attempt, worker_pk=r.worker_pk, **msgspec.structs.asdict(share))


def _work(job: Live, r: Result, share: Split) -> Work:
    earned = share.worker if r.cost else 0
    return Work(
        worker_pk=r.worker_pk, model=job.model, tokens_in=r.tokens_in, tokens_out=r.share[0], earned=earned
    )  # fmt: skip


def _sums(ends: Sequence[tuple[UUID, Live, End]]) -> money.Changes:
    sums: money.Changes = {}
    for owner, job, end in ends:
        held, spent = sums.get(owner, (0, 0))
        sums[owner] = (held - job.hold, spent + end.cost)
    return sums
