"""What the owner of a job that did not complete is told."""

from typing import Final, assert_never

from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from shared.errors import HiveError, JobFailed, JobTimeout, ModelLoading

RETRY_AFTER_S: Final = 30
"""How soon a model that takes longer than a minute to load may be asked for again."""


def failure_of(view: JobView) -> HiveError | None:
    """Why an ended job has no result; None while it may still have one or does. Sending the request again by itself
    would do the work twice, so every failure says that the job was dispatched."""
    match view.status:
        case State.PENDING | State.ASSIGNED | State.COMPUTING | State.COMPLETED:
            return None
        case State.FAILED if view.error_code == ModelLoading.code:
            why = view.error_message or "A worker is still loading the model."
            return ModelLoading(why, retry_after_s=RETRY_AFTER_S, dispatched=True)
        case State.FAILED:
            return JobFailed(view.error_message or "The job failed on its workers.", dispatched=True)
        case State.TIMED_OUT:
            return JobTimeout(view.error_message or "The job was not completed in time.", dispatched=True)
        case State.CANCELLED:
            return JobFailed(view.error_message or "The job was cancelled.", dispatched=True)
        case _:
            assert_never(view.status)
