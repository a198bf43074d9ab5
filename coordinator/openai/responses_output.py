"""What a model says as the output items of a response, and the events that tell of them as they come. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from coordinator.answer.said import Likely
from coordinator.openai.common import likelihoods
from coordinator.openai.responses_items import ASSISTANT, output_text
from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Event, Reasoning

Kind = Literal["message", "reasoning", "function_call"]
Said = tuple[str, dict[str, Any]]
"""An event: its type without `response.`, and its fields but for the sequence number."""

_PREFIXES: Final[dict[Kind, str]] = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
_TEXT_EVENTS: Final[dict[Kind, str]] = {
    "message": "output_text",
    "reasoning": "reasoning_text",
    "function_call": "function_call_arguments",
}
_ITEM: Final = re.compile(r"[a-z]+_([0-9a-f]{32})_i?[0-9]{1,9}")


def item_id(kind: str, job: UUID, place: int, *, given: bool = False) -> str:
    """The id of a response's item at this place of its output, or of what it was given: it leads back to the job."""
    return f"{kind}_{job.hex}_{'i' if given else ''}{place}"


def job_of_item(id_: str) -> UUID | None:
    """The job whose response has the item with this id; None if it is no item's id."""
    found = _ITEM.fullmatch(id_)
    return None if found is None else UUID(found[1])


class _Open:
    """An item that is being said."""

    def __init__(self, kind: Kind, id_: str, call: CallStarted | None) -> None:
        self.kind = kind
        self.id = id_
        self._call = call
        self._texts: list[str] = []
        self._likely: list[Likely] = []

    def add(self, text: str, likely: Sequence[Likely]) -> None:
        self._texts.append(text)
        self._likely += likely

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def logprobs(self) -> list[dict[str, Any]]:
        return _told(self._likely)

    def part(self) -> dict[str, Any]:
        """All of its text as the only part of its content."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": self.text}
        return output_text(self.text, self.logprobs)

    def shown(self, status: str) -> dict[str, Any]:
        """The item so far."""
        item: dict[str, Any] = {"id": self.id, "type": self.kind, "status": status}
        if self._call is not None:
            return item | {"call_id": self._call.id, "name": self._call.name, "arguments": self.text}
        content = [self.part()] if self._texts else []
        if self.kind == "reasoning":
            return item | {"summary": [], "content": content, "encrypted_content": None}
        return item | {"role": ASSISTANT, "content": content}


class Output:
    """Makes the output of one response: `items` are those that are whole."""

    def __init__(self, job: UUID) -> None:
        self.items: list[dict[str, Any]] = []
        self._job = job
        self._open: _Open | None = None
        self._untold: list[Likely] = []

    @property
    def thoughts(self) -> str:
        """All that the model wrote to itself."""
        return "".join(item["content"][0]["text"] for item in self.items if item["type"] == "reasoning")

    def take(self, events: Sequence[Event], likely: Sequence[Likely] | None) -> Iterator[Said]:
        """Tells of what is said; what is known of how likely its tokens were goes with the first text for the reader."""
        left = [*self._untold, *(likely or ())]
        for number, one in enumerate(events, 1):
            match one:
                case Content(text):
                    made, left = _made(left, text, last=number == len(events))
                    yield from self._more("message", text, made)
                case Reasoning(text):
                    left = _made(left, text, last=False)[1] or left
                    yield from self._more("reasoning", text, [])
                case CallStarted():
                    yield from self._begun("function_call", one)
                case CallArguments(_, text):
                    yield from self._more("function_call", text, [])
                case CallEnded():
                    yield from self._closed("completed")
        self._untold = left if not events or isinstance(events[-1], Content) else []

    def end(self, status: Literal["completed", "incomplete"], likely: Sequence[Likely] | None = None) -> Iterator[Said]:
        """Tells that nothing follows: an answer that says nothing at all is an empty message."""
        if self._open is None and not self.items:
            yield from self._more("message", "", [])
        if self._open is not None:
            if self._open.kind == "message":
                self._open.add("", [*self._untold, *(likely or ())])
            yield from self._closed(status)

    def so_far(self) -> list[dict[str, Any]]:
        """The items, the last of which may not be whole."""
        return [*self.items, *([self._open.shown("incomplete")] if self._open is not None else [])]

    def _more(self, kind: Kind, text: str, likely: Sequence[Likely]) -> Iterator[Said]:
        if self._open is None or self._open.kind != kind:
            yield from self._begun(kind)
        assert self._open is not None, "it has just begun"
        self._open.add(text, likely)
        where = self._where(self._open)
        if kind == "message":
            where["logprobs"] = _told(likely)
        if text:
            yield f"{_TEXT_EVENTS[kind]}.delta", {**where, "delta": text}

    def _begun(self, kind: Kind, call: CallStarted | None = None) -> Iterator[Said]:
        """A new item, after the one before; a call that nothing has ended is not whole."""
        if self._open is not None:
            yield from self._closed("incomplete" if self._open.kind == "function_call" else "completed")
        place = len(self.items)
        item = self._open = _Open(kind, item_id(_PREFIXES[kind], self._job, place), call)
        yield "output_item.added", {"output_index": place, "item": item.shown("in_progress")}
        if kind != "function_call":
            yield "content_part.added", {**self._where(item), "part": item.part()}

    def _closed(self, status: str) -> Iterator[Said]:
        item, self._open = self._open, None
        assert item is not None, "only what has begun ends"
        where, done = self._where(item), f"{_TEXT_EVENTS[item.kind]}.done"
        if item.kind == "function_call":
            yield done, {**where, "arguments": item.text}
        else:
            part = item.part()
            yield done, {**where, **{name: part[name] for name in ("text", "logprobs") if name in part}}
            yield "content_part.done", {**where, "part": part}
        self.items.append(item.shown(status))
        yield "output_item.done", {"output_index": len(self.items) - 1, "item": self.items[-1]}

    def _where(self, item: _Open) -> dict[str, Any]:
        where: dict[str, Any] = {"item_id": item.id, "output_index": len(self.items)}
        return where if item.kind == "function_call" else {**where, "content_index": 0}


def _told(likely: Sequence[Likely]) -> list[dict[str, Any]]:
    told = likelihoods(likely)
    return [] if told is None else told["content"]


def _made(likely: list[Likely], text: str, *, last: bool) -> tuple[list[Likely], list[Likely]]:
    """Those of these tokens that made this text, which is the `last` of theirs or the first, without the marks before it;
    and those that come after it."""
    raw, whole = text.encode(), b"".join(one.raw for one in likely)
    start = whole.rfind(raw) if last else whole.find(raw)
    if start < 0:
        return likely, []
    made, after, end = list[Likely](), list[Likely](), 0
    for one in likely:
        begin, end = end, end + len(one.raw)
        if begin >= start + len(raw):
            after.append(one)
        elif begin >= start or end > start:
            made.append(one)
    return made, after
