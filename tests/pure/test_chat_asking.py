"""A question through the official client over a scripted network: the answer in pieces, and every way it may not come."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import httpx2
import openai
import pytest

from client import AsyncHive
from client.chat.answering import Answering
from client.chat.asking import Asker, Began, Ended, Piece, Said, Thought
from client.chat.conversation import Conversation, Question
from client.chat.wishes import Wishes
from client.failures import Unreachable
from client.view import PlainView
from shared.errors import HiveError, JobFailed, RequestError, Unavailable
from tests.pure.test_client import JOB, URL, alone

__all__ = ["alone"]
WISHES = Wishes(model="m", jurisdiction="EU")
MESSAGES = Conversation().asked(Question("Hi")).messages()
HEAD = {"content-type": "text/event-stream", "x-hive-job-id": JOB["id"], "x-hive-cell": "841e805ffffffff"}


class Stream(httpx2.AsyncByteStream):
    """The parts of an answer, and perhaps a break."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self.parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, usage: Any = None) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    body = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
WHOLE = (
    chunk({"role": "assistant", "content": ""}), b": keep-alive\n\n", chunk({"reasoning_content": "Hm."}),
    chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"), chunk(usage=USAGE), b"data: [DONE]\n\n",
)  # fmt: skip


class World:
    """A Hive that answers a chat as it is told, and remembers what was asked."""

    def __init__(self, answer: httpx2.Response | Exception, jobs: int = 200) -> None:
        self.answer, self.jobs = answer, jobs
        self.asked: dict[str, Any] = {}

    def chat(self, request: httpx2.Request) -> httpx2.Response:
        self.asked = json.loads(request.content)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def rest(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            done = f"event: done\ndata: {json.dumps({**JOB, 'worker_cell': '841e805ffffffff'})}\n\n"
            return httpx.Response(self.jobs, content=done.encode())
        return httpx.Response(404, json={"error": {"message": "no such worker"}})

    def asker(self) -> Asker:
        client = openai.AsyncOpenAI(
            base_url=f"{URL}/v1", api_key="k", max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(self.chat)),
        )  # fmt: skip
        return Asker(AsyncHive(URL, "k", http=httpx.AsyncClient(transport=httpx.MockTransport(self.rest))), URL, client)


def streamed(*parts: bytes | Exception, **headers: str) -> httpx2.Response:
    return httpx2.Response(200, headers={**HEAD, **headers}, stream=Stream(*parts))


async def pieces(world: World, messages: list[dict[str, Any]] = MESSAGES) -> list[Piece]:
    asker = world.asker()
    try:
        async with aclosing(asker.answer(WISHES, messages)) as coming:
            return [piece async for piece in coming]
    finally:
        await asker.close()


async def test_an_answer_comes_in_pieces() -> None:
    world = World(streamed(*WHOLE, **{"x-hive-jurisdiction": "IT,VA"}))
    assert await pieces(world) == [
        Began(str(JOB["id"]), ["IT", "VA"], "841e805ffffffff"), Thought("Hm."), Said("Hel"), Said("lo"), Ended("stop", 3, 2),
    ]  # fmt: skip
    assert (world.asked["model"], world.asked["jurisdiction"], world.asked["stream"]) == ("m", "EU", True)
    assert world.asked["messages"] == [{"role": "user", "content": "Hi"}]


async def test_a_late_head_tells_nothing_of_the_worker() -> None:
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(*WHOLE))
    assert (await pieces(World(answer)))[0] == Began("", [], None)


FAILED = b'data: {"error": {"message": "It broke.\\u001b", "type": "t", "param": null, "code": "job_failed"}}\n\n'
ERROR = {"error": {"message": "Nobody.", "type": "t", "param": "p", "code": "no_workers"}}


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (httpx2.Response(503, json=ERROR), Unavailable, "no_workers"),
        (httpx2.Response(502, content=b"<html>"), JobFailed, "unreadable_answer"),
        (streamed(*WHOLE[:4], FAILED), JobFailed, "job_failed"),
        (streamed(*WHOLE[:4]), Unreachable, "unreachable"),
        (streamed(*WHOLE[:4], httpx2.ReadError("cut")), Unreachable, "unreachable"),
        (streamed(b"<html>it works</html>"), Unreachable, "unreachable"),
        (streamed(b"data: {broken\n\n"), HiveError, "unreadable_answer"),
        (httpx2.ConnectError("nobody there"), Unreachable, "unreachable"),
    ],
)
async def test_what_goes_wrong_is_an_error_of_hives(
    answer: httpx2.Response | Exception, kind: type[HiveError], code: str
) -> None:
    with pytest.raises(kind) as raised:
        await pieces(World(answer))
    assert raised.value.code == code


async def test_nobody_there_is_told_apart_from_one_who_broke_off() -> None:
    with pytest.raises(Unreachable, match="No Hive answers at"):
        await pieces(World(httpx2.ConnectError("refused")))
    with pytest.raises(Unreachable, match="broke off"):
        await pieces(World(streamed(*WHOLE[:4], httpx2.ReadError("cut"))))


async def test_words_that_are_no_text_are_refused() -> None:
    with pytest.raises(RequestError, match="not UTF-8"):
        await pieces(World(streamed(*WHOLE)), [{"role": "user", "content": "\udcff"}])


@pytest.mark.parametrize(("jobs", "cost"), [(200, "0.001"), (404, None), (500, None)])
async def test_an_answer_is_shown_and_its_facts_are_asked_for(jobs: int, cost: str | None) -> None:
    world, written = World(streamed(*WHOLE), jobs), list[str]()
    asker = world.asker()
    answering = Answering(asker, WISHES, lambda: 0.0)
    await answering.show(MESSAGES, PlainView(written.append))
    assert "".join(written) == "Hello\n"
    assert (answering.text, answering.thought) == ("Hello", "Hm.")
    asker.hive._sleep = no_wait
    job, countries = await answering.facts()
    assert countries == []
    assert (None if job is None else str(job.gns_cost)) == cost
    await asker.close()


async def no_wait(_: float) -> None:
    """Time passes at once."""
