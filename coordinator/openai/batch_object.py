"""OpenAI's batch object: how a batch stands. Pure."""

from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec

from coordinator.batch.lines import Flaw
from coordinator.openai.files import file_id
from coordinator.store.batches import BatchRow, End, Status

_ENDS: Final = get_args(End)
_FLAWS: Final = msgspec.json.Decoder(list[Flaw])


class Counts(msgspec.Struct, frozen=True):
    """How many of a batch's requests there are, were answered, and have failed."""

    total: int
    completed: int
    failed: int


class Cached(msgspec.Struct, frozen=True):
    """How many of the tokens that were read had been read before."""

    cached_tokens: int


class Reasoned(msgspec.Struct, frozen=True):
    """How many of the tokens that were made are thoughts."""

    reasoning_tokens: int


class BatchUsage(msgspec.Struct, frozen=True):
    """The model's own counts over all answers."""

    input_tokens: int
    input_tokens_details: Cached
    output_tokens: int
    output_tokens_details: Reasoned
    total_tokens: int


class Flaws(msgspec.Struct, frozen=True):
    """What is wrong with an input file."""

    data: list[Flaw]
    object: Literal["list"] = "list"


class BatchObject(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as its owner sees it; times in seconds since 1970 UTC. Its own files are named when it has ended."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None
    errors: Flaws | None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: Counts
    usage: BatchUsage
    metadata: dict[str, str] | None


def batch_id(id_: UUID) -> str:
    """A batch's id as its owner knows it."""
    return f"batch_{id_.hex}"


def shown(row: BatchRow) -> BatchObject:
    """A batch as it stands."""
    done = row.status in _ENDS
    return BatchObject(
        id=batch_id(row.id),
        endpoint=row.endpoint,
        model=row.model,
        errors=None if row.errors is None else Flaws(_FLAWS.decode(row.errors)),
        input_file_id=file_id(row.input_file),
        status=row.status,
        output_file_id=file_id(row.output_file) if done and row.output_file is not None else None,
        error_file_id=file_id(row.error_file) if done and row.error_file is not None else None,
        created_at=int(row.created_at.timestamp()),
        in_progress_at=_seconds(row.in_progress_at),
        expires_at=int(row.expires_at.timestamp()),
        finalizing_at=_seconds(row.finalizing_at),
        completed_at=_ended(row, "completed"),
        failed_at=_ended(row, "failed"),
        expired_at=_ended(row, "expired"),
        cancelled_at=_ended(row, "cancelled"),
        cancelling_at=_seconds(row.cancelling_at),
        request_counts=Counts(row.total, row.completed, row.failed),
        usage=_usage(row),
        metadata=msgspec.json.decode(row.metadata, type=dict[str, str]) or None,
    )


def _usage(row: BatchRow) -> BatchUsage:
    total = row.tokens_in + row.tokens_out
    return BatchUsage(row.tokens_in, Cached(row.cached), row.tokens_out, Reasoned(row.reasoning), total)


def _ended(row: BatchRow, end: End) -> int | None:
    return _seconds(row.ended_at) if row.status == end else None


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
