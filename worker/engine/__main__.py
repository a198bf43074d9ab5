"""`python -m worker.engine`: the process that owns llama.cpp, driven over stdin and stdout by a worker."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO, Final, assert_never

from shared.tokens import ModelFileError, Vocabulary
from worker.engine.embedder import Embedder, Texts
from worker.engine.ggml import engine_build, gpus
from worker.engine.llama import Model
from worker.engine.loading import loaded_model
from worker.engine.loop import Loop
from worker.engine.prepare import prepared
from worker.engine.sequence import Prompt
from worker.engine.wire import (
    Cancel,
    Embed,
    Failed,
    FromEngine,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Rank,
    ToEngine,
    next_body,
    packed,
    to_engine,
)

SWITCH_S: Final = 0.0005
"""How long the reading of a prompt may keep the loop waiting for Python."""

Command = Prompt | Failed | Texts | Cancel | None
Commands = SimpleQueue[Command]


def read(stream: BinaryIO) -> ToEngine | None:
    """The next command; None once the worker has closed its end, or is gone."""
    body = next_body(stream)
    return None if body is None else to_engine(body)


def main() -> None:
    """Loads one model and serves it until stdin ends. Signals are the worker's: it closes stdin when it is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_S)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stdin = sys.stdin.buffer
    first = read(stdin)
    if isinstance(first, Load):
        # A broken pipe says what a closed stdin says: the worker is gone.
        with contextlib.suppress(BrokenPipeError):
            _serve(first, stdin, Voice(out))


class Voice:
    """What the engine says, gathered until it is passed on: all that comes of a step goes in one piece."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._said: list[FromEngine] = []

    def say(self, message: FromEngine) -> None:
        """Says something with the next piece."""
        self._said.append(message)

    def flush(self) -> None:
        """Passes on what was said."""
        if self._said:
            self._out.write(packed(self._said))
            self._out.flush()
            self._said = []


def _serve(load: Load, stdin: BinaryIO, voice: Voice) -> None:
    try:
        vocabulary = Vocabulary(Path(load.path))
        model, placement, tasks = loaded_model(load)
    except (ModelFileError, OSError, ValueError) as error:
        voice.say(LoadFailed(str(error)))
        voice.flush()
        return
    embedder, found = Embedder(model, vocabulary, voice.say), gpus()
    voice.say(
        Loaded(
            model.context,
            load.slots,
            model.threads,
            engine_build(found if placement.layers else ()),
            model.load_ms,
            found,
            placement.reason,
            tasks,
        )
    )
    voice.flush()
    commands: Commands = SimpleQueue()
    Thread(target=_feed, args=(stdin, commands, vocabulary, embedder), daemon=True).start()
    loop = Loop(model, vocabulary, voice.say, slots=load.slots, max_tps=load.max_tps)
    _run(model, loop, embedder, commands, voice)
    embedder.close()
    model.close()


def _run(model: Model, loop: Loop, embedder: Embedder, commands: Commands, voice: Voice) -> None:
    """Takes what was said, does a step, passes on what came of it; until the worker has closed its end."""
    while _take(model, loop, embedder, commands):
        if embedder.busy:
            embedder.step(alone=loop.pause() is None)
        if loop.pause() == 0.0:
            loop.step()
        voice.flush()


def _feed(stdin: BinaryIO, commands: Commands, vocabulary: Vocabulary, embedder: Embedder) -> None:
    """Passes commands on as they come, texts already read into tokens; a broken one ends the engine like a closed
    pipe."""
    command: ToEngine | None = None
    try:
        while (command := read(stdin)) is not None:
            match command:
                case Generate():
                    commands.put(prepared(command, vocabulary))
                case Embed() | Rank():
                    commands.put(embedder.read(command))
                case Cancel():
                    commands.put(command)
                case Load():
                    raise ValueError("the model is already loaded")
                case _:
                    assert_never(command)
    finally:
        commands.put(None)


def _take(model: Model, loop: Loop, embedder: Embedder, commands: Commands) -> bool:
    """Everything that the worker has said by now, waiting for it while no step can be done; False at the end."""
    pause = 0.0 if embedder.busy else loop.pause()
    wait = pause != 0.0
    while True:
        try:
            command = commands.get(block=wait, timeout=pause if wait else None)
        except Empty:
            return True
        if command is None:
            return False
        _obey(model, loop, embedder, command)
        wait = False


def _obey(model: Model, loop: Loop, embedder: Embedder, command: Prompt | Failed | Texts | Cancel) -> None:
    match command:
        case Prompt() if not model.writes:
            command.close()
            why = "this model embeds texts and writes none"
            loop.refuse(Failed(command.request.number, "invalid_request", why, retryable=False))
        case Prompt():
            loop.take(command)
        case Failed():
            loop.refuse(command)
        case Texts():
            embedder.take(command)
        case Cancel(number=number):
            loop.cancel(number)
            embedder.cancel(number)
        case _:
            assert_never(command)


if __name__ == "__main__":
    main()
