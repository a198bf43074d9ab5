"""A streamed chat against a real relay: when the head goes out, what silence brings, how failures are told."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from coordinator.answer.readers import Readers
from coordinator.answer.said import Answer, Terms
from coordinator.answer.streamed import Streamed
from coordinator.answer.teller import Names
from coordinator.answer.whole import Whole
from coordinator.api.sse import KEEP_ALIVE
from coordinator.api.trace import Trace
from coordinator.dispatch.relay import Relay, WorkerPublic
from coordinator.openai.chat import ChatTeller
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from shared.chat.formats import GENERIC

JOB = UUID(int=7)
NAMES = Names(JOB, 1, "m", "fp")
TERMS = Terms(GENERIC, lambda token: bytes([token]))
WORKER = WorkerPublic("ab" * 32, None, "841e805ffffffff", ["IT", "VA"], "seedling")


def view(status: State, text: str | None = None, tokens: int = 0) -> JobView:
    """A job that ended like this."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    known: dict[str, Any] = {
        "id": JOB, "account_id": JOB, "key_id": JOB, "source": "v1", "priority": "interactive", "model": "m",
        "status": status, "region": "", "created_at": at, "deadline_at": at, "attempts": 1, "tokens_in": 3,
        "max_tokens": 9, "tokens_generated": tokens, "result_text": text, "finish_reason": "stop", "hold": 0, "cost": 0,
        "settled": False, "salt": "", "seed": "", "store": False, "kind_id": 1,
        "cached_tokens": 2, "copy": False,
    }  # fmt: skip
    fields: dict[str, Any] = {name: known.get(name) for name in JobView.__struct_fields__}
    return JobView(**fields)


class Exchange:
    """One request of a client that stays: what was sent, and a signal for each part."""

    def __init__(self) -> None:
        self.relay = Relay(self._cancel)
        self.reader = self.relay.open(JOB, attached=True)
        self.trace = Trace(JOB, received=0.0, accepted=0.001, now=lambda: 0.003)
        self.parts: asyncio.Queue[Any] = asyncio.Queue()
        self.leave = asyncio.Event()
        self.scope: Any = {"path": "/v1/chat/completions"}

    async def _cancel(self, job_id: UUID, reason: str) -> bool:
        raise AssertionError(f"nobody cancels {job_id} ({reason})")

    async def receive(self) -> Any:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, part: Any) -> None:
        self.parts.put_nowait(part)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.parts.get(), 30)

    def streamed(self, silence_s: float, *, include_usage: bool = False) -> "asyncio.Task[None]":
        now = asyncio.get_running_loop().time
        teller, answers = ChatTeller(NAMES, include_usage=include_usage), [Answer(TERMS)]
        chat = Streamed(teller, answers, Readers([self.reader]), self.trace, now=now, silence_s=silence_s)
        return asyncio.create_task(chat(self.scope, self.receive, self.send))


def header(start: Any, name: str) -> str | None:
    return {k.decode(): v.decode() for k, v in start["headers"]}.get(name)


async def test_the_head_waits_for_the_first_token() -> None:
    exchange = Exchange()
    running = exchange.streamed(60)
    exchange.relay.assigned(JOB, 1, WORKER)
    exchange.relay.tokens(JOB, 1, 0, [5], "Hi")
    start, body = await exchange.next(), await exchange.next()
    assert (start["status"], header(start, "x-hive-worker")) == (200, WORKER.pk)
    assert (header(start, "x-hive-jurisdiction"), header(start, "x-hive-queue-ms")) == ("IT,VA", "2.0")
    assert body["body"].count(b"data: ") == 2
    exchange.relay.end(view(State.COMPLETED, "Hi there", 2))
    end = await exchange.next()
    assert b'"content":" there"' in end["body"], "what was never relayed comes from the final text"
    assert end["body"].endswith(b"data: [DONE]\n\n")
    assert end["more_body"] is False
    await running


async def test_after_a_long_silence_the_head_goes_out_and_failures_come_in_the_stream() -> None:
    exchange = Exchange()
    running = exchange.streamed(0.005)
    start, opening = await exchange.next(), await exchange.next()
    assert (start["status"], header(start, "x-hive-worker"), header(start, "x-hive-job-id")) == (200, None, str(JOB))
    assert b'"role":"assistant"' in opening["body"]
    assert (await exchange.next())["body"] == KEEP_ALIVE
    exchange.relay.end(view(State.FAILED))
    while (part := await exchange.next())["body"] == KEEP_ALIVE:
        pass
    assert json.loads(part["body"].removeprefix(b"data: "))["error"]["code"] == "job_failed"
    assert b"[DONE]" not in part["body"]
    await running


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [(State.FAILED, 502, "job_failed"), (State.TIMED_OUT, 504, "job_timeout"), (State.CANCELLED, 502, "job_failed")],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_before_the_head_a_failure_has_its_status(state: State, status: int, code: str, streamed: bool) -> None:
    exchange = Exchange()
    if streamed:
        running = exchange.streamed(60)
    else:
        whole = Whole(ChatTeller(NAMES), [Answer(TERMS)], Readers([exchange.reader]), exchange.trace)
        running = asyncio.create_task(whole(exchange.scope, exchange.receive, exchange.send))
    exchange.relay.end(view(state))
    start, body = await exchange.next(), await exchange.next()
    assert (start["status"], json.loads(body["body"])["error"]["code"]) == (status, code)
    assert header(start, "x-should-retry") == "false"
    assert header(start, "x-hive-job-id") == str(JOB)
    await running
    assert not exchange.relay.abandoned.is_set()


async def test_usage_comes_alone_and_only_when_asked_for() -> None:
    exchange = Exchange()
    running = exchange.streamed(60, include_usage=True)
    exchange.relay.end(view(State.COMPLETED, "", 0))
    await exchange.next()
    events = (await exchange.next())["body"].decode().split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None, None]
    assert chunks[-1]["choices"] == []
    counts = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    assert chunks[-1]["usage"] == counts | {"prompt_tokens_details": {"cached_tokens": 2}}
    await running


async def test_who_leaves_while_nothing_was_sent_abandons_the_job() -> None:
    exchange = Exchange()
    running = exchange.streamed(60)
    exchange.leave.set()
    await running
    assert exchange.parts.empty()
    assert list(exchange.relay.take_abandoned()) == [JOB]
