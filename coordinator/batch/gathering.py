"""What has become of a batch's lines: those whose jobs have ended are told of in its files."""

from collections.abc import Sequence

import structlog

from coordinator.api.errors import internal_error
from coordinator.batch import recording
from coordinator.batch.telling import Outcome, executed, refused
from coordinator.batch.work import Work, by_size
from coordinator.store import batch_lines
from coordinator.store.batch_lines import LineRow
from coordinator.store.engine import alone
from coordinator.store.rows import JobView
from shared.logs import bug

log = structlog.get_logger()


async def gathered(work: Work, lines: Sequence[LineRow], closing: str | None) -> list[LineRow]:
    """Tells of the lines whose jobs have ended, of those that the batch's own end cancelled by why it is `closing`; returns
    the other lines."""
    jobs = [line.job_id for line in lines if line.job_id is not None]
    if not jobs:
        return list(lines)
    async with alone(work.engine) as conn:
        over = await batch_lines.over(conn, jobs)
    for part in by_size([line for line in lines if line.job_id in over]):
        await work.renew()
        await _tell(work, part, closing)
    return [line for line in lines if line.job_id not in over]


async def _tell(work: Work, lines: Sequence[LineRow], closing: str | None) -> None:
    async with alone(work.engine) as conn:
        ended = await batch_lines.ended(conn, [line.job_id for line in lines if line.job_id is not None])
        bodies = await batch_lines.bodies(conn, work.batch.id, [line.line for line in lines])
    outcomes = [
        await _told(work, line, bodies.get(line.line, b""), ended.get(line.job_id, []) if line.job_id else [], closing)
        for line in lines
    ]
    work.batch = await recording.tell(work.engine, work.batch, outcomes)


async def _told(work: Work, line: LineRow, body: bytes, views: list[JobView], closing: str | None) -> Outcome:
    at = work.place(line.line, line.custom_id)
    try:
        return await executed(work.face, at, work.endpoint, body, work.header, views, closing)
    except Exception as e:  # noqa: BLE001 - one answer that we cannot tell must not keep its batch from ending
        log.error("a line of a batch cannot be told", id=str(work.batch.id), line=line.line, **bug(e))
        return refused(at, internal_error(), line.job_id)
