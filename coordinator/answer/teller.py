"""How a face tells an answer: pure, one class for each face, everything else is shared."""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from coordinator.answer.said import Likely
from shared.chat.events import Event
from shared.errors import HiveError


class Names(msgspec.Struct, frozen=True):
    """What every part of one answer says alike; `id` is the job's, or its parent's, `created` in seconds since 1970 UTC;
    `tokens_in` are those of all prompts, each once."""

    id: UUID
    created: int
    model: str
    system_fingerprint: str
    tokens_in: int = 0


class Counts(msgspec.Struct, frozen=True):
    """The model's own counts; the end token is not among them. `cached` of the prompt's tokens were not read again."""

    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.cached + other.cached
        )  # fmt: skip


class End(msgspec.Struct, frozen=True):
    """How one answer ended: why (`stop`, `length`, `tool_calls` or `content_filter`), by which of the caller's stop strings
    if by one, its counts (a prompt is in those of one answer alone), how likely the tokens were of which that was not told
    yet (None: not asked for), and when, in seconds since 1970 UTC."""

    finish_reason: str
    counts: Counts
    likely: list[Likely] | None = None
    stopped_by: str | None = None
    at: int | None = None


class Told(msgspec.Struct, frozen=True):
    """One whole answer: what was said, its text as the model made it, and its end."""

    events: list[Event]
    text: str
    end: End


class WholeTeller(Protocol):
    """Tells one request's answers as one JSON value."""

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """All answers at once."""


class Teller(WholeTeller, Protocol):
    """Tells one request's answers, by choice from 0 on, also as server-sent events while they come."""

    def opening(self) -> bytes:
        """What goes out with the head, before any answer."""

    def more(self, choice: int, events: Sequence[Event], likely: list[Likely] | None) -> bytes:
        """A piece of an answer; may be called with no events and nothing likely, and then tells nothing."""

    def ended(self, choice: int, end: End) -> bytes:
        """The end of one answer."""

    def closing(self, counts: Counts) -> bytes:
        """The end of the stream, after the last answer's."""

    def broken(self, error: HiveError) -> bytes:
        """The end of a stream that failed midway: nothing that looks like a normal end."""


Tell = Callable[[Names], Teller]
"""Makes the teller of one answer."""

TellWhole = Callable[[Names], WholeTeller]
"""The same for a face that streams nothing."""
