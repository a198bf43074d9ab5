"""The log of a job whose worker is elsewhere: whatever gets lost, comes twice, late or from a coordinator that has lost the
job since, readers are told the answer once, in order, or that it broke."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.dispatch.between import Said
from coordinator.dispatch.channel import Channel, Ended, JobEvent, Status, Token, WorkerPublic
from coordinator.dispatch.mirror import Mirror
from coordinator.queue.lifecycle import State
from shared.protocol.messages import Logprob
from tests.pure.test_relay import view

JOB = UUID(int=7)
ROME, BERLIN = (WorkerPublic(pk * 32, None, "841e805ffffffff", ["IT"], "seedling") for pk in ("aa", "bb"))


def log_of(name: str, channel: Channel, first: int = 1, last: int | None = None) -> Said:
    """What the coordinator of this log says of it, from one event to another."""
    events = [event for event in channel.events[first - 1 : last] if not isinstance(event, Ended)]
    return Said(JOB, name, channel.attempt, first, [with_ids(channel, event) for event in events])


def with_ids(channel: Channel, event: JobEvent) -> Status | Token:
    assert not isinstance(event, Ended)
    if isinstance(event, Status):
        return event
    ids = channel.ids[event.index + 1 - event.count : event.index + 1]
    return msgspec.structs.replace(event, ids=ids)


def spoken(words: Sequence[str], attempt: int = 1, worker: WorkerPublic = ROME, before: Sequence[str] = ()) -> Channel:
    """A log in which a worker says these words, one token each, after those of an earlier attempt."""
    channel = Channel(JOB)
    if before:
        channel.assigned(attempt - 1, ROME)
        channel.tokens(attempt - 1, 0, list(range(len(before))), "".join(before))
    channel.assigned(attempt, worker)
    channel.status(State.COMPUTING)
    for place, word in enumerate(words, len(before)):
        channel.tokens(attempt, place, [place], word)
    return channel


def text_of(channel: Channel) -> str:
    return "".join(event.text for event in channel.events if isinstance(event, Token))


@given(st.data())
def test_lost_double_and_late_messages_never_change_what_is_told(data: st.DataObject) -> None:
    source = spoken([f"w{n} " for n in range(8)])
    said = [log_of("a/1", source, n, n) for n in range(1, len(source.events) + 1)]
    channel = Channel(JOB)
    mirror = Mirror(channel)
    for one in data.draw(st.lists(st.sampled_from(said), max_size=30)):
        mirror.hear(one)
        assert source.text.startswith(text_of(channel))
        assert channel.ids == source.ids[: len(channel.ids)]
        assert [event.id for event in channel.events] == list(range(1, len(channel.events) + 1))
    mirror.hear(log_of("a/1", source, mirror.heard + 1))
    assert channel.events == source.events
    assert channel.made == source.made


def test_a_gap_is_noticed_and_filled_from_where_it_began() -> None:
    source = spoken(["one ", "two ", "three"])
    channel = Channel(JOB)
    mirror = Mirror(channel)
    mirror.hear(log_of("a/1", source, 1, 3))
    mirror.hear(log_of("a/1", source, 5, 5))
    assert (mirror.lacks, mirror.heard, text_of(channel)) == (True, 3, "one ")
    mirror.hear(log_of("a/1", source, 4))
    assert (mirror.lacks, text_of(channel)) == (False, "one two three")


def test_a_coordinator_that_lost_the_job_is_not_heard_any_more() -> None:
    stale = spoken(["one ", "two "])
    channel = Channel(JOB)
    mirror = Mirror(channel)
    mirror.hear(log_of("a/1", stale))
    mirror.hear(log_of("b/1", spoken(["three"], attempt=2, worker=BERLIN, before=["one ", "two "])))
    stale.tokens(1, 2, [2], "wrong")
    mirror.hear(log_of("a/1", stale))
    mirror.hear(log_of("a/1", stale, 4))
    assert (text_of(channel), channel.attempt) == ("one two three", 2)
    assert channel.made.worker_pk == BERLIN.pk
    assert (channel.made.tokens, channel.made.own) == (3, 1)


def test_a_worker_that_moved_tells_its_tokens_anew_and_readers_are_told_the_rest() -> None:
    channel = Channel(JOB)
    mirror = Mirror(channel)
    mirror.hear(log_of("a/1", spoken(["one ", "two "])))
    moved = Channel(JOB)
    moved.assigned(1, ROME)
    moved.tokens(1, 0, [0, 1, 2], "one two three ")
    moved.tokens(1, 3, [3], "four")
    mirror.hear(log_of("b/9", moved))
    assert text_of(channel) == "one two three four"
    assert channel.ids == [0, 1, 2, 3]
    assert [event.state for event in channel.events if isinstance(event, Status)] == ["assigned", "computing"]


def test_what_another_worker_says_otherwise_is_not_told_and_the_end_says_that_it_broke() -> None:
    channel = Channel(JOB)
    mirror = Mirror(channel)
    mirror.hear(log_of("a/1", spoken(["one ", "two "])))
    anew = Channel(JOB)
    anew.assigned(2, BERLIN)
    anew.tokens(2, 0, [5, 6, 7], "uno due tre")
    mirror.hear(log_of("b/1", anew))
    assert text_of(channel) == "one two "
    channel.end(msgspec.structs.replace(view(), status=State.COMPLETED, result_text="uno due tre"))
    ended = channel.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.view.status, ended.view.result_text) == (State.FAILED, None)


@pytest.mark.parametrize("result", ["one two three", None])
def test_a_result_that_goes_on_from_what_was_told_stands(result: str | None) -> None:
    channel = Channel(JOB)
    Mirror(channel).hear(log_of("a/1", spoken(["one ", "two "])))
    channel.end(msgspec.structs.replace(view(), status=State.COMPLETED, result_text=result))
    ended = channel.events[-1]
    assert isinstance(ended, Ended)
    assert ended.view.status is State.COMPLETED


def test_logprobs_come_with_their_tokens() -> None:
    source = Channel(JOB)
    source.assigned(1, ROME)
    source.tokens(1, 0, [4, 5], "ab", [Logprob(-1), Logprob(-2)])
    channel = Channel(JOB)
    Mirror(channel).hear(log_of("a/1", source))
    assert channel.events == source.events
