"""`python -m worker.engine`: the process that owns llama.cpp, driven over stdin and stdout by a worker."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO

from shared.tokens import ModelFileError, Vocabulary
from worker.engine.llama import Model, engine_build, gpus
from worker.engine.loop import Loop
from worker.engine.wire import (
    PREFIX_BYTES,
    FromEngine,
    Load,
    Loaded,
    LoadFailed,
    ToEngine,
    length_of,
    packed,
    to_engine,
)

Commands = SimpleQueue[ToEngine | None]


def read(stream: BinaryIO) -> ToEngine | None:
    """The next command; None once the worker has closed its end, or is gone."""
    prefix = stream.read(PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        return None
    length = length_of(prefix)
    body = stream.read(length)
    return to_engine(body) if len(body) == length else None


def main() -> None:
    """Loads one model and serves it until stdin ends. Signals are the worker's: it closes stdin when it is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stdin = sys.stdin.buffer
    first = read(stdin)
    if isinstance(first, Load):
        # A broken pipe says what a closed stdin says: the worker is gone.
        with contextlib.suppress(BrokenPipeError):
            _serve(first, stdin, out)


def _serve(load: Load, stdin: BinaryIO, out: BinaryIO) -> None:
    def say(message: FromEngine) -> None:
        out.write(packed(message))

    try:
        vocabulary = Vocabulary(Path(load.path))
        model = Model(Path(load.path), slots=load.slots, context=load.context, threads=load.threads)
    except (ModelFileError, OSError) as error:
        say(LoadFailed(str(error)))
        out.flush()
        return
    say(Loaded(model.context, load.slots, model.threads, engine_build(), model.load_ms, gpus()))
    out.flush()
    commands: Commands = SimpleQueue()
    Thread(target=_feed, args=(stdin, commands), daemon=True).start()
    loop = Loop(model, vocabulary, say, slots=load.slots, max_tps=load.max_tps)
    while _take(loop, commands):
        if loop.pause() == 0.0:
            loop.step()
        out.flush()
    model.close()


def _feed(stdin: BinaryIO, commands: Commands) -> None:
    """Passes commands on as they come; a broken one ends the engine like a closed pipe."""
    command: ToEngine | None = None
    try:
        while (command := read(stdin)) is not None:
            commands.put(command)
    finally:
        commands.put(None)


def _take(loop: Loop, commands: Commands) -> bool:
    """Everything that the worker has said by now, waiting for it while no step can be done; False at the end."""
    pause = loop.pause()
    wait = pause != 0.0
    while True:
        try:
            command = commands.get(block=wait, timeout=pause if wait else None)
        except Empty:
            return True
        if command is None:
            return False
        loop.take(command)
        wait = False


if __name__ == "__main__":
    main()
