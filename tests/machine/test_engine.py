"""The engine process with a real model: what any engine must do, whatever the model says."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from shared.protocol.messages import Sampling
from shared.tokens import Vocabulary
from tests.machine.coordinator_double import model_file
from tests.machine.engine_run import ending, engine, events, ids_of, request, text_of
from worker.engine.process import Engine, EngineError
from worker.engine.wire import Failed, Finished, Made, OfRequest, Prefill

VOCABULARY = Vocabulary(model_file())
GREEDY = Sampling(temperature=0)


async def test_streamed_text_is_the_text_of_the_ids() -> None:
    async with engine() as it:
        said = await events(it, request())
        assert text_of(said) == VOCABULARY.detokenise(ids_of(said)).decode("utf-8", "replace")
        assert not VOCABULARY.end_ids & set(ids_of(said))
        assert ending(said).reason in {"stop", "length"}


async def test_the_same_seed_gives_the_same_ids_and_another_one_others() -> None:
    async with engine() as it:
        first, again = ids_of(await events(it, request())), ids_of(await events(it, request()))
        other = ids_of(await events(it, request(seed=8)))
        assert first == again
        assert first != other


async def test_length_ends_after_exactly_so_many_tokens() -> None:
    async with engine() as it:
        said = await events(it, request(max_tokens=3))
        assert len(ids_of(said)) == 3
        assert ending(said).reason == "length"


async def test_nothing_is_made_where_nothing_may_be() -> None:
    async with engine() as it:
        resume = ids_of(await events(it, request(max_tokens=3)))
        said = await events(it, request(max_tokens=3, resume=resume))
        assert (ids_of(said), ending(said).reason) == ([], "length")


async def test_a_stop_string_over_a_token_border_cuts_the_text_before_it() -> None:
    async with engine() as it:
        whole = text_of(await events(it, request(sampling=GREEDY)))
        stop = whole[9:14]
        said = await events(it, request(sampling=GREEDY, stop=[stop]))
        assert text_of(said) == whole[: whole.index(stop)]
        assert ending(said).reason == "stop"


async def test_a_resumed_request_keeps_to_the_position_and_the_stop_string() -> None:
    async with engine() as it:
        said = await events(it, request(sampling=GREEDY))
        ids, whole = ids_of(said), text_of(said)
        rest = await events(it, request(sampling=GREEDY, resume=ids[:12], max_tokens=len(ids)))
        assert ids_of(rest)[:1] == ids[12:13]
        head = VOCABULARY.detokenise(ids[:12]).decode("utf-8", "ignore")
        stopped = await events(it, request(sampling=GREEDY, resume=ids[:12], stop=[head[2:8]]))
        assert (ids_of(stopped), ending(stopped).reason) == ([], "stop")
        assert whole.startswith(head[:2])


async def test_a_closed_iterator_frees_its_slot() -> None:
    async with engine(slots=1, max_tps=20.0) as it:
        stream = it.generate(request(max_tokens=1500))
        async for event in stream:
            if isinstance(event, Made):
                break
        await stream.aclose()
        assert ids_of(await events(it, request(max_tokens=2)))


async def test_several_run_at_once_and_more_wait_their_turn() -> None:
    async with engine(slots=2) as it:
        said = await asyncio.gather(*(events(it, request(seed=seed, max_tokens=30)) for seed in range(5)))
        assert all(isinstance(one[-1], Finished) for one in said)
        assert len({tuple(ids_of(one)) for one in said}) > 1


async def test_a_prompt_that_does_not_fit_is_said_so() -> None:
    async with engine(context=256) as it:
        said = await events(it, request("word " * 400))
        assert isinstance(said[-1], Failed)
        assert (said[-1].code, said[-1].retryable) == ("context_length_exceeded", False)
        assert ids_of(await events(it, request(max_tokens=2)))


async def test_a_full_context_ends_the_answer_by_length() -> None:
    async with engine(context=256) as it:
        said = await events(it, request(prompt=" word" * 250, max_tokens=100))
        made = ending(said)
        assert 240 <= made.tokens_in < 256
        assert made.reason in {"length", "stop"}
        assert len(ids_of(said)) <= 256 - made.tokens_in + 1


async def test_a_long_prompt_tells_how_far_it_is_read() -> None:
    async with engine() as it:
        said = await events(it, request("word " * 600, max_tokens=1))
        read = [event for event in said if isinstance(event, Prefill)]
        assert [event.done for event in read] == sorted({event.done for event in read})
        assert read
        assert all(0 < event.done < event.total == ending(said).tokens_in for event in read)


async def test_a_killed_engine_is_an_error_value_and_starts_again() -> None:
    async with engine(max_tps=20.0) as it:
        said: list[OfRequest] = []
        async for event in it.generate(request(max_tokens=1500)):
            if not said and it.pid:
                os.kill(it.pid, signal.SIGKILL)
            said.append(event)
        assert isinstance(said[-1], Failed)
        assert (said[-1].code, said[-1].retryable) == ("engine_crashed", True)
        await it.ready()
        assert it.starts == 2
        assert ids_of(await events(it, request(max_tokens=2)))


async def test_a_request_to_an_engine_that_is_down_fails_at_once() -> None:
    it = Engine(model_file(), slots=1, context=0)
    said = await events(it, request())
    assert isinstance(said[0], Failed)
    assert said[0].code == "engine_crashed"


async def test_a_file_that_is_no_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(EngineError, match=r"broken\.gguf"):
        await Engine(file, slots=1, context=0).run()


async def test_the_owners_cap_on_speed_holds() -> None:
    async with engine(max_tps=40.0) as it:
        said = await events(it, request(max_tokens=12))
        assert len(ids_of(said)) == 12 or ending(said).reason == "stop"
        assert ending(said).decode_ms >= (len(ids_of(said)) - 1) * 25 * 0.9


async def test_loaded_names_the_build_and_the_cpu_variant() -> None:
    async with engine() as it:
        loaded = await it.ready()
        assert "llama-cpp-python" in loaded.engine_build
        assert "cpu" in loaded.engine_build
        assert loaded.context == VOCABULARY.context
