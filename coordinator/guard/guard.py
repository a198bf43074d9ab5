"""What a guard is: it looks at the texts of a request and says why one of them should not go on."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

INPUT: Final = "input"
"""The role of texts to embed or to rank."""


class Text(msgspec.Struct, frozen=True):
    """One text of a request: `where` says which (`messages[2]`), `role` who speaks ("" for a prompt that nobody does)."""

    where: str
    role: str
    text: str


class Finding(msgspec.Struct, frozen=True):
    """Why the text at `where` is refused: `kind` is a short, stable name of what was found, never any of the text."""

    where: str
    kind: str


class Guard(Protocol):
    """`name` is what callers ask for it by, `method` how it decides, `limits` what it misses and where it is wrong."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def limits(self) -> str: ...

    def check(self, texts: Sequence[Text]) -> Finding | None:
        """The first finding; None for nothing found. It may run in any thread, and takes time in proportion to the text."""
