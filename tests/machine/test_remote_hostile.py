"""The `openai` engine before an upstream that fails in every way: never a hang, never a lie, and always a next time."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.machine.engine_run import events, text_of
from tests.machine.remote_world import HASTY, engine, request, without_end
from tests.machine.scripted_upstream import HEAD, Call
from worker.engine.wire import Failed


def raw(*parts: bytes) -> Callable[[Call], Awaitable[None]]:
    return lambda call: call.send(*parts)


def status(line: str) -> Callable[[Call], Awaitable[None]]:
    return raw(f"HTTP/1.1 {line}\r\nContent-Length: 6\r\n\r\nsecret".encode())


def data(text: str) -> Callable[[Call], Awaitable[None]]:
    return raw(HEAD, f"data: {text}\n\n".encode())


CRASHES: dict[str, Callable[[Call], Awaitable[None]]] = {
    "nothing at all": raw(b""),
    "half a head": raw(b"HTTP/1.1 200 OK\r\nServ"),
    "a cut body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ndata: "),
    "a cut chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ndata: {}"),
    "words without an end": lambda call: call.say("hello", finish=None),
}
SILENCES: dict[str, Callable[[Call], Awaitable[None]]] = {
    "no head": Call.closed,
    "a head and no words": lambda call: call.say(finish=None, wait=True),
    "a word and no more": lambda call: call.say("hello", finish=None, wait=True),
}
ERRORS: dict[str, Callable[[Call], Awaitable[None]]] = {
    "500": status("500 Broken"),
    "400": status("400 Bad"),
    "401": status("401 No"),
    "302": status("302 Elsewhere"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "no JSON": data("hello"),
    "another shape": data('{"choices":"hello"}'),
    "torn text": raw(HEAD, b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n'),
    "a null": data('{"choices":[{"delta":{"content":"a\\u0000b"}}]}'),
    "a late error": data('{"error":{"message":"secret"}}'),
    "an unknown end": data('{"choices":[{"delta":{},"finish_reason":"content_filter"}]}'),
    "length too early": lambda call: call.say("hello", finish="length"),
    "headers without end": lambda call: without_end(call, b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 4000 + b"\r\n"),
    "a line without end": lambda call: without_end(call, HEAD, b"x" * 10_000),
    "signs of life without words": lambda call: without_end(call, HEAD, b": ping\n\n"),
    "words without text": lambda call: without_end(call, HEAD, b'data: {"choices":[{"delta":{"content":""}}]}\n\n'),
    "a body without end": lambda call: without_end(call, HEAD, b": " + b"x" * 20_000 + b"\n"),
}
OTHERS: dict[str, tuple[Callable[[Call], Awaitable[None]], str]] = {
    "busy": (status("429 Busy"), "overloaded"),
    "loading": (status("503 Loading"), "overloaded"),
    "gone": (status("404 No such model"), "model_not_loaded"),
}
TABLE = {
    **{name: (script, "engine_crashed") for name, script in CRASHES.items()},
    **{name: (script, "engine_error") for name, script in ERRORS.items()},
    **OTHERS,
}


async def test_every_failure_is_told_and_the_next_request_is_answered() -> None:
    async with engine() as (it, upstream):
        for name, (script, code) in TABLE.items():
            upstream.script = script
            upstream.left.clear()
            async with asyncio.timeout(15):
                said = await events(it, request())
                assert isinstance(said[-1], Failed), name
                assert (said[-1].code, said[-1].retryable) == (code, True), name
                assert "secret" not in said[-1].message, name
                await upstream.left.wait()
            upstream.script = lambda call: call.say("hello", " there")
            await it.ready()
            said = await events(it, request())
            assert text_of(said) == "hello there", name
        assert upstream.open == 0


async def test_silence_is_a_failure_and_frees_the_slot() -> None:
    async with engine(patience=HASTY, slots=1) as (it, upstream):
        for name, script in SILENCES.items():
            await it.ready()
            upstream.script = script
            upstream.left.clear()
            async with asyncio.timeout(15):
                said = await events(it, request())
                assert isinstance(said[-1], Failed), name
                assert (said[-1].code, said[-1].retryable) == ("engine_crashed", True), name
                await upstream.left.wait()
