"""`hive worker bench` with real engine processes."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.machine.coordinator_double import local_model, model_file
from tests.machine.test_worker_cli import said
from worker.bench import BenchError, measured
from worker.engine.process import Engine, EngineError
from worker.engine.wire import Failed, Finished, Generate, Loaded, Made, OfRequest
from worker.measured import lookup

LOADED = Loaded(2048, 2, 1, "build", 1)


class Scripted:
    """An engine that is ready at once, fails every `fails_at`th request, and needs no model."""

    def __init__(self, *, fails_at: int = 0) -> None:
        self.loaded: Loaded | None = LOADED
        self.starts = 1
        self.pid = None
        self.requests: list[Generate] = []
        self._fails_at = fails_at
        self._stopped = asyncio.Event()

    async def ready(self) -> Loaded:
        return LOADED

    async def run(self) -> None:
        await self._stopped.wait()

    async def stop(self) -> None:
        self._stopped.set()

    async def generate(self, request: Generate) -> AsyncGenerator[OfRequest, None]:
        self.requests.append(request)
        if len(self.requests) == self._fails_at:
            yield Failed(0, "engine_crashed", "it is gone", retryable=True)
            return
        words = len((request.prompt or "").split())
        for number in range(min(request.max_tokens, 5)):
            await asyncio.sleep(0)
            yield Made(0, [number], "x")
        yield Finished(0, "stop", "", 2 * words, 0, 1, 1)


async def test_a_real_engine_is_measured(tmp_path: Path) -> None:
    engine = Engine(model_file(), slots=2, context=512, threads=1)
    told: list[str] = []
    speeds = await measured(engine, told.append, prompt_tokens=100, tokens=200)
    assert 60 <= speeds.prompt_tokens <= 180
    assert speeds.prompt_tps > speeds.tps > 0
    assert (speeds.slots, speeds.total_tps > 0) == (2, True)
    assert told[0] == "loading"
    assert engine.pid is None


async def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF and nothing else")
    with pytest.raises(EngineError):
        await measured(Engine(file, slots=1, context=512), lambda _: None)


async def test_the_prompt_has_about_the_wanted_length_and_is_never_the_same() -> None:
    engine: Any = Scripted()
    speeds = await measured(engine, lambda _: None, prompt_tokens=400, tokens=20)
    assert 350 <= speeds.prompt_tokens <= 450
    prompts = [request.prompt for request in engine.requests]
    assert len(set(prompts)) == len(prompts)
    assert all(request.fresh for request in engine.requests)


@pytest.mark.parametrize("at", [1, 3, 6, 9])
async def test_an_engine_that_fails_is_said(at: int) -> None:
    engine: Any = Scripted(fails_at=at)
    with pytest.raises(BenchError, match="it is gone"):
        await measured(engine, lambda _: None, prompt_tokens=40, tokens=20)


async def test_the_command_remembers_what_matching_needs(tmp_path: Path) -> None:
    code, out, err = await said(tmp_path, "bench", "--json")
    assert (code, err) == (0, "")
    (told,) = json.loads(out)
    assert told["model"] == "hive-nano"
    loaded = Loaded(0, 0, told["threads"], told["engine_build"], 0)
    found = lookup(tmp_path, local_model().digest, loaded)
    assert found is not None
    assert found.mtps == round(told["tps"] * 1000)
    code, _, err = await said(tmp_path, "bench", "gpt-9")
    assert (code, "no model gpt-9" in err) == (1, True)
