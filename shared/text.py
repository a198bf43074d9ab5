"""From token ids to the text that a client may read: whole code points, cut before a stop string."""

import codecs
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from shared.crypto import salted_hash
from shared.protocol.messages import OfferBody


class Detokeniser(Protocol):
    """What turns token ids into bytes: `shared.tokens.Vocabulary`."""

    def detokenise(self, ids: Sequence[int]) -> bytes:
        """The bytes of the ids, one after the other."""


class Deltas:
    """Text from token ids, a token at a time; what it gives out is never taken back.

    It holds back an unfinished code point and whatever might yet become a stop string. It depends on the ids alone,
    so another attempt that pushes the same ids first goes on at the very character where the first one ended.
    """

    def __init__(self, vocabulary: Detokeniser, stop: Sequence[str]) -> None:
        self._vocabulary = vocabulary
        self._stop = tuple(s for s in stop if s)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._parts: list[str] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """All the text given out so far."""
        return "".join(self._parts)

    def push(self, token_id: int) -> str:
        """The text that this token makes certain: empty while it is held back, and for good once stopped."""
        return self._add(self._decoder.decode(self._vocabulary.detokenise((token_id,))))

    def flush(self) -> str:
        """What was held back, now that no token follows; a torn code point becomes U+FFFD."""
        text = self._add(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return text + self._give(rest)

    def _add(self, new: str) -> str:
        if self.stopped or not new:
            return ""
        text = self._held + new
        found = min(self._completed(text), default=None)
        if found is not None:
            self.stopped = True
            self._held = ""
            return self._give(text[: found[1]])
        keep = self._beginnings(text)
        self._held = text[len(text) - keep :]
        return self._give(text[: len(text) - keep])

    def _completed(self, text: str) -> list[tuple[int, int]]:
        """(end, start) of the first place of each stop string: the one that is complete first counts, however the text
        was split into tokens."""
        places = ((text.find(s), len(s)) for s in self._stop)
        return [(start + length, start) for start, length in places if start >= 0]

    def _beginnings(self, text: str) -> int:
        longest = min(len(text), max((len(s) for s in self._stop), default=1) - 1)
        for size in range(longest, 0, -1):
            if any(s.startswith(text[-size:]) for s in self._stop):
                return size
        return 0

    def _give(self, text: str) -> str:
        if text:
            self._parts.append(text)
        return text


def prompt_hash(offer: OfferBody) -> str:
    """The receipt's `prompt_hash`, hex: HMAC under the offer's salt of the JSON of what was asked, its keys sorted and
    without spaces: `{"messages": [...]}`, or `{"prompt": "..."}` for a raw prompt; `tools` and `response_format` are in it,
    as the offer's text, where the offer has them. For another task than to generate it is `{"inputs": [...], "task":
    "..."}`."""
    asked: dict[str, Any] = {"prompt": offer.prompt} if offer.prompt is not None else {"messages": offer.messages or []}
    if offer.task != "generate":
        asked = {"task": offer.task, "inputs": offer.inputs}
    asked |= {name: text for name in ("tools", "response_format") if (text := getattr(offer, name)) is not None}
    return salted_hash(offer.salt, "prompt", msgspec.json.encode(asked, order="sorted"))


def result_hash(salt: str, text: str) -> str:
    """The receipt's `result_hash`, hex: HMAC under the offer's salt of the UTF-8 text that this attempt added."""
    return salted_hash(salt, "result", text.encode())
