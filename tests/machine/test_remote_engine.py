"""The `openai` engine and a scripted upstream: what is asked, what is refused, and who comes and goes."""

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from shared.processes import free_port
from shared.protocol.messages import IMAGE_TOKENS, Image, Message
from tests.machine.coordinator_double import model_file
from tests.machine.engine_run import events, text_of
from tests.machine.remote_world import KEY, endless, engine, engine_of, one_word_then_silence, request, running
from tests.machine.scripted_upstream import HEAD, Call, Upstream as Scripted, scripted
from worker.engine.process import EngineError, RequestFailedError
from worker.engine.wire import Failed, Finished, Made
from worker.remote.engine import LOOK_S, RemoteEngine
from worker.remote.upstream import Upstream


async def test_a_closed_iterator_closes_the_connection() -> None:
    async with engine() as (it, upstream):
        upstream.script = one_word_then_silence
        async with aclosing(it.generate(request())) as stream:
            async for event in stream:
                if isinstance(event, Made):
                    break
        async with asyncio.timeout(30):
            await upstream.left.wait()


async def test_our_count_and_our_stop_strings_end_an_answer_that_goes_on() -> None:
    async with engine() as (it, upstream):
        upstream.script = endless
        said = await events(it, request(max_tokens=7))
        assert sum(len(event.ids) for event in said if isinstance(event, Made)) == 7
        assert isinstance(said[-1], Finished)
        assert said[-1].reason == "length"
        said = await events(it, request(max_tokens=50, stop=["two one"]))
        assert text_of(said) == " one "
        assert isinstance(said[-1], Finished)
        assert said[-1].reason == "stop"


async def test_thoughts_come_before_the_answer_and_are_marked() -> None:
    async def thinking(call: Call) -> None:
        await call.send(HEAD)
        for delta in ({"reasoning_content": "hm"}, {"reasoning_content": " so"}, {"content": "yes"}):
            await call.event(choices=[{"delta": delta}])
        await call.event(choices=[{"delta": {}, "finish_reason": "stop"}])

    async with engine() as (it, upstream):
        upstream.script = thinking
        assert text_of(await events(it, request())) == "<think>hm so</think>yes"


async def test_the_key_is_sent_and_no_more_requests_than_slots() -> None:
    async with engine(slots=2) as (it, upstream):
        said = await asyncio.gather(*(events(it, request()) for _ in range(6)))
        assert [text_of(one) for one in said] == ["hello"] * 6
        assert upstream.most_open <= 2
        assert f"Authorization: Bearer {KEY}\r\n" in upstream.calls[0].head


async def test_an_answer_that_comes_at_once_took_all_the_time() -> None:
    async with engine() as (it, upstream):
        upstream.script = lambda call: call.say(" one two three" * 20)
        said = await events(it, request(max_tokens=100))
        assert isinstance(said[-1], Finished)
        assert said[-1].prefill_ms == 0


async def test_ollama_is_spoken_to_in_its_own_words() -> None:
    async def lines(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in (
            b'{"message":{"role":"assistant","content":"hello"},"done":false}\n',
            b'{"message":{"content":""},"done":true,"done_reason":"stop"}\n',
        ):
            await call.send(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        await call.send(b"0\r\n\r\n")

    async with scripted() as upstream:
        upstream.models = '{"data":[{"id":"nano:latest","owned_by":"library"}]}'
        upstream.pages = {"/api/version": '{"version":"0.12.3"}', "/api/show": '{"parameters":"num_ctx 1024"}'}
        upstream.script = lines
        async with running(engine_of(upstream)) as it:
            loaded = await it.ready()
            assert (loaded.engine_build, loaded.context) == ("openai ollama 0.12.3", 1024)
            assert text_of(await events(it, request())) == "hello"
            assert (upstream.calls[0].path, upstream.calls[0].body["options"]["num_ctx"]) == ("/api/chat", 1024)


async def test_a_model_that_ollama_runs_elsewhere_is_not_offered() -> None:
    async with scripted() as upstream:
        upstream.models = '{"data":[{"id":"nano","owned_by":"library"}]}'
        upstream.pages = {"/api/version": '{"version":"1"}', "/api/show": '{"remote_host":"https://example.org"}'}
        it = engine_of(upstream)
        await it.look()
        assert it.loaded is None
        assert "another place" in it.trouble


async def test_what_an_upstream_cannot_do_is_refused_before_it_is_asked() -> None:
    async with engine() as (it, upstream):
        for asked in (request(resume=[1]), request(tools="[]"), request(logprobs=1)):
            said = await events(it, asked)
            assert [(e.code, e.retryable) for e in said if isinstance(e, Failed)] == [("unsupported", True)]
        with pytest.raises(RequestFailedError) as caught:
            await it.rank("q", ["d"])
        assert caught.value.code == "unsupported"
        assert upstream.calls == []


SEEN = Message("user", "what is this", images=[Image(0, "data:image/png;base64,QUJD")])


async def tokens_in(it: RemoteEngine, upstream: Scripted, counted: int, *messages: Message) -> int:
    """The prompt's tokens as the worker reports them, where the upstream counts so many."""

    async def counting(call: Call) -> None:
        await call.send(HEAD)
        await call.event(choices=[{"delta": {"content": "a fox"}, "finish_reason": "stop"}])
        await call.event(choices=[], usage={"prompt_tokens": counted})
        await call.send(b"data: [DONE]\n\n")

    upstream.script = counting
    last = (await events(it, request(messages=list(messages))))[-1]
    assert isinstance(last, Finished), last
    return last.tokens_in


async def test_the_tokens_of_images_are_the_upstreams_to_count_within_a_bound() -> None:
    async with scripted() as upstream:
        upstream.pages = {"/props": '{"modalities":{"vision":true}}'}
        async with running(engine_of(upstream)) as it:
            assert (await it.ready()).vision is True
            words = await tokens_in(it, upstream, 0, msgspec.structs.replace(SEEN, images=[]))
            counts = (0, words + 700, 10**9)
            seen = [await tokens_in(it, upstream, counted, SEEN) for counted in counts]
            assert seen == [words, words + 700, words + IMAGE_TOKENS]
            assert await tokens_in(it, upstream, 10**9, SEEN, SEEN) > words + 2 * IMAGE_TOKENS
            assert upstream.calls[-1].body["messages"][0]["content"][0]["type"] == "image_url"
            assert await tokens_in(it, upstream, 10**9, msgspec.structs.replace(SEEN, images=[])) == words


async def test_an_owner_says_which_models_see_where_the_server_does_not() -> None:
    async with scripted() as upstream:
        upstream.models = '{"data":[{"id":"nano","owned_by":"vllm","max_model_len":2048}]}'
        said = Upstream(url=upstream.url, models={"hive-nano": "nano"}, vision=["hive-nano"])
        async with running(RemoteEngine(said, "nano", model_file(), context=2048)) as it:
            assert (await it.ready()).vision is True
        async with running(engine_of(upstream)) as it:
            assert (await it.ready()).vision is False
            assert [
                (e.code, e.retryable) for e in await events(it, request(messages=[SEEN])) if isinstance(e, Failed)
            ] == [("unsupported", True)]
        assert upstream.calls == []


@pytest.mark.parametrize(
    ("embeds", "ranks", "tasks"),
    [(False, False, ("generate",)), (True, False, ("generate", "embed")), (True, True, ("rank",))],
)
async def test_what_a_server_can_be_asked_is_tried_once(embeds: bool, ranks: bool, tasks: tuple[str, ...]) -> None:
    async with scripted() as upstream:
        upstream.embeds, upstream.ranks = embeds, ranks
        async with running(engine_of(upstream)) as it:
            assert (await it.ready()).tasks == tasks
            upstream.embeds = upstream.ranks = False
            await it.look()
            assert (await it.ready()).tasks == tasks


async def test_ollama_and_lm_studio_say_what_their_models_can_be_asked() -> None:
    async with scripted() as upstream:
        upstream.models = '{"data":[{"id":"nano","owned_by":"library"}]}'
        upstream.pages = {"/api/version": '{"version":"1"}', "/api/show": '{"capabilities":["completion","vision"]}'}
        async with running(engine_of(upstream)) as it:
            assert ((await it.ready()).tasks, (await it.ready()).vision) == (("generate",), True)
        upstream.models = '{"data":[{"id":"nano","owned_by":"organization_owner"}]}'
        for said, tasks, vision in (("embeddings", ("embed",), False), ("vlm", ("generate",), True)):
            upstream.pages = {"/api/v0/models/nano": f'{{"type":"{said}","max_context_length":512}}'}
            async with running(engine_of(upstream)) as it:
                assert ((await it.ready()).tasks, (await it.ready()).vision) == (tasks, vision)


async def test_an_upstream_that_comes_goes_and_comes_again() -> None:
    changes: asyncio.Queue[bool] = asyncio.Queue()
    upstream = Scripted()
    upstream.port = free_port()
    it: RemoteEngine = engine_of(upstream, changed=lambda: changes.put_nowait(it.loaded is not None))
    await it.look()
    assert "nothing answers" in it.trouble
    async with running(it), asyncio.timeout(30):
        said = await events(it, request())
        assert isinstance(said[-1], Failed)
        await upstream.start()
        it.wake()
        assert await changes.get() is True
        await upstream.stop()
        said = await events(it, request())
        assert [(e.code, e.retryable) for e in said if isinstance(e, Failed)] == [("engine_crashed", True)]
        async with asyncio.timeout(LOOK_S / 2):
            assert await changes.get() is False
        await upstream.start()
        it.wake()
        assert await changes.get() is True
        assert (text_of(await events(it, request())), it.starts, it.trouble) == ("hello", 2, "")
    await upstream.stop()


async def test_a_model_that_is_not_there_is_said_so() -> None:
    async with scripted() as upstream:
        upstream.models = '{"data":[{"id":"another"}]}'
        it = engine_of(upstream)
        await it.look()
        assert it.loaded is None
        assert "no model of that name" in it.trouble


async def test_the_counting_process_may_die_in_the_middle() -> None:
    async with engine() as (it, upstream):
        upstream.script = endless
        pid = it.counting_pid
        assert pid is not None
        said = []
        async with aclosing(it.generate(request(max_tokens=1000))) as stream:
            async for event in stream:
                said.append(event)
                if isinstance(event, Made):
                    os.kill(pid, signal.SIGKILL)
        assert isinstance(said[-1], Failed)
        upstream.script = lambda call: call.say("hello")
        async with asyncio.timeout(20):
            while not isinstance((await events(it, request()))[-1], Finished):
                await it.ready()
        assert it.counting_pid != pid


async def test_a_file_without_a_vocabulary_ends_it_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "not.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)
    async with scripted() as upstream:
        with pytest.raises(EngineError, match=r"not\.gguf"):
            await engine_of(upstream, file).run()
