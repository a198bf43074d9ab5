"""The tool calls of each style, read from the text that follows their opening mark."""

import json
import re
from collections.abc import Callable, Collection
from typing import Final

from shared.chat.events import CallArguments, CallEnded, CallStarted, Event, call_id
from shared.chat.formats import Style
from shared.chat.reader import NotACall, Reader, Steps, is_object, json_string, json_value

MAX_CALLS: Final = 128
"""Calls in one answer; what follows is content."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_ALL: Final = "all"


class Told:
    """Tells of calls, in their order. With `hold` a call is told when it is whole, else while it is written."""

    def __init__(self, tools: Collection[str], seed: str, hold: bool, tell: Callable[[Event], None]) -> None:
        self._tools = frozenset(tools)
        self._seed = seed
        self._tell = tell
        self._started = False
        self.hold = hold
        self.count = 0

    def check(self, name: str) -> None:
        """Raises NotACall for a tool that nobody offered, and for one call too many."""
        if name not in self._tools or self.count >= MAX_CALLS:
            raise NotACall

    def start(self, name: str) -> None:
        """A call begins."""
        self._started = True
        self._tell(CallStarted(self.count, call_id(self._seed, self.count), name))

    def more(self, text: str) -> None:
        """More arguments of the call."""
        self._tell(CallArguments(self.count, text))

    def whole(self, name: str, arguments: str) -> None:
        """A call is whole; what was told of it already is not told again."""
        if not self._started:
            self.start(name)
            self.more(arguments)
        self._tell(CallEnded(self.count))
        self._over()

    def torn(self) -> None:
        """What was begun is never going to be whole."""
        if self._started:
            self._over()

    def _over(self) -> None:
        self._started = False
        self.count += 1


def read_calls(style: Style, opener: str, reader: Reader, told: Told) -> Steps[None]:
    """Read on behind the mark: calls, and whatever closes them; raises NotACall where it is none (any more).

    What was told is forgotten by the reader, so that it gives back only the rest.
    """
    if style in ("mistral", "mistral-args"):
        yield from _mistral(reader, told)
    elif style == "function-tags":
        yield from _named(reader, told, ">")
        yield from _close(reader, "</function>")
    elif style == "function-lines":
        yield from _named(reader, told, "\n")
    else:
        yield from _object(reader, told)
        if opener == "<tool_call>":
            yield from _close(reader, "</tool_call>")
        else:
            yield from _more_objects(reader, told)


def _close(reader: Reader, word: str) -> Steps[None]:
    """The closing mark may be missing: the call is whole without it."""
    yield from reader.space()
    reader.forget()
    yield from reader.optional(word)


def _more_objects(reader: Reader, told: Told) -> Steps[None]:
    while True:
        reader.mark()
        char = yield from reader.space()
        if char and char in ";,":
            reader.take()
            char = yield from reader.space()
        if char != "{":
            raise NotACall
        yield from _object(reader, told)


def _mistral(reader: Reader, told: Told) -> Steps[None]:
    char = yield from reader.space()
    if char == "{":
        yield from _object(reader, told)
        return
    if char != "[":
        yield from _named(reader, told, "[ARGS]")
        return
    reader.take()
    while True:
        yield from reader.space()
        yield from _object(reader, told)
        reader.mark()
        if (yield from reader.space()) != ",":
            break
        reader.take()
    yield from reader.expect("]")


def _named(reader: Reader, told: Told, end: str) -> Steps[None]:
    """A name, `end`, and the arguments as they are."""
    place = reader.place()
    while (char := (yield from reader.peek())) and _NAME.match(char):
        reader.run(_NAME)
    name = reader.since(place)
    if name == _ALL and end == "\n":
        yield from reader.expect(end)
        return
    told.check(name)
    yield from _mistral_id(reader) if end == "[ARGS]" else reader.expect(end)
    if (yield from reader.space()) != "{":
        raise NotACall
    told.whole(name, (yield from _arguments(reader, told, name)))
    reader.mark()


def _mistral_id(reader: Reader) -> Steps[None]:
    """`[CALL_ID]abc` may stand before `[ARGS]`."""
    yield from reader.expect("[")
    if (yield from reader.peek()) == "C":
        yield from reader.expect("CALL_ID]")
        while (char := (yield from reader.peek())) and _NAME.match(char):
            reader.run(_NAME)
        yield from reader.expect("[")
    yield from reader.expect("ARGS]")


def _object(reader: Reader, told: Told) -> Steps[None]:
    """`{"name": …, "arguments": {…}}`, in any order, with an id or a type at most."""
    found: dict[str, str] = {}
    yield from reader.space()
    yield from reader.expect("{")
    while True:
        key = yield from _text(reader)
        key = "arguments" if key == "parameters" else key
        yield from reader.space()
        yield from reader.expect(":")
        if key in found:
            raise NotACall
        found[key] = yield from _field(reader, told, key, found.get("name"))
        if (yield from reader.space()) != ",":
            break
        reader.take()
    yield from reader.expect("}")
    if "name" not in found or "arguments" not in found:
        raise NotACall
    told.whole(found["name"], found["arguments"])
    reader.mark()


def _field(reader: Reader, told: Told, key: str, name: str | None) -> Steps[str]:
    if key == "name":
        text = yield from _text(reader)
        told.check(text)
        return text
    if key == "arguments":
        return (yield from _arguments(reader, told, name))
    if key not in ("id", "type"):
        raise NotACall
    return (yield from _text(reader))


def _arguments(reader: Reader, told: Told, name: str | None) -> Steps[str]:
    """An object as it is written; some models write it inside a string, and null for none."""
    char = yield from reader.space()
    if char == '"':
        text = yield from _text(reader)
        if not is_object(text):
            raise NotACall
        return text
    if char == "n":
        yield from reader.expect("null")
        return "{}"
    if char != "{":
        raise NotACall
    if name is None or told.hold:
        place = reader.place()
        yield from json_value(reader)
        return reader.since(place)
    told.start(name)
    reader.mark()
    reader.tap = told.more
    yield from json_value(reader)
    reader.tap = None
    reader.mark()
    return ""


def _text(reader: Reader) -> Steps[str]:
    yield from reader.space()
    place = reader.place()
    yield from json_string(reader)
    return str(json.loads(reader.since(place)))
