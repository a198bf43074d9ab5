"""`python -m worker.engine.tokeniser`: the process that counts and cuts for an upstream server's answers.

It loads a vocabulary without weights, so that the daemon itself needs neither llama.cpp nor numpy.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO, assert_never

import msgspec

from shared.tokens import ModelFileError, TemplateError, Vocabulary
from worker.engine.pieces import Pieces, Speller, Unsayable
from worker.engine.wire import next_body
from worker.remote.words import (
    Answered,
    Begin,
    Count,
    Counted,
    Cut,
    Drop,
    FromVocabulary,
    Open,
    Opened,
    OpenFailed,
    Piece,
    Refused,
    ToVocabulary,
    packed,
    to_vocabulary,
)


class Desk:
    """Answers about one vocabulary; it remembers the answers that are being cut."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._speller = Speller(vocabulary)
        self._pieces: dict[int, Pieces] = {}

    def take(self, message: ToVocabulary) -> Answered | None:
        """What there is to say to a message."""
        match message:
            case Begin():
                return self._begin(message)
            case Count():
                lengths = [self._length(text, message.query) for text in message.texts]
                return Counted(message.number, sum(lengths), max(lengths, default=0))
            case Piece():
                return self._cut(message)
            case Drop(number=number):
                self._pieces.pop(number, None)
                return None
            case Open():
                raise ValueError("the vocabulary is already open")
            case _:
                assert_never(message)

    def _begin(self, request: Begin) -> Answered:
        try:
            tokens = len(self._vocabulary.prompt_ids(request))
        except TemplateError as error:
            return Refused(request.number, "invalid_request", str(error), retryable=False)
        self._pieces[request.number] = Pieces(
            self._speller, self._vocabulary, stop=request.stop, max_tokens=request.max_tokens
        )
        return Counted(request.number, tokens)

    def _length(self, text: str, query: str | None) -> int:
        """As our own engine counts what it embeds and ranks."""
        return len(self._vocabulary.text_ids(text) if query is None else self._vocabulary.pair_ids(query, text))

    def _cut(self, piece: Piece) -> Answered:
        pieces = self._pieces.get(piece.number)
        if pieces is None:
            return Refused(piece.number, "engine_crashed", "the process that counts tokens began anew", retryable=True)
        try:
            ids, text, ended = pieces.push(piece.text)
        except Unsayable as error:
            return Refused(piece.number, "engine_error", str(error), retryable=True)
        if piece.last and not ended:
            text += pieces.flush()
        return Cut(piece.number, ids, text, ended)


def main() -> None:
    """Serves until stdin ends. Signals are the worker's: it closes stdin when it is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    first = _read(sys.stdin.buffer)
    if isinstance(first, Open):
        # A broken pipe says what a closed stdin says: the worker is gone.
        with contextlib.suppress(BrokenPipeError):
            _serve(Path(first.path), sys.stdin.buffer, out)


def _serve(path: Path, stdin: BinaryIO, out: BinaryIO) -> None:
    def say(message: FromVocabulary) -> None:
        out.write(packed(message))
        out.flush()

    try:
        vocabulary = Vocabulary(path)
    except (ModelFileError, OSError) as error:
        say(OpenFailed(str(error)))
        return
    say(Opened(vocabulary.size))
    desk = Desk(vocabulary)
    while (message := _read(stdin)) is not None:
        if (answer := desk.take(message)) is not None:
            say(answer)


def _read(stream: BinaryIO) -> ToVocabulary | None:
    """The next message; None once the worker has closed its end, or is gone, or says what it never would."""
    body = next_body(stream)
    with contextlib.suppress(msgspec.DecodeError):
        return None if body is None else to_vocabulary(body)
    return None


if __name__ == "__main__":
    main()
