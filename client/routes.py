"""Every route of the client as a function from its arguments to a `Call`; both clients are made from these."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, Literal, ParamSpec
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec

from client.call import Call
from client.shapes.account import Balance, Callback, CallbackPage, CallbackState, Key, Usage, WebhookSecret
from client.shapes.jobs import Job, JobCreated, JobPage, NewJob, State, WhyJob
from client.shapes.swarm import GuardList, ModelList, SwarmStatus, Worker, WorkerList
from shared.receipt import SignedReceipt

P = ParamSpec("P")
UsedBy = Literal["day", "key", "model"]
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


def why(job_id: UUID | str) -> Call[WhyJob]:
    """Why a job waits, by counts of workers, and what its attempts came to."""
    return Call("GET", f"/hive/jobs/{_part(job_id)}/why", WhyJob)


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


def guards() -> Call[GuardList]:
    """The guards that `x-hive-guard` may name, and what they miss."""
    return Call("GET", "/hive/guards", GuardList)


def key() -> Call[Key]:
    """What the key that this is asked with may do, and what of it is left."""
    return Call("GET", "/hive/key", Key)


def usage(*, first: date | None = None, last: date | None = None, by: Sequence[UsedBy] | None = None) -> Call[Usage]:
    """What the account used from the day `first` to `last` (UTC, both included), told by what `by` names: None by all of
    them, nothing for one sum."""
    return Call(
        "GET", "/hive/usage", Usage, query={"from": first, "to": last, "by": None if by is None else ",".join(by)}
    )


def balance() -> Call[Balance]:
    """What the account has left, and the key's budget of it."""
    return Call("GET", "/hive/balance", Balance)


def callbacks(
    *, state: CallbackState | None = None, limit: int | None = None, cursor: str | None = None
) -> Call[CallbackPage]:
    """A page of the account's callbacks, the newest first."""
    return Call("GET", "/hive/callbacks", CallbackPage, query={"state": state, "limit": limit, "cursor": cursor})


def replay_callback(job_id: UUID | str) -> Call[Callback]:
    """Send the callback of a job again, now."""
    return Call("POST", f"/hive/callbacks/{_part(job_id)}/replay", Callback, safe=False)


def webhook_secret() -> Call[WebhookSecret]:
    """The secret that the account's callbacks are signed with."""
    return Call("GET", "/hive/webhook-secret", WebhookSecret)


def rotate_webhook_secret() -> Call[WebhookSecret]:
    """Sign with a new secret; for a day with the one before as well."""
    return Call("POST", "/hive/webhook-secret/rotate", WebhookSecret, safe=False)


def events(job_id: UUID | str) -> str:
    """The path of a job's events, a stream that no `Call` can be."""
    return EVENTS.format(job_id=_part(job_id))


def _part(text: UUID | str) -> str:
    return quote(str(text), safe="")
