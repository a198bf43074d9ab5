"""Jobs as their owner sees them: rows turned into the JSON of `/hive/jobs`. Money in GNS, times in ISO 8601 UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from coordinator.api.errors import error_body
from coordinator.api.failures import failure_of
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from shared.geo.cells import format_cell
from shared.ids import to_gns


class JobCreated(msgspec.Struct, frozen=True):
    """An accepted job: it will end in a terminal state, whatever happens."""

    job_id: UUID
    status: State
    h3_cell: str | None
    created_at: str


class JobJson(msgspec.Struct, frozen=True):
    """A job. `worker_pk` is there from `assigned` on, the result when it is completed; `cached_tokens` of the prompt were in
    the worker's cache already; a `parked` one waits until fewer jobs of its key are under way; `salt` opens the hashes of its
    receipt; a parent has `children`, one for each answer, and they its id; of one that was given tools
    `message` is the answer as OpenAI tells it; `settled` and `stellar_tx_hash` say that its payment is confirmed."""

    id: UUID
    status: State
    parked: bool
    model_id: str
    h3_cell: str | None
    jurisdiction: str | None
    priority: str
    created_at: str | None
    assigned_at: str | None
    first_token_at: str | None
    completed_at: str | None
    deadline_at: str | None
    queue_ms: int | None
    run_ms: int | None
    worker_pk: str | None
    worker_handle: str | None
    worker_cell: str | None
    attempts: int
    tokens_in: int
    cached_tokens: int
    max_tokens: int
    tokens_generated: int
    tokens_per_second: float | None
    result_text: str | None
    finish_reason: str | None
    error: dict[str, Any] | None
    gns_reward: Decimal | None
    gns_cost: Decimal
    settled: bool
    stellar_tx_hash: str | None
    receipt_url: str | None
    seed: str
    salt: str
    store: bool
    parent_id: UUID | None
    children: list[UUID]
    message: dict[str, Any] | None


class JobList(msgspec.Struct, frozen=True):
    """A page of jobs, the newest first; `next_cursor` is null on the last one."""

    data: list[JobJson]
    next_cursor: str | None


def instant(at: datetime | None) -> str | None:
    """A time in ISO 8601 UTC with milliseconds and a Z."""
    return None if at is None else written(at)


def written(at: datetime) -> str:
    """The same, for a time that is there."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_json(view: JobView, children: Sequence[JobView] = (), message: dict[str, Any] | None = None) -> JobJson:
    """The public shape of a job row, or of a parent's with those of its children; `message` is its answer taken apart."""
    failure = failure_of(view)
    return JobJson(
        id=view.id,
        status=view.status,
        parked=view.parked,
        model_id=view.model,
        h3_cell=None if view.cell is None else format_cell(view.cell),
        jurisdiction=view.region or None,
        priority=view.priority,
        created_at=instant(view.created_at),
        assigned_at=instant(view.assigned_at),
        first_token_at=instant(view.first_token_at),
        completed_at=instant(view.completed_at),
        deadline_at=instant(view.deadline_at),
        queue_ms=_ms(view.created_at, view.assigned_at),
        run_ms=_ms(view.assigned_at, view.completed_at),
        worker_pk=view.worker_pk,
        worker_handle=view.worker_handle,
        worker_cell=view.worker_cell,
        attempts=view.attempts,
        tokens_in=view.tokens_in,
        cached_tokens=view.cached_tokens,
        max_tokens=view.max_tokens,
        tokens_generated=view.tokens_generated,
        tokens_per_second=_rounded(view.tokens_per_second),
        result_text=view.result_text,
        finish_reason=view.finish_reason,
        error=error_body(failure)["error"] if failure else None,
        gns_reward=None if view.gns_reward is None else to_gns(view.gns_reward),
        gns_cost=to_gns(view.cost),
        settled=view.settled,
        stellar_tx_hash=view.stellar_tx_hash,
        receipt_url=f"/hive/receipts/{view.id}" if view.status is State.COMPLETED and not children else None,
        seed=view.seed,
        salt=view.salt,
        store=view.store,
        parent_id=view.parent,
        children=[child.id for child in children],
        message=message,
    )


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    return None if start is None or end is None else round((end - start).total_seconds() * 1000)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)
