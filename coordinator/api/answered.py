"""The answer of a job that was given tools, taken apart for whoever looks at the job."""

from typing import Any, Final

import msgspec

from coordinator.answer.said import Answer
from coordinator.answer.serve import terms_of
from coordinator.api.hive import Hive
from coordinator.openai.chat import message_of
from coordinator.queue.lifecycle import State
from coordinator.store import views
from coordinator.store.engine import alone
from coordinator.store.rows import JobView
from coordinator.submit.request import JobRequest

_REQUEST: Final = msgspec.json.Decoder(JobRequest)


async def answered(hive: Hive, view: JobView) -> dict[str, Any] | None:
    """The message of a completed job that was given tools, as OpenAI tells it; None for every other job, and where its
    request or its result is no longer kept."""
    if view.status is not State.COMPLETED or view.result_text is None:
        return None
    async with alone(hive.engine) as conn:
        raw = await views.get_request(conn, view.id)
    asked = None if raw is None else _REQUEST.decode(raw)
    if asked is None or asked.tools is None or asked.model not in hive.vocabularies:
        return None
    answer = Answer(terms_of(view.id, asked, hive.vocabularies[asked.model]))
    return message_of([*answer.push(view.result_text), *answer.finish()])
