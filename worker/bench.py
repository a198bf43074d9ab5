"""How many tokens per second an engine reads and makes: for one stream, and for as many as it has slots."""

import asyncio
from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Final

import msgspec

from shared.errors import HiveError
from shared.protocol.messages import Sampling
from worker.engine.face import Engine
from worker.engine.wire import Failed, Finished, Generate, Loaded, Made

PROMPT_TOKENS: Final = 512
MADE_TOKENS: Final = 128
TRIES: Final = 3
LOADING_S: Final = 600.0
_AT_A_TIME: Final = 64
_PROBE_WORDS: Final = 64
_WORDS: Final = (
    "river",
    "stone",
    "light",
    "seven",
    "table",
    "green",
    "house",
    "bread",
    "window",
    "paper",
    "cloud",
    "salt",
)
Show = Callable[[str], None]


class BenchError(HiveError):
    """The engine could not be measured; the message says why."""

    code = "bench"
    retryable = False


class Speeds(msgspec.Struct, frozen=True):
    """Tokens per second: of a prompt of `prompt_tokens`, of one stream, and of `slots` streams together."""

    loaded: Loaded
    prompt_tokens: int
    prompt_tps: float
    tps: float
    slots: int
    total_tps: float


async def measured(
    engine: Engine, show: Show, *, prompt_tokens: int = PROMPT_TOKENS, tokens: int = MADE_TOKENS
) -> Speeds:
    """Runs the engine for as long as that takes; raises BenchError, or EngineError where the model cannot be loaded."""
    running = asyncio.create_task(engine.run())
    working = asyncio.create_task(_measured(engine, show, prompt_tokens, tokens))
    try:
        await asyncio.wait({running, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await running
            raise BenchError("the engine ended before it was measured; try again")
        return await working
    finally:
        working.cancel()
        await engine.stop()
        await asyncio.gather(running, working, return_exceptions=True)


async def _measured(engine: Engine, show: Show, prompt_tokens: int, tokens: int) -> Speeds:
    show("loading")
    try:
        async with asyncio.timeout(LOADING_S):
            loaded = await engine.ready()
    except TimeoutError as error:
        raise BenchError(f"the model was not loaded within {LOADING_S:.0f} s; see `hive worker doctor`") from error
    show("reading a prompt")
    length, prompt_tps = await _reading(engine, min(prompt_tokens, loaded.context - _AT_A_TIME))
    show("making tokens for one stream")
    tps = await _making(engine, 1, tokens)
    show(f"making tokens for {loaded.slots} streams")
    total = await _making(engine, loaded.slots, tokens) if loaded.slots > 1 else tps
    return Speeds(loaded, length, prompt_tps, tps, loaded.slots, total)


async def _reading(engine: Engine, wanted: int) -> tuple[int, float]:
    """The length of a prompt of about the wanted tokens, and how many of them are read per second: the best of three, since
    nothing makes a machine faster than it is."""
    probed, _ = await _read(engine, 0, _PROBE_WORDS)
    words = max(1, wanted * _PROBE_WORDS // max(1, probed))
    tries = [await _read(engine, number, words) for number in range(1, TRIES + 1)]
    length, took = min(tries, key=lambda one: one[1] / one[0])
    return length, length / took


async def _read(engine: Engine, number: int, words: int) -> tuple[int, float]:
    """The tokens of a prompt that was never seen, and the seconds until its first answer."""
    request = _request(number, words=words, most=1)
    began, took, length = perf_counter(), 0.0, 0
    async for event in engine.generate(request):
        match event:
            case Made() if not took:
                took = perf_counter() - began
            case Finished(tokens_in=tokens_in):
                length = tokens_in
            case Failed(message=why):
                raise BenchError(f"the engine could not read a prompt: {why}")
            case _:
                pass
    return max(1, length), max(took or perf_counter() - began, 1e-6)


async def _making(engine: Engine, streams: int, tokens: int) -> float:
    """Tokens per second over all streams, from the time when each has one until the first has its share."""
    counts = [0] * streams
    all_begun, first_done = asyncio.Event(), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_stream(engine, i, counts, tokens, all_begun, first_done)) for i in range(streams)
            ]
            await all_begun.wait()
            began, before = perf_counter(), sum(counts)
            await first_done.wait()
            took, made = perf_counter() - began, sum(counts) - before
            for task in tasks:
                task.cancel()
    except* BenchError as several:
        raise several.exceptions[0] from None
    return made / max(took, 1e-6)


async def _stream(
    engine: Engine, number: int, counts: list[int], tokens: int, all_begun: asyncio.Event, first_done: asyncio.Event
) -> None:
    """Answer after answer, since a model may end each at any time, until told to stop; the count begins with all."""
    start, seed = 0, 0
    while True:
        seed += 1
        request = _request(1000 * (len(counts) * 100 + number) + seed, words=4, most=_AT_A_TIME)
        async for event in engine.generate(request):
            if isinstance(event, Failed):
                raise BenchError(f"the engine could not make tokens: {event.message}")
            if not isinstance(event, Made):
                continue
            counts[number] += len(event.ids)
            if not all_begun.is_set():
                start = counts[number]
                if all(counts):
                    all_begun.set()
            elif counts[number] - start >= tokens:
                first_done.set()


def _request(number: int, *, words: int, most: int) -> Generate:
    """A request whose prompt no other one begins with."""
    chance = Random(number)  # noqa: S311 - words to read, no secret
    text = " ".join(chance.choice(_WORDS) for _ in range(words))
    return Generate(0, most, Sampling(), number, prompt=f"{number} {text}", scope="bench", fresh=True)
