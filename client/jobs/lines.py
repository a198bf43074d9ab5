"""Events as lines, for scripts and for logs. Pure."""

from typing import Any, assert_never
from uuid import UUID

from client.events import Done, Event, Failed, Moved, Token
from client.printed import json_text, printable


def event_json(job_id: UUID, event: Event) -> str:
    """An event as one line of JSON, named as on the wire."""
    told: dict[str, Any] = {"job_id": job_id}
    match event:
        case Moved():
            told |= {"event": "status", "status": event.status, "attempt": event.attempt, "worker": event.worker}
        case Token():
            told |= {"event": "token", "index": event.index, "text": event.text, "count": event.count}
        case Done():
            told |= {"event": "done", "job": event.job}
        case Failed():
            told |= {"event": "error", "error": event.job.error, "job": event.job}
        case _:
            assert_never(event)
    return json_text(told)


def event_line(job_id: UUID, event: Event) -> str:
    """An event in words; tokens are none."""
    match event:
        case Moved():
            by = f" by {event.worker.handle or event.worker.pk[:8]}" if event.worker else ""
            return printable(f"{job_id} {event.status}{by}")
        case Done():
            return f"{job_id} completed, {event.job.tokens_generated} tokens"
        case Failed():
            return printable(f"{job_id} {event.job.status}: {event.error.message}")
        case Token():
            return ""
        case _:
            assert_never(event)
