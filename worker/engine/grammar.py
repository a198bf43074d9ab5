"""The grammar that holds an answer to what its request asks for, token by token."""

import codecs
import time
from functools import lru_cache
from typing import Final, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from shared.chat.asked import AskedError
from shared.chat.constraint import Constraint, constraint_of
from shared.chat.formats import Format
from shared.chat.grammar import GrammarError as NoGrammar, grammar_of
from shared.chat.trigger import Watch
from shared.sampler import Floats
from shared.tokens import Vocabulary
from worker.engine.constraint import Grammar, GrammarError

__all__ = ["Following", "GrammarError", "grammar_for", "grammar_text"]

MAX_ACCEPT_S: Final = 0.1
"""CPU time for one token: by a schema whose alternatives multiply with depth every token takes longer, and all streams of
the engine wait for it, so nothing more is allowed then."""
_NONE: Final = 256
"""The first byte of a token without text."""


class Request(Protocol):
    """Of a request, what holds its answer: `worker.engine.wire.Generate`."""

    @property
    def tools(self) -> str | None: ...
    @property
    def tool_choice(self) -> str | None: ...
    @property
    def parallel_tool_calls(self) -> bool: ...
    @property
    def response_format(self) -> str | None: ...


def grammar_for(request: Request, vocabulary: Vocabulary) -> "Following | None":
    """What follows the answer to this request; None where any text will do. Raises GrammarError."""
    try:
        constraint = constraint_of(
            request.tools, request.tool_choice, request.parallel_tool_calls, request.response_format
        )
    except AskedError as error:
        raise GrammarError(str(error)) from error
    return None if constraint is None else Following(vocabulary, constraint)


def grammar_text(constraint: Constraint, format_: Format) -> str:
    """The GBNF of a constraint; raises GrammarError."""
    try:
        return grammar_of(constraint, format_).gbnf
    except NoGrammar as error:
        raise GrammarError(str(error)) from error


class Following:
    """Follows one answer, from its beginning or (if the constraint is lazy) from where a call begins.

    llama.cpp's grammar reads tokens that have no text by their names, and takes any byte for the next one of a torn
    character; both would break what the caller is promised, so such tokens are not allowed.
    """

    def __init__(self, vocabulary: Vocabulary, constraint: Constraint, format_: Format | None = None) -> None:
        """`format_` is the vocabulary's own unless told. Raises GrammarError."""
        format_ = format_ or vocabulary.format
        try:
            grammar = grammar_of(constraint, format_)
        except NoGrammar as error:
            raise GrammarError(str(error)) from error
        self._vocabulary = vocabulary
        self._grammar: Grammar | None = Grammar(vocabulary.native, grammar.gbnf)
        self._watch = Watch(grammar.triggers, format_) if grammar.lazy else None
        self._first = _first_bytes(vocabulary)
        self._blocked = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def allows(self, token: int) -> bool:
        """Whether the answer may go on with this token (or end with it)."""
        if self._grammar is None or self._watch is not None:
            return not self._blocked
        return bool(self._fits(self._first[token : token + 1])[0]) and self._grammar.allows(token)

    def mask(self, logits: Floats) -> None:
        """Makes every token that is not allowed impossible, in place."""
        if self._blocked:
            logits[:] = -np.inf
        if self._grammar is None or self._watch is not None:
            return
        self._grammar.mask(logits)
        logits[~self._fits(self._first)] = -np.inf

    def accept(self, token: int) -> None:
        """The answer goes on with this token. One that is not allowed ends the following: whoever resumes an answer may
        bring such a thing, and llama.cpp would abort."""
        if self._grammar is None:
            return
        text = self._decoder.decode(self._vocabulary.detokenise((token,)))
        if self._watch is None:
            self._step(token)
        elif (begun := self._watch.push(text)) is not None:
            self._watch = None
            for each in self._vocabulary.tokenise(begun, special=True):
                self._step(each)
            if self._torn:
                self.close()

    def close(self) -> None:
        """Gives its memory back."""
        if self._grammar is not None:
            self._grammar.close()
            self._grammar = None

    @property
    def _torn(self) -> bool:
        return bool(self._decoder.getstate()[0])

    def _step(self, token: int) -> None:
        if self._grammar is None or not self._grammar.allows(token):
            self.close()
            return
        before = time.thread_time()
        self._grammar.accept(token)
        if time.thread_time() - before > MAX_ACCEPT_S:
            self._blocked = True
            self.close()

    def _fits(self, first: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Of tokens that begin with these bytes, which neither tear a character nor are without text."""
        fit: NDArray[np.bool_] = _next_bytes(self._decoder.getstate()[0])[first]
        return fit


@lru_cache(maxsize=1024)
def _next_bytes(torn: bytes) -> NDArray[np.bool_]:
    """Which bytes may follow those of a torn character, or begin one."""
    return np.array([_begins(torn + bytes((byte,))) for byte in range(256)] + [False])


def _begins(text: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return False
    return True


_FIRST: Final[WeakKeyDictionary[Vocabulary, NDArray[np.int16]]] = WeakKeyDictionary()


def _first_bytes(vocabulary: Vocabulary) -> NDArray[np.int16]:
    """The first byte of every token; the tokens that end an answer count as text."""
    known = _FIRST.get(vocabulary)
    if known is None:
        pieces = [vocabulary.detokenise((token,)) for token in range(vocabulary.size)]
        known = np.array([piece[0] if piece else _NONE for piece in pieces], np.int16)
        known[list(vocabulary.end_ids)] = 0
        _FIRST[vocabulary] = known
    return known
