"""A grammar that follows one answer token by token, by llama.cpp's own grammar sampler."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np

from shared.sampler import Floats

_ROOT = b"root"
_ROW = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class GrammarError(ValueError):
    """llama.cpp cannot follow this grammar; the message is a sentence."""


class Grammar:
    """What an answer may go on with. A lazy one allows everything until one of its triggers (regular expressions over
    the whole text so far) fits, and follows the answer from the trigger's first group on."""

    def __init__(self, vocabulary: Any, text: str, *, lazy: bool = False, triggers: Sequence[str] = ()) -> None:
        """`vocabulary` is llama.cpp's; raises GrammarError."""
        self._sampler = self._made(vocabulary, text.encode(), [t.encode() for t in triggers] if lazy else None)
        if not self._sampler:
            raise GrammarError("this tool or response format makes a grammar that cannot be followed")
        self._one = np.zeros(1, _ROW)
        self._all: np.ndarray[Any, np.dtype[np.void]] | None = None

    def allows(self, token: int) -> bool:
        """Whether the answer may go on with this token (or end with it)."""
        self._one[0] = (token, 1.0, 0.0)
        self._apply(self._one)
        return bool(np.isfinite(self._one["logit"][0]))

    def mask(self, logits: Floats) -> None:
        """Makes every token that is not allowed impossible, in place."""
        if self._all is None:
            self._all = np.zeros(len(logits), _ROW)
            self._all["id"] = np.arange(len(logits))
        self._all["logit"] = 1.0
        self._apply(self._all)
        logits[self._all["logit"] == -np.inf] = -np.inf

    def accept(self, token: int) -> None:
        """The answer goes on with this token, which is allowed."""
        llama_cpp.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        """Gives its memory back."""
        if self._sampler:
            llama_cpp.llama_sampler_free(self._sampler)
            self._sampler = None

    def _apply(self, rows: np.ndarray[Any, np.dtype[np.void]]) -> None:
        array: Any = llama_cpp.llama_token_data_array()
        array.data = rows.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array.size, array.selected, array.sorted = len(rows), -1, False
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))

    @staticmethod
    def _made(vocabulary: Any, text: bytes, triggers: list[bytes] | None) -> Any:
        if triggers is None:
            return llama_cpp.llama_sampler_init_grammar(vocabulary, text, _ROOT)
        words = (ctypes.c_char_p * len(triggers))(*triggers)
        none = (llama_cpp.llama_token * 0)()
        return llama_cpp.llama_sampler_init_grammar_lazy_patterns(
            vocabulary, text, _ROOT, words, len(triggers), none, 0
        )
