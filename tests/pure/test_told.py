"""What a callback brings of a job: its end in the shape of its face, whatever the end was, and whatever is left of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from coordinator.api.answers import ENCODER
from coordinator.api.parents import parent_of
from coordinator.api.told import told
from coordinator.api.views import job_json
from coordinator.queue.lifecycle import TERMINAL, State
from coordinator.store.rows import JobView

NOW = datetime.now(UTC)
ID = uuid4()


def ended(status: State = State.COMPLETED, text: str | None = "Rome.", **different: Any) -> JobView:
    """A job that has ended so."""
    view = JobView(
        id=ID, account_id=uuid4(), key_id=uuid4(), source="hive", priority="interactive", model="hive-nano",
        status=status, region="", cell=None, created_at=NOW, deadline_at=NOW, assigned_at=NOW, first_token_at=NOW,
        completed_at=NOW, worker_pk="ab" * 32, worker_handle=None, worker_cell=None, attempts=1, tokens_in=3,
        max_tokens=10, tokens_generated=2, tokens_per_second=9.0, result_text=text, finish_reason="stop",
        error_code=None, error_message=None, gns_reward=None, hold=10, cost=5, settled=False, stellar_tx_hash=None,
        salt="00", seed="7", store=False,
    )  # fmt: skip
    return msgspec.structs.replace(view, **different)


def read(shape: Any, view: JobView | None, children: tuple[JobView, ...] = (), said: str | None = None) -> Any:
    """What arrives at the other side."""
    return msgspec.json.decode(ENCODER.encode(told(shape, ID, view, children, said)))


def test_a_job_is_told_as_its_owner_may_read_it() -> None:
    assert read("hive", ended()) == msgspec.json.decode(ENCODER.encode(job_json(ended())))


def test_a_task_is_told_as_thehive_tells_it() -> None:
    assert read("thehive", ended(), said="Rome.") == {
        "task_id": str(ID), "status": "completed", "output": {"text": "Rome."}, "error": None,
    }  # fmt: skip


@pytest.mark.parametrize("status", sorted(TERMINAL - {State.COMPLETED}))
def test_an_end_without_a_result_says_why(status: State) -> None:
    view = ended(status, None, error_message="Nobody could.")
    job, task = read("hive", view), read("thehive", view)
    assert job == msgspec.json.decode(ENCODER.encode(job_json(view)))
    assert (task["status"], task["output"], task["error"]) == (status, None, job["error"])
    assert task["error"]["message"] == "Nobody could."


def test_what_is_no_longer_kept_is_said_to_be_so() -> None:
    purged = ended(text=None)
    for view in (purged, None):
        job, task = read("hive", view), read("thehive", view)
        assert job["error"]["code"] == task["error"]["code"] == "result_expired"
        assert (job["id"], task["task_id"], task["output"]) == (str(ID), str(ID), None)
        assert task["status"] == (view and "completed")
    assert read("hive", purged)["status"] == "completed"


def test_a_parent_is_told_with_the_ids_of_its_children() -> None:
    children = tuple(ended(id=UUID(int=n), parent=ID, choice=n) for n in range(2))
    job = read("hive", parent_of(ID, children), children)
    assert (job["id"], job["error"]) == (str(ID), None)
    assert job["children"] == [str(UUID(int=n)) for n in range(2)]
    gone = (children[0], msgspec.structs.replace(children[1], result_text=None))
    assert read("hive", parent_of(ID, gone), gone)["error"]["code"] == "result_expired"
