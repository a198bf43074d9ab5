"""A model's answer as OpenAI tells it: content, reasoning and tool calls apart, and how likely each token was. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from shared.chat.events import CallArguments, CallEnded, CallStarted, Content, Event, Reasoning
from shared.chat.formats import Format
from shared.chat.parser import Parser
from shared.protocol.messages import Logprob

Delta = dict[str, Any]
MILLION: Final = 1_000_000


class Terms(msgspec.Struct, frozen=True):
    """How one answer is told: the model's format, the tools whose calls are calls, whether logprobs were asked for, what
    call ids follow from, and how the model spells a token."""

    format: Format
    spell: Callable[[int], bytes]
    tools: tuple[str, ...] = ()
    logprobs: bool = False
    seed: str = ""


class Answer:
    """One answer while it comes. Without tools or reasoning its text is told as it is."""

    def __init__(self, terms: Terms) -> None:
        apart = bool(terms.tools) or terms.format.reasoning is not None
        self._parser = Parser(terms.format, terms.tools, seed=terms.seed, hold=False) if apart else None
        self._terms = terms
        self._unsaid: list[dict[str, Any]] = []

    def push(self, text: str, ids: Sequence[int] = (), told: Sequence[Logprob] = ()) -> list[Delta]:
        """What more text, and the tokens that made it, let be told."""
        if self._terms.logprobs:
            self._unsaid += [_likelihood(id_, one, self._terms.spell) for id_, one in zip(ids, told, strict=True)]
        if self._parser is None:
            return [{"content": text}] if text else []
        return list(_deltas(self._parser.push(text))) if text else []

    def finish(self) -> list[Delta]:
        """The rest, now that no text follows."""
        return [] if self._parser is None else list(_deltas(self._parser.finish()))

    def likelihoods(self) -> dict[str, Any] | None:
        """What was told of tokens since this was last asked, as a choice's `logprobs`."""
        told, self._unsaid = self._unsaid, []
        return {"content": told, "refusal": None} if self._terms.logprobs else None

    def finish_reason(self, reason: str) -> str:
        """Why it ended: a whole call is waited for by whoever asked."""
        called = self._parser is not None and self._parser.calls > 0
        return "tool_calls" if called and reason == "stop" else reason


def message_of(deltas: Iterable[Delta]) -> dict[str, Any]:
    """The whole message that deltas tell piece by piece."""
    content, reasoning, calls = "", "", list[dict[str, Any]]()
    for delta in deltas:
        content += delta.get("content", "")
        reasoning += delta.get("reasoning_content", "")
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": content or (None if calls else ""), "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    return message | {"tool_calls": calls} if calls else message


def _deltas(events: Iterable[Event]) -> Iterable[Delta]:
    for event in events:
        match event:
            case Content(text):
                yield {"content": text}
            case Reasoning(text):
                yield {"reasoning_content": text}
            case CallStarted(index, id_, name):
                function = {"name": name, "arguments": ""}
                yield {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}
            case CallArguments(index, text):
                yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
            case CallEnded():
                pass


def _likelihood(id_: int, one: Logprob, spell: Callable[[int], bytes]) -> dict[str, Any]:
    tops = [_token(token, micros, spell) for token, micros in one.top]
    return _token(id_, one.micros, spell) | {"top_logprobs": tops}


def _token(id_: int, micros: int, spell: Callable[[int], bytes]) -> dict[str, Any]:
    raw = spell(id_)
    return {"token": raw.decode("utf-8", "replace"), "logprob": micros / MILLION, "bytes": list(raw)}
