"""What the owner of a job that did not complete is told."""

from typing import assert_never

from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from shared.errors import HiveError, JobFailed, JobTimeout


def failure_of(view: JobView) -> HiveError | None:
    """Why an ended job has no result; None while it may still have one or does. Sending the request again by itself
    would do the work twice, so every failure says that the job was dispatched."""
    match view.status:
        case State.PENDING | State.ASSIGNED | State.COMPUTING | State.COMPLETED:
            return None
        case State.FAILED:
            return JobFailed(view.error_message or "The job failed on its workers.", dispatched=True)
        case State.TIMED_OUT:
            return JobTimeout(view.error_message or "The job was not completed in time.", dispatched=True)
        case State.CANCELLED:
            return JobFailed(view.error_message or "The job was cancelled.", dispatched=True)
        case _:
            assert_never(view.status)
