"""Embeddings and scores of documents: a second context over the same weights, made when it is first asked for."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt

from shared.tokens import LONGEST_TEXT, Vocabulary
from worker.engine.llama import Batch, Model
from worker.engine.loop import Step
from worker.engine.wire import MAX_BYTES, Embed, Embedded, Failed, FromEngine, Rank, Ranked

TEXTS: Final = 32
"""How many texts may be in one step."""
MOST_TEXTS: Final = 4096
"""How many texts may be in one request."""
_UNSPECIFIED: Final = -1
_NONE, _MEAN, _RANK = 0, 1, 4


class Texts:
    """A request whose texts are read into ids, with the rows that are done so far."""

    def __init__(self, request: Embed | Rank, texts: list[list[int]]) -> None:
        self.request, self.todo = request, deque(texts)
        self.tokens_in = sum(map(len, texts))
        self.rows: list[npt.NDArray[np.float32]] = []


class Embedder:
    """Embeds and ranks between the steps of the loop, a batch of whole texts at a time."""

    def __init__(self, model: Model, vocabulary: Vocabulary, say: Callable[[FromEngine], None]) -> None:
        self._model, self._vocabulary, self._say = model, vocabulary, say
        self._contexts: dict[bool, Any] = {}
        self._batch = Batch(LONGEST_TEXT)
        self._open: deque[Texts] = deque()
        self._ranks, self._longest = vocabulary.ranks, vocabulary.longest_text
        self._size = llama_cpp.llama_model_n_embd_out(model.native)

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""
        return bool(self._open)

    def read(self, request: Embed | Rank) -> Texts | Failed:
        """The request ready to be taken, or why it can never be done here; may run beside a step."""
        asked = request.texts if isinstance(request, Embed) else request.documents
        if len(asked) > MOST_TEXTS or 4 * self._size * len(asked) > MAX_BYTES // 2:
            why = f"these are {len(asked)} texts; ask for fewer at once"
            return Failed(request.number, "invalid_request", why, retryable=False)
        try:
            texts = self._texts(request)
        except ValueError as error:
            return Failed(request.number, "invalid_request", str(error), retryable=False)
        longest = max(map(len, texts), default=0)
        if longest > self._longest:
            why = f"a text takes {longest} tokens and the model embeds {self._longest} at once"
            return Failed(request.number, "context_length_exceeded", why, retryable=False)
        return Texts(request, texts)

    def take(self, texts: Texts) -> None:
        """Lets a request in."""
        self._open.append(texts)

    def cancel(self, number: int) -> None:
        """Stops a request; nothing more is said of it."""
        self._open = deque(one for one in self._open if one.request.number != number)

    def step(self, *, alone: bool = True) -> None:
        """Computes the next batch of the first request, and answers it once all its texts are done; a single text where
        answers wait for the end of it."""
        one = self._open[0]
        ranking = isinstance(one.request, Rank)
        batch, most = list[list[int]](), TEXTS if alone else 1
        while one.todo and len(batch) < most and sum(map(len, batch)) + len(one.todo[0]) <= LONGEST_TEXT:
            batch.append(one.todo.popleft())
        if batch:
            try:
                one.rows += self._computed(batch, ranking=ranking)
            except MemoryError as error:
                self._open.popleft()
                self._say(Failed(one.request.number, "engine_error", str(error), retryable=True))
                return
        if not one.todo:
            self._open.popleft()
            self._say(_answer(one))

    def close(self) -> None:
        """Gives the memory back."""
        for context in self._contexts.values():
            llama_cpp.llama_free(context)

    def _texts(self, request: Embed | Rank) -> list[list[int]]:
        if isinstance(request, Embed):
            return [self._vocabulary.text_ids(text) for text in request.texts]
        if not self._ranks:
            raise ValueError("this model does not rank documents")
        return [self._vocabulary.pair_ids(request.query, document) for document in request.documents]

    def _computed(self, batch: list[list[int]], *, ranking: bool) -> list[npt.NDArray[np.float32]]:
        context = self._context(ranking=ranking)
        step = Step()
        for sequence, ids in enumerate(batch):
            step.add(ids, 0, sequence, wanted=True)
        step.wanted = [1] * len(step.tokens)
        memory = llama_cpp.llama_get_memory(context)
        if memory:
            llama_cpp.llama_memory_clear(memory, True)
        if llama_cpp.llama_decode(context, self._batch.fill(step)) != 0:
            raise MemoryError("llama.cpp could not embed a batch")
        pointers = [llama_cpp.llama_get_embeddings_seq(context, sequence) for sequence in range(len(batch))]
        if not all(pointers):
            raise MemoryError("llama.cpp made no embedding of a text")
        shape = (1 if ranking else self._size,)
        return [np.array(np.ctypeslib.as_array(pointer, shape=shape), np.float32) for pointer in pointers]

    def _context(self, *, ranking: bool) -> Any:
        if ranking not in self._contexts:
            self._contexts[ranking] = self._made(_RANK if ranking else _MEAN if self._ranks else _UNSPECIFIED)
        return self._contexts[ranking]

    def _made(self, pooling: int) -> Any:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = LONGEST_TEXT
        params.n_seq_max = TEXTS
        params.n_threads = params.n_threads_batch = self._model.threads
        params.embeddings = params.kv_unified = params.no_perf = True
        params.pooling_type = pooling
        context = llama_cpp.llama_init_from_model(self._model.native, params)
        if not context:
            raise MemoryError("there is not enough memory to embed with this model")
        if pooling == _UNSPECIFIED and llama_cpp.llama_pooling_type(context) in (_NONE, _UNSPECIFIED):
            llama_cpp.llama_free(context)
            return self._made(_MEAN)
        return context


def _answer(one: Texts) -> Embedded | Ranked:
    if isinstance(one.request, Rank):
        return Ranked(one.request.number, [float(row[0]) for row in one.rows], one.tokens_in)
    return Embedded(one.request.number, [_normalised(row).astype("<f4").tobytes() for row in one.rows], one.tokens_in)


def _normalised(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = float(np.linalg.norm(row.astype(np.float64)))
    return row if length == 0 else (row / length).astype(np.float32)
