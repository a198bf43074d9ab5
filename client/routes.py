"""Every route of the client as a function from its arguments to a `Call`; both clients are made from these."""

from collections.abc import Callable
from typing import Final, ParamSpec
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec

from client.call import Call
from client.shapes import (
    Job,
    JobCreated,
    JobPage,
    ModelList,
    NewJob,
    State,
    SwarmStatus,
    Worker,
    WorkerList,
)
from shared.receipt import SignedReceipt

P = ParamSpec("P")
EVENTS: Final = "/hive/jobs/{job_id}/events"


def _submitting(fields: Callable[P, NewJob]) -> Callable[P, Call[JobCreated]]:
    def submit(*args: P.args, **kwargs: P.kwargs) -> Call[JobCreated]:
        """Submit a job. Sent again after a failure it is the same job: without an `idempotency_key` it gets one here."""
        job = fields(*args, **kwargs)
        if job.idempotency_key is None:
            job = msgspec.structs.replace(job, idempotency_key=uuid4().hex)
        return Call("POST", "/hive/jobs", JobCreated, body=job)

    return submit


submit = _submitting(NewJob)


def job(job_id: UUID | str) -> Call[Job]:
    """A job of the account."""
    return Call("GET", f"/hive/jobs/{_part(job_id)}", Job)


def jobs(*, status: State | None = None, limit: int | None = None, cursor: str | None = None) -> Call[JobPage]:
    """A page of the account's jobs, the newest first; `cursor` is the last page's `next_cursor`."""
    return Call("GET", "/hive/jobs", JobPage, query={"status": status, "limit": limit, "cursor": cursor})


def cancel(job_id: UUID | str) -> Call[Job]:
    """Cancel a job; raises Conflict `not_cancellable` once it has ended."""
    return Call("DELETE", f"/hive/jobs/{_part(job_id)}", Job, safe=False)


def status() -> Call[SwarmStatus]:
    """The swarm in numbers."""
    return Call("GET", "/hive/status", SwarmStatus)


def models() -> Call[ModelList]:
    """Every model of the catalogue, and who serves it now."""
    return Call("GET", "/hive/models", ModelList)


def workers() -> Call[WorkerList]:
    """Every worker seen within a day, the ones online first."""
    return Call("GET", "/hive/workers", WorkerList)


def worker(pk: str) -> Call[Worker]:
    """One worker by its public key."""
    return Call("GET", f"/hive/workers/{_part(pk)}", Worker)


def receipt(job_id: UUID | str) -> Call[SignedReceipt]:
    """The signed receipt of a completed job; `hive verify` checks one offline."""
    return Call("GET", f"/hive/receipts/{_part(job_id)}", SignedReceipt)


def events(job_id: UUID | str) -> str:
    """The path of a job's events, a stream that no `Call` can be."""
    return EVENTS.format(job_id=_part(job_id))


def _part(text: UUID | str) -> str:
    return quote(str(text), safe="")
