"""Whether a batch's input file is in order: every line by itself, and all of them together. Pure."""

import hashlib
from collections.abc import Container
from typing import Final

from coordinator.batch.lines import Flaw, Line, read

MAX_REQUESTS: Final = 50_000
MAX_LINES: Final = 2 * MAX_REQUESTS
"""So many lines a file may have, empty ones too: a file of nothing but line feeds would be looked at for minutes."""

MAX_FLAWS: Final = 100
"""So many flaws are listed; whoever mends them may be told of more."""


class Checking:
    """Looks at the lines of one file in their order; remembers of each no more than a hash of its name."""

    def __init__(self, endpoint: str, models: Container[str]) -> None:
        self.flaws: list[Flaw] = []
        self.total = 0
        self.model: str | None = None
        self._endpoint = endpoint
        self._models = models
        self._seen: set[bytes] = set()
        self._number = 0

    @property
    def over(self) -> bool:
        """Whether enough is wrong to look no further."""
        return len(self.flaws) >= MAX_FLAWS or self.total > MAX_REQUESTS or self._number > MAX_LINES

    def take(self, raw: bytes) -> None:
        """Looks at the next line; empty ones are counted and nothing else."""
        self._number += 1
        self.total += bool(raw.strip())
        if self.total > MAX_REQUESTS:
            self._refuse(f"A batch has at most {MAX_REQUESTS} requests; make several of it.")
        elif self._number > MAX_LINES:
            self._refuse(f"An input file has at most {MAX_LINES} lines, empty ones too: leave those out.")
        elif raw.strip():
            found = read(raw, self._endpoint)
            flaw = found if isinstance(found, Flaw) else self._together(found)
            if flaw is not None:
                self._flag(flaw)

    def cut_off(self, why: str) -> None:
        """The next line cannot be read, and so none after it."""
        self._number += 1
        self._flag(Flaw("invalid_json_line", why))

    def end(self) -> None:
        """Looks at the file as a whole."""
        if not self.total and not self.flaws:
            self.flaws.append(Flaw("empty_file", "The input file has no request in it."))

    def _refuse(self, why: str) -> None:
        """The file is too long: whatever else is wrong with it matters no more."""
        self.flaws = [Flaw("too_many_tasks", why)]

    def _flag(self, flaw: Flaw) -> None:
        self.flaws.append(Flaw(flaw.code, flaw.message, flaw.param, self._number))

    def _together(self, line: Line) -> Flaw | None:
        """What is wrong with a line beside the others."""
        name = hashlib.blake2b(line.custom_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if name in self._seen:
            message = "This custom_id was used by an earlier line: each must be used once in a batch."
            return Flaw("duplicate_custom_id", message, "custom_id")
        self._seen.add(name)
        if self.model is None:
            self.model = line.model
            if line.model not in self._models:
                return Flaw("model_not_found", f"The model {line.model[:200]!r} is not known here.", "body.model")
        if line.model != self.model:
            message = "The model of this request is not that of the first: all requests of a batch are for one model."
            return Flaw("mismatched_model", message, "body.model")
        return None
