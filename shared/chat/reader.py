"""Text that comes in pieces, read by generators that pause where it ends for now; what was taken can be put back."""

import re
from collections.abc import Callable, Collection, Generator
from typing import Final, TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]

MAX_CALL: Final = 1 << 20
"""Characters of one call; a longer one is content."""
MAX_DEPTH: Final = 128
_MAX_NUMBER: Final = 512

_SPACE: Final = re.compile(r"[ \t\n\r]+")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
_WORD: Final = re.compile(r"[-+.0-9A-Za-z]+")
_SCALAR: Final = re.compile(r"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class NotACall(Exception):
    """The text that was taken is no well-formed call."""


class Words:
    """Finds the first of some words in text that comes in pieces."""

    def __init__(self, words: Collection[str]) -> None:
        self.pattern: Final = re.compile("|".join(map(re.escape, words)) or r"(?!)")
        self._starts = {word[:size] for word in words for size in range(1, len(word))}
        self._longest = max(map(len, self._starts), default=0)

    def kept(self, text: str, start: int) -> int:
        """How many characters at the end of text[start:] may yet become a word."""
        sizes = range(min(len(text) - start, self._longest), 0, -1)
        return next((size for size in sizes if text[-size:] in self._starts), 0)


class Reader:
    """The text so far; it remembers what was taken since `mark`."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._ended = False
        self._taken: list[str] | None = None
        self._size = 0
        self._origin: int | None = None  # of the mark, if nothing was fed since: then going back copies nothing
        self.tap: Callable[[str], None] | None = None

    def feed(self, text: str) -> None:
        """More text is here."""
        self._text = self._text[self._at :] + text
        self._at = 0
        self._origin = None

    def end(self) -> None:
        """No text follows."""
        self._ended = True

    @property
    def ended(self) -> bool:
        """Whether all text is taken and none follows."""
        return self._ended and self._at >= len(self._text)

    def peek(self) -> Steps[str]:
        """The next character; empty at the end."""
        while self._at >= len(self._text):
            if self._ended:
                return ""
            yield
        return self._text[self._at]

    def take(self, count: int = 1) -> str:
        """The next characters that are here; raises NotACall beyond MAX_CALL since `mark`."""
        got = self._text[self._at : self._at + count]
        self._at += len(got)
        if self.tap is not None:
            self.tap(got)
        if self._taken is not None:
            self._taken.append(got)
            self._size += len(got)
            if self._size > MAX_CALL:
                raise NotACall
        return got

    def rest(self) -> str:
        """All that is here."""
        return self.take(len(self._text) - self._at)

    def run(self, pattern: re.Pattern[str]) -> str:
        """What is here and matches."""
        found = pattern.match(self._text, self._at)
        return self.take(found.end() - self._at) if found else ""

    def mark(self) -> None:
        """Remember from here on."""
        self._taken, self._size, self._origin = [], 0, self._at

    def forget(self) -> None:
        """What was taken stays taken."""
        self._taken = None

    def back(self) -> None:
        """Put back what was taken since `mark`."""
        if self._origin is None:
            self.give_back("".join(self._taken or ()))
        else:
            self._at = self._origin
        self._taken = None

    def give_back(self, text: str) -> None:
        """Put `text` before what is still to be read."""
        if self._text.endswith(text, 0, self._at):
            self._at -= len(text)
        else:
            self._text = text + self._text[self._at :]
            self._at = 0

    def place(self) -> int:
        """Where `since` is to begin."""
        return len(self._taken or ())

    def since(self, place: int) -> str:
        """What was taken since `place`."""
        return "".join((self._taken or [])[place:])

    def expect(self, word: str) -> Steps[None]:
        """Take exactly `word`; raises NotACall."""
        for char in word:
            if (yield from self.peek()) != char:
                raise NotACall
            self.take()

    def optional(self, word: str) -> Steps[bool]:
        """Take `word` if it is next, or nothing. Only while nothing is marked."""
        for done, char in enumerate(word):
            if (yield from self.peek()) != char:
                self.give_back(word[:done])
                return False
            self.take()
        return True

    def until(self, words: Words, tell: Callable[[str], None]) -> Steps[str | None]:
        """Take and tell all text before the first of the words; the word, which is next, or None at the end."""
        while True:
            found = words.pattern.search(self._text, self._at)
            if found:
                tell(self.take(found.start() - self._at))
                return found[0]
            kept = 0 if self._ended else words.kept(self._text, self._at)
            tell(self.take(len(self._text) - self._at - kept))
            if self._ended:
                return None
            yield

    def space(self) -> Steps[str]:
        """Take white space; the character after it, empty at the end."""
        while (char := (yield from self.peek())) and char in " \t\n\r":
            self.run(_SPACE)
        return char


def json_string(reader: Reader) -> Steps[None]:
    """Take a JSON string; raises NotACall."""
    yield from reader.expect('"')
    while (char := (yield from reader.peek())) != '"':
        if char == "\\":
            yield from _escape(reader)
        elif not reader.run(_PLAIN):
            raise NotACall
    reader.take()


def json_value(reader: Reader) -> Steps[None]:
    """Take one JSON value, exactly as strict JSON has it and at most MAX_DEPTH deep; raises NotACall."""
    closers: list[str] = []
    wanted = "value"
    while True:
        char = yield from reader.space()
        if wanted in ("first", "next") and char == closers[-1]:
            reader.take()
            closers.pop()
            wanted = "next"
        elif wanted == "next":
            yield from reader.expect(",")
            wanted = "key" if closers[-1] == "}" else "value"
            continue
        elif wanted == "key" or (wanted == "first" and closers[-1] == "}"):
            yield from _key(reader)
            wanted = "value"
            continue
        elif char and char in "{[":
            reader.take()
            closers.append("}" if char == "{" else "]")
            wanted = "first"
            if len(closers) > MAX_DEPTH:
                raise NotACall
        else:
            yield from (json_string(reader) if char == '"' else _scalar(reader))
            wanted = "next"
        if not closers:
            return


def is_object(text: str) -> bool:
    """Whether the text is one JSON object and nothing else."""
    reader = Reader()
    reader.feed(text)
    reader.end()
    reader.mark()
    try:
        for _ in json_value(reader):
            return False
        for _ in reader.space():
            return False
    except NotACall:
        return False
    return text.lstrip().startswith("{") and reader.ended


def _key(reader: Reader) -> Steps[None]:
    yield from json_string(reader)
    yield from reader.space()
    yield from reader.expect(":")


def _escape(reader: Reader) -> Steps[None]:
    reader.take()
    char = yield from reader.peek()
    if not char or char not in '"\\/bfnrtu':
        raise NotACall
    reader.take()
    for _ in range(4 if char == "u" else 0):
        if (yield from reader.peek()) not in _HEX:
            raise NotACall
        reader.take()


def _scalar(reader: Reader) -> Steps[None]:
    parts = []
    size = 0
    while (yield from reader.peek()):
        part = reader.run(_WORD)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > _MAX_NUMBER:
            raise NotACall
    if not _SCALAR.fullmatch("".join(parts)):
        raise NotACall
