"""The log of a job: whatever frames come, readers read each token once and in order."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given, strategies as st

from coordinator.dispatch.channel import Channel, Ended, JobEvent, Status, Token, WorkerPublic
from coordinator.dispatch.relay import Relay
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from shared.protocol.messages import Logprob

JOB = UUID(int=7)
WORKER = WorkerPublic("aa" * 32, None, "841e805ffffffff", ["IT"], "seedling")


def view() -> JobView:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return JobView(
        id=JOB, account_id=uuid4(), key_id=uuid4(), source="v1", priority="interactive", model="m",
        status=State.COMPLETED, region="", cell=None, created_at=now, deadline_at=now, assigned_at=now,
        first_token_at=now, completed_at=now, worker_pk=None, worker_handle=None, worker_cell=None, attempts=1,
        tokens_in=1, max_tokens=1, tokens_generated=1, tokens_per_second=1.0, result_text="", finish_reason="stop",
        error_code=None, error_message=None, gns_reward=None, hold=0, cost=0, settled=False, stellar_tx_hash=None,
        salt="", seed="", store=False,
    )  # fmt: skip


async def never(job_id: UUID, reason: str) -> bool:
    raise AssertionError("nothing is to be cancelled here")


def channel() -> Channel:
    made = Channel(JOB)
    made.assigned(1, WORKER)
    return made


def text_of(events: list[JobEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_frames_of_a_fenced_attempt_are_dropped() -> None:
    log = channel()
    assert log.tokens(1, 0, [1, 2], "ab")
    log.assigned(2, WORKER)
    assert not log.tokens(1, 2, [3], "c")
    assert log.tokens(2, 2, [4], "d")
    assert (log.ids, log.text, log.resume_ids, log.earlier_text) == ([1, 2, 4], "abd", [1, 2], "ab")


def test_a_gap_or_a_contradiction_brings_nothing() -> None:
    log = channel()
    log.tokens(1, 0, [1, 2], "ab")
    assert not log.tokens(1, 3, [4], "d")
    assert not log.tokens(1, 0, [1, 9, 3], "axc")
    assert not log.tokens(1, 2, [], "z")
    assert (log.ids, log.text) == ([1, 2], "ab")


@given(st.lists(st.text(max_size=3), min_size=1, max_size=12), st.data())
def test_a_resent_stream_brings_each_token_once_however_it_is_cut(texts: list[str], data: st.DataObject) -> None:
    log = channel()
    ids = list(range(len(texts)))
    seen = data.draw(st.integers(0, len(ids)))
    for upto in (seen, len(ids)):
        at = 0
        while at < upto:
            size = data.draw(st.integers(1, upto - at))
            log.tokens(1, at, ids[at : at + size], "".join(texts[at : at + size]))
            at += size
    assert (log.ids, log.text) == (ids, "".join(texts))
    assert text_of(log.events) == "".join(texts)
    tokens = [event for event in log.events if isinstance(event, Token)]
    assert sum(event.count for event in tokens) == len(ids)
    assert tokens[-1].index == len(ids) - 1
    assert [event.id for event in log.events] == list(range(1, len(log.events) + 1))


def test_a_result_fills_in_what_was_not_relayed() -> None:
    log = channel()
    log.tokens(1, 0, [1, 2], "ab")
    assert log.agrees([1, 2, 3], "abc")
    assert not log.agrees([1, 3], "ac")
    assert not log.agrees([1], "a")
    log.complete([1, 2, 3], "abc")
    assert (log.ids, log.text, text_of(log.events)) == ([1, 2, 3], "abc", "abc")


def test_what_was_read_is_never_taken_back() -> None:
    log = channel()
    log.tokens(1, 0, [1], "a")
    log.assigned(2, WORKER)
    log.tokens(2, 1, [2], "b")
    assert not log.rewind(read_up_to=len(log.events))
    assert log.rewind(read_up_to=2)
    assert (log.ids, log.text, text_of(log.events)) == ([1], "a", "a")
    log.assigned(3, WORKER)
    assert log.tokens(3, 1, [5], "c")
    assert [event.id for event in log.events] == list(range(1, len(log.events) + 1))


async def test_a_reader_gets_everything_from_the_first_event_to_the_end() -> None:
    relay = Relay(never)
    reader = relay.open(JOB, attached=False)
    reading = asyncio.create_task(_all(reader))
    relay.assigned(JOB, 1, WORKER)
    await asyncio.sleep(0)
    relay.tokens(JOB, 1, 0, [1], "a")
    relay.complete(JOB, [1, 2], "ab")
    relay.end(view())
    events = await reading
    assert [type(event) for event in events] == [Status, Token, Token, Ended]
    reader.close()
    assert relay.followed() == ([], [])


def test_nothing_comes_after_the_end() -> None:
    log = channel()
    log.end(view())
    log.status(State.PENDING)
    assert log.ended
    assert isinstance(log.events[-1], Ended)


async def test_only_the_last_attached_reader_abandons_the_job() -> None:
    relay = Relay(never)
    first, second = relay.open(JOB, attached=True), relay.open(JOB, attached=True)
    onlooker = relay.open(JOB, attached=False)
    first.close()
    first.close()
    assert relay.take_abandoned() == {}
    second.close()
    assert relay.abandoned.is_set()
    assert relay.take_abandoned() == {JOB: 0}
    onlooker.close()
    assert relay.take_abandoned() == {}


async def test_a_job_that_ended_is_not_abandoned() -> None:
    relay = Relay(never)
    reader = relay.open(JOB, attached=True)
    relay.end(view())
    reader.close()
    assert relay.take_abandoned() == {}


async def _all(reader: object) -> list[JobEvent]:
    return [event async for event in reader]  # type: ignore[attr-defined]


def test_logprobs_follow_their_tokens_and_are_told_once() -> None:
    log = Channel(JOB)
    log.assigned(1, WORKER)
    told = [Logprob(-token) for token in range(4)]
    assert log.tokens(1, 0, [10, 11], "ab", told[:2])
    assert log.tokens(1, 0, [10, 11], "ab", told[:2]) is False
    assert log.tokens(1, 0, [10, 11, 12], "abc", told[:3])
    found = [(event.ids, event.logprobs) for event in log.events if isinstance(event, Token)]
    assert found == [([10, 11], told[:2]), ([12], told[2:3])]
    assert log.tokens(1, 3, [13], "d")
    assert (log.events[-1].ids, log.events[-1].logprobs) == ([], [])  # type: ignore[union-attr]
