"""What a callback brings: the job as it is when it is told, in the shape of the face that it was submitted on; and who
brings it."""

from collections.abc import Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec

from coordinator.answer.said import Answer, Terms
from coordinator.api.answered import answered
from coordinator.api.answers import ENCODER
from coordinator.api.errors import error_body
from coordinator.api.failures import failure_of
from coordinator.api.family import read_family
from coordinator.api.hive import Hive
from coordinator.api.views import job_json
from coordinator.outside.addresses import allowed
from coordinator.outside.courier import Courier
from coordinator.outside.http import Outside
from coordinator.outside.schedule import Due
from coordinator.queue.lifecycle import TERMINAL
from coordinator.store.rows import JobView
from coordinator.submit.callback import Shape
from coordinator.thehive.task import over_json
from shared.chat.events import Content
from shared.errors import HiveError, NotFound


class Telling:
    """Reads jobs whose end is told by a callback."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive

    async def __call__(self, due: Due) -> bytes | None:
        """The body that tells of the end; None while the job has not ended. Raises Away."""
        view, children = await read_family(self._hive.engine, due.id)
        if view is not None and view.status not in TERMINAL:
            return None
        said = self._said(view) if view is not None and due.shape == "thehive" else None
        message = await answered(self._hive, view) if view is not None and due.shape == "hive" else None
        return ENCODER.encode(told(due.shape, due.id, view, children, said, message))

    def _said(self, view: JobView) -> str | None:
        """The model's answer without its reasoning; None where there is none."""
        vocabulary, text = self._hive.vocabularies.get(view.model), view.result_text
        if vocabulary is None or text is None:
            return text
        answer = Answer(Terms(vocabulary.format, lambda token: vocabulary.detokenise([token])))
        return "".join(one.text for one in [*answer.push(text), *answer.finish()] if isinstance(one, Content))


def told(
    shape: Shape, id_: UUID, view: JobView | None, children: Sequence[JobView], said: str | None,
    message: dict[str, Any] | None = None,
) -> object:  # fmt: skip
    """The end of a job, or of a parent of `children`, as its face tells it; `view` is None where nothing of it is kept,
    `said` the text of one answer, and `message` that of one that was given tools."""
    failure = _failure(view, children)
    match shape:
        case "hive":
            error = failure and error_body(failure)["error"]
            known = None if view is None else msgspec.structs.replace(job_json(view, children, message), error=error)
            return known or {"id": id_, "error": error}
        case "thehive":
            return over_json(id_, None if view is None else view.status, said, failure)
        case _:
            assert_never(shape)


def _failure(view: JobView | None, children: Sequence[JobView]) -> HiveError | None:
    """Why there is no result to tell; that of a completed job was there, and is no longer kept."""
    failed = None if view is None else failure_of(view)
    parts = children or ([] if view is None else [view])
    gone = not parts or any(part.result_text is None for part in parts)
    return failed or (NotFound("The result of this job is no longer kept.", code="result_expired") if gone else None)


def courier_of(hive: Hive) -> Courier:
    """Who sends a coordinator's callbacks."""
    outside = Outside(allowed(hive.settings.callback_allow))
    return Courier(hive.engine, outside, Telling(hive), hive.secrets.pepper, hive.clock)
