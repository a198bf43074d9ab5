"""`/hive/jobs/{id}/events`: the texts of its token events are the answer, once and in order, whatever the log lacks, and
wherever a reader goes on with the id of the last event that it got."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, strategies as st
from litestar.types import Scope

from client.events import EventReader, Token as TokenTold
from coordinator.api.events import JobEvents
from coordinator.dispatch.channel import WorkerPublic
from coordinator.dispatch.relay import Relay
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from tests.pure.test_relay import JOB, WORKER, never, view

TEXT = "Rome wasn’t built in a day, 🏛 but they were laying bricks every hour."
Told = tuple[str, int, Any]
"""The name of an event, its id, and what it tells."""


def over(text: str | None = TEXT, tokens: int = len(TEXT)) -> JobView:
    return msgspec.structs.replace(view(), result_text=text, tokens_generated=tokens)


def told(data: bytes) -> list[Told]:
    """The events of a stream that have ids."""
    found = []
    for block in data.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if "id" in lines:
            found.append((lines["event"], int(lines["id"]), json.loads(lines["data"])))
    return found


async def read(relay: Relay, after: int | None) -> list[Told]:
    """All that a connection tells of a job that has ended."""
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    reader = relay.open(JOB, attached=False)
    await JobEvents(reader, view(), after)(cast(Scope, {"type": "http"}), receive, send)
    return told(b"".join(sent))


def log_of(cuts: Sequence[int], upto: int, end: JobView, workers: Sequence[WorkerPublic] = (WORKER,)) -> Relay:
    """A job's log, its text cut at these places, of which the first `upto` characters came before the end."""
    relay = Relay(never)
    holding = relay.open(JOB, attached=False)
    for attempt, worker in enumerate(workers, 1):
        relay.assigned(JOB, attempt, worker)
    relay.status(JOB, State.COMPUTING)
    for start, stop in pairwise(sorted({0, *(cut for cut in cuts if cut < upto), upto})):
        relay.tokens(JOB, len(workers), start, [ord(letter) for letter in TEXT[start:stop]], TEXT[start:stop])
    relay.end(end)
    assert holding.ended
    return relay


def text_of(events: Sequence[Told]) -> str:
    return "".join(what["text"] for name, _, what in events if name == "token")


places = st.lists(st.integers(1, len(TEXT) - 1), max_size=12)


@given(st.lists(st.tuples(places, st.integers(0, len(TEXT)), st.integers(1, 2), st.integers(1, 20)), min_size=1))
async def test_a_reader_that_goes_on_anywhere_has_the_whole_text_once(
    connections: list[tuple[list[int], int, int, int]],
) -> None:
    """Each connection is to a coordinator whose log is cut elsewhere, lacks an end, and breaks after so many events."""
    had: list[Told] = []
    for cuts, upto, attempts, breaks in connections:
        relay = log_of(cuts, upto, over(), [WORKER] * attempts)
        had += (await read(relay, had[-1][1] if had else None))[:breaks]
        assert TEXT.startswith(text_of(had))
    had += await read(log_of([], len(TEXT), over()), had[-1][1])
    assert text_of(had) == TEXT
    assert (had[-1][0], had[-1][2]["result_text"]) == ("done", TEXT)


@given(places, st.integers(0, len(TEXT)))
async def test_ids_grow_and_the_token_events_count_all_tokens(cuts: list[int], upto: int) -> None:
    events = await read(log_of(cuts, upto, over()), None)
    ids = [id_ for _, id_, _ in events]
    assert ids == sorted(set(ids))
    assert ids[-1] < 2**53
    assert sum(what["count"] for name, _, what in events if name == "token") == len(TEXT)
    assert await read(log_of(cuts, upto, over()), ids[-1]) == events[-1:]


async def test_whoever_comes_after_the_end_gets_the_text_too() -> None:
    relay = Relay(never)
    holding = relay.open(JOB, attached=False)
    relay.end(over())
    events = await read(relay, None)
    assert [(name, what.get("text")) for name, _, what in events] == [("token", TEXT), ("done", None)]
    holding.close()


@pytest.mark.parametrize(
    "end",
    [
        over("[[0.5, 0.25]]", tokens=0),
        over(None),
        msgspec.structs.replace(over(None), status=State.CANCELLED),
    ],
)
async def test_nothing_is_told_for_words_that_is_none(end: JobView) -> None:
    relay = Relay(never)
    holding = relay.open(JOB, attached=False)
    relay.end(end)
    assert [name for name, _, _ in await read(relay, None)] == ["done" if end.status == "completed" else "error"]
    holding.close()


@pytest.mark.parametrize("result", ["Something else that is much longer than what was read of the first.", "Short."])
async def test_a_reader_of_an_answer_that_was_made_anew_is_told_so(result: str) -> None:
    had = await read(log_of([9, 30], 30, over()), None)
    cut = next(place for place, (name, _, _) in enumerate(had) if name == "token") + 2
    relay = Relay(never)
    holding = relay.open(JOB, attached=False)
    relay.assigned(JOB, 3, WORKER)
    relay.tokens(JOB, 3, 0, list(range(8)), result[:-2])
    relay.end(over(result, tokens=9))
    rest = await read(relay, had[cut - 1][1])
    assert text_of(rest) == ""
    assert rest[-1][0] == "error"
    assert "had to make this answer anew" in rest[-1][2]["error"]["message"]
    holding.close()


async def test_the_client_tells_words_that_come_without_a_token_of_their_own() -> None:
    relay = Relay(never)
    relay.open(JOB, attached=False)
    relay.assigned(JOB, 1, WORKER)
    relay.tokens(JOB, 1, 0, [1, 2], "Rome was not built ")
    relay.complete(JOB, [1, 2], "Rome was not built in a ")
    relay.end(over("Rome was not built in a day", tokens=2))
    reader, stream = EventReader(), b""
    for name, id_, what in await read(relay, None):
        stream += f"event: {name}\nid: {id_}\ndata: {json.dumps(what)}\n\n".encode()
    texts = [event.text for event in reader.feed(stream) if isinstance(event, TokenTold)]
    assert texts == ["Rome was not built ", "in a ", "day"]


async def test_an_id_of_an_earlier_version_counts_events() -> None:
    whole = await read(log_of([9, 30], 50, over()), None)
    rest = await read(log_of([9, 30], 50, over()), 3)
    assert rest == whole[3:]
