"""How a response is told: as one object, or as the events that build it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from coordinator.answer.said import Likely
from coordinator.answer.teller import Counts, End, Names, Told
from coordinator.api.errors import error_body
from coordinator.dispatch.relay import GoingAway
from coordinator.openai.responses_output import Output, Said
from shared.chat.events import Event
from shared.errors import HiveError

Count = Callable[[str], int]
"""How many tokens the model reads in a text."""

_ENCODER: Final = msgspec.json.Encoder()
_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_Json = dict[str, Any]


class Facts(msgspec.Struct, frozen=True):
    """What every state of one response says alike: whose it is, and the fields that say what was asked for."""

    job: UUID
    created: int
    model: str
    echo: _Json


def response_id(job: UUID) -> str:
    """The id of the response that this job makes."""
    return f"resp_{job.hex}"


def job_of(response: str) -> UUID | None:
    """The job that makes this response; None if it is no response's id."""
    prefix, _, digits = response.partition("_")
    try:
        return UUID(digits) if prefix == "resp" and len(digits) == len(UUID(int=0).hex) else None
    except ValueError:
        return None


def response(facts: Facts, status: str, output: Iterable[_Json] = (), **fields: Any) -> _Json:
    """The response object; `fields` are those that a state has besides."""
    return {
        "id": response_id(facts.job),
        "object": "response",
        "created_at": facts.created,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": facts.model,
        "output": list(output),
        "usage": None,
        **facts.echo,
        **fields,
    }


def finished(facts: Facts, output: Output, end: End, counts: Counts, count: Count) -> _Json:
    """The response of a job that has completed."""
    reason = _REASONS.get(end.finish_reason)
    return response(
        facts,
        status_of(end),
        output.items,
        completed_at=end.at,
        incomplete_details=None if reason is None else {"reason": reason},
        usage=usage(output.thoughts, counts, count),
    )


def status_of(end: End) -> Literal["completed", "incomplete"]:
    """Whether the model came to its own end."""
    return "incomplete" if end.finish_reason in _REASONS else "completed"


def failed(facts: Facts, error: HiveError, output: Iterable[_Json] = ()) -> _Json:
    """The response of a job that failed; OpenAI's own codes are few."""
    code = "rate_limit_exceeded" if error.code == "rate_limit_exceeded" else "server_error"
    return response(facts, "failed", output, error={"code": code, "message": error.message})


def usage(thoughts: str, counts: Counts, count: Count) -> _Json:
    """OpenAI's counts; of the answer's tokens, those that the model's thoughts have."""
    reasoning = min(count(thoughts), counts.tokens_out) if thoughts else 0
    return {
        "input_tokens": counts.tokens_in,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
        "output_tokens": counts.tokens_out,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": counts.tokens_in + counts.tokens_out,
    }


class ResponseTeller:
    """Tells one response. Of its events only those are told that come after the number `after`, and always the last."""

    def __init__(self, names: Names, *, echo: _Json, count: Count, after: int = -1) -> None:
        self._facts = Facts(names.id, names.created, names.model, echo)
        self._output = Output(names.id)
        self._count = count
        self._after = after
        self._number = -1
        self._end: End | None = None

    def opening(self) -> bytes:
        """That there is a response, and that it is being made."""
        begun = response(self._facts, "queued" if self._facts.echo["background"] else "in_progress")
        said = self._event("response.created", {"response": begun})
        if self._facts.echo["background"]:
            said += self._event("response.queued", {"response": begun})
        return said + self._event("response.in_progress", {"response": response(self._facts, "in_progress")})

    def more(self, _choice: int, events: Sequence[Event], likely: list[Likely] | None) -> bytes:
        """What is said, item by item."""
        return self._events(self._output.take(events, likely))

    def ended(self, _choice: int, end: End) -> bytes:
        """The end of the last item."""
        self._end = end
        return self._events(self._output.end(status_of(end), end.likely))

    def closing(self, counts: Counts) -> bytes:
        """The whole response."""
        assert self._end is not None, "an answer ends before its stream"
        self._number = max(self._number, self._after)
        whole = finished(self._facts, self._output, self._end, counts, self._count)
        return self._event(f"response.{whole['status']}", {"response": whole})

    def broken(self, error: HiveError) -> bytes:
        """That the response failed, where it did, and the error, at which official clients raise one."""
        self._number = max(self._number, self._after)
        told = {"code": error.code, "message": error.message, "param": error.param, **error_body(error)}
        if isinstance(error, GoingAway):
            return self._event("error", told)
        whole = failed(self._facts, error, self._output.so_far())
        return self._event("response.failed", {"response": whole}) + self._event("error", told)

    def whole(self, answers: Sequence[Told], counts: Counts) -> _Json:
        """The response."""
        (told,) = answers
        for _ in (*self._output.take(told.events, told.end.likely), *self._output.end(status_of(told.end))):
            pass
        return finished(self._facts, self._output, told.end, counts, self._count)

    def _events(self, said: Iterable[Said]) -> bytes:
        return b"".join(self._event(f"response.{kind}", fields) for kind, fields in said)

    def _event(self, kind: str, fields: _Json) -> bytes:
        self._number += 1
        if self._number <= self._after:
            return b""
        data = _ENCODER.encode({"type": kind, "sequence_number": self._number, **fields})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
