"""What this coordinator tells the others: who waits, who reads what, what its workers say, what has ended, who joined."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final
from uuid import UUID

from coordinator.dispatch.between import Drop, Follow, Joined, Over, Reading, Said, Work
from coordinator.dispatch.channel import Channel, Ended, Status, Token
from coordinator.dispatch.followers import Follower
from coordinator.dispatch.session import Session
from coordinator.dispatch.waiting import wait_at_most
from shared.protocol.messages import Verdict

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch

ANSWER_S: Final = 0.5
"""For so long the coordinator that has the worker is waited for to end a job: it alone knows what was made."""

MOST_EVENTS: Final = 64
MOST_KINDS: Final = 128
MOST_READINGS: Final = 4096
"""How many of each go into one message."""


async def asked_elsewhere(d: "Dispatch", job_id: UUID, reason: str, holder: str) -> bool:
    """Has another coordinator, which holds the job's worker, cancel it; False if it does not say within half a second that
    the job is over."""
    done = d.heard.awaited.setdefault(job_id, asyncio.Event())
    d.bus.tell(Drop(d.name, job_id, reason), to=holder)
    await wait_at_most(done, ANSWER_S)
    d.heard.awaited.pop(job_id, None)
    return done.is_set()


def tell_of_work(d: "Dispatch") -> None:
    """After a round: the others hear of jobs that came here and that nobody here takes now, and of readers whose jobs may
    be done there."""
    unserved = d.hub.take_unserved()
    opened = [job_id for job_id in d.relay.take_opened() if is_strange(d, job_id)]
    if not d.bus.connected:
        return
    ask(d, opened)
    for start in range(0, len(unserved), MOST_KINDS):
        d.bus.tell(Work(unserved[start : start + MOST_KINDS]))


def ask_again(d: "Dispatch", now: int) -> None:
    """Says which jobs are read here whose workers are elsewhere, and how much of them was heard; forgets who says no more
    so, at `now` (ms)."""
    d.relay.followers.lapse(now)
    if d.bus.connected:
        ask(d, [job_id for job_id in chain(*d.relay.followed()) if is_strange(d, job_id)])


def changed(d: "Dispatch", job_id: UUID) -> None:
    """The log of a job that others read has grown."""
    channel = d.relay.channel(job_id)
    if d.bus.connected and d.relay.mirror(job_id) is None:
        for name, follower in d.relay.followers.of(job_id):
            forward(d, channel, name, follower)


def over(d: "Dispatch", job_ids: Iterable[UUID]) -> None:
    """These jobs have ended here: whoever reads them elsewhere is told, after all of their events."""
    for job_id in job_ids:
        for name, _ in d.relay.followers.of(job_id):
            d.bus.tell(Over([job_id]), to=name)
        d.relay.followers.drop(job_id)


def joined(d: "Dispatch", session: Session, held: Iterable[Verdict]) -> None:
    """A worker's session begins here: it has ended wherever else it was, with the attempts that go on here."""
    brought = [(UUID(one.job_id), one.attempt) for one in held if one.verdict != "abandon"]
    d.bus.tell(Joined(session.pk, session.number, brought))


def ask(d: "Dispatch", job_ids: Sequence[UUID]) -> None:
    """Asks whoever has the workers of these jobs, which are read here, for what was not heard of them yet."""
    for start in range(0, len(job_ids), MOST_READINGS):
        readings = [_reading(d, job_id) for job_id in job_ids[start : start + MOST_READINGS]]
        d.bus.tell(Follow(d.name, readings))


def forward(d: "Dispatch", channel: Channel, to: str, follower: Follower) -> None:
    """Tells a follower the rest of a log. An attempt whose lease is over may be another coordinator's by now."""
    attempt = d.hub.attempts.of_job(channel.job_id)
    if attempt is not None and attempt.lease_until <= d.now_ms():
        return
    events = [event for event in channel.events[follower.told :] if not isinstance(event, Ended)]
    for start in range(0, len(events), MOST_EVENTS):
        part = [_with_ids(channel, event) for event in events[start : start + MOST_EVENTS]]
        held = channel.made.held
        d.bus.tell(Said(channel.job_id, log_name(d, channel), channel.attempt, part[0].id, part, held), to=to)
    follower.told += len(events)
    d.relay.was_read(channel.job_id, follower.told)


def teller_of(d: "Dispatch", job_id: UUID) -> str | None:
    """The coordinator that a job read here was last heard of from: it has the worker, unless that has moved since."""
    mirror = d.relay.mirror(job_id)
    return None if mirror is None or not mirror.log else mirror.log.rpartition("/")[0]


def log_name(d: "Dispatch", channel: Channel) -> str:
    """A log's name, which no other log ever has."""
    return f"{d.name}/{channel.number}"


def _reading(d: "Dispatch", job_id: UUID) -> Reading:
    mirror = d.relay.mirror(job_id)
    return Reading(job_id, "", 0) if mirror is None else Reading(job_id, mirror.log, mirror.heard)


def is_strange(d: "Dispatch", job_id: UUID) -> bool:
    """Whether a job that is read here has its worker elsewhere, or nowhere yet."""
    return d.relay.is_read(job_id) and d.hub.attempts.of_job(job_id) is None


def _with_ids(channel: Channel, event: Status | Token) -> Status | Token:
    if isinstance(event, Status) or event.ids:
        return event
    ids = channel.ids[event.index + 1 - event.count : event.index + 1]
    return Token(event.id, event.index, event.text, event.count, ids, event.logprobs)
