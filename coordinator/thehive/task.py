"""Tasks as thehive tells of them: at once by their id, and by a callback when they are over."""

from typing import Any
from uuid import UUID

from litestar.types import ASGIApp

from coordinator.answer.serve import Call
from coordinator.api.answers import json_answer
from coordinator.api.errors import error_body
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.submit.request import Submission
from shared.errors import HiveError


async def taken(request: HttpRequest, call: Call, asked: Submission) -> ASGIApp:
    """Takes what is asked as a job that nobody waits for, and answers with its id; raises what the intake raises."""
    face = face_of(request)
    await face.admit(request, asked)
    accepted = await face.intake.take(asked, call.key, call.sent)
    return json_answer({"task_id": accepted.id}, 200, accepted.trace.headers())


def over_json(id_: UUID, status: str | None, text: str | None, error: HiveError | None) -> dict[str, Any]:
    """What is told of a task's end: what the model said, or why there is none of it; a status of None is no longer known."""
    return {
        "task_id": id_,
        "status": status,
        "output": None if text is None else {"text": text},
        "error": error and error_body(error)["error"],
    }
