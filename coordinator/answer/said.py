"""What a model says while it comes: content, reasoning and tool calls apart, and how likely each token was. Pure."""

from collections.abc import Callable, Sequence

import msgspec

from shared.chat.events import Content, Event
from shared.chat.formats import Format
from shared.chat.parser import Parser
from shared.protocol.messages import Logprob


class Terms(msgspec.Struct, frozen=True):
    """How one answer is read: the model's format, the tools whose calls are calls, whether logprobs were asked for, what
    call ids follow from, how the model spells a token, and what stops it; a `plain` answer is its text as it is."""

    format: Format
    spell: Callable[[int], bytes]
    tools: tuple[str, ...] = ()
    logprobs: bool = False
    seed: str = ""
    plain: bool = False
    stops: tuple[str, ...] = ()


class Likely(msgspec.Struct, frozen=True):
    """A token that was made: its bytes, the logarithm of its likelihood in millionths, and the likeliest with theirs."""

    raw: bytes
    micros: int
    top: list[tuple[bytes, int]]


class Answer:
    """One answer while it comes. Without tools or reasoning its text is told as it is."""

    def __init__(self, terms: Terms) -> None:
        apart = not terms.plain and (bool(terms.tools) or terms.format.reasoning is not None)
        self._parser = Parser(terms.format, terms.tools, seed=terms.seed, hold=False) if apart else None
        self._terms = terms
        self._untold: list[Likely] = []

    def push(self, text: str, ids: Sequence[int] = (), told: Sequence[Logprob] = ()) -> list[Event]:
        """What more text, and the tokens that made it, let be told."""
        if self._terms.logprobs:
            self._untold += [_likely(id_, one, self._terms.spell) for id_, one in zip(ids, told, strict=True)]
        if not text:
            return []
        return [Content(text)] if self._parser is None else self._parser.push(text)

    def finish(self) -> list[Event]:
        """The rest, now that no text follows."""
        return [] if self._parser is None else self._parser.finish()

    def likely(self) -> list[Likely] | None:
        """What was told of tokens since this was last asked; None where nobody wants to know."""
        told, self._untold = self._untold, []
        return told if self._terms.logprobs else None

    def stopped_by(self, text: str, ids: Sequence[int]) -> str | None:
        """The stop string that ended an answer of these tokens, whose text is what came before it; None if none did."""
        if not self._terms.stops:
            return None
        made = b"".join(map(self._terms.spell, ids)).decode("utf-8", "replace")
        return next((stop for stop in self._terms.stops if made.startswith(text + stop)), None)

    def finish_reason(self, reason: str) -> str:
        """Why it ended: a whole call is waited for by whoever asked."""
        called = self._parser is not None and self._parser.calls > 0
        return "tool_calls" if called and reason == "stop" else reason


def _likely(id_: int, one: Logprob, spell: Callable[[int], bytes]) -> Likely:
    return Likely(spell(id_), one.micros, [(spell(token), micros) for token, micros in one.top])
