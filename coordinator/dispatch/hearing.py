"""What this coordinator hears of the others, and what it does about it."""

import asyncio
from functools import partial
from typing import Final, assert_never

import structlog

from coordinator.dispatch import ending
from coordinator.dispatch.between import Adrift, Drop, Follow, Joined, Left, Message, Over, Reading, Said, Work
from coordinator.dispatch.carried import hand_on
from coordinator.dispatch.state import Dispatch
from coordinator.dispatch.telling import ask, ask_again, forward, is_strange, log_name
from coordinator.store.engine import Away
from shared.protocol.messages import CloseCode

ASK_S: Final = 1.0

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Carries messages, does what they ask for, and asks again every second for what is read here, for ever."""
    async with asyncio.TaskGroup() as loops:
        loops.create_task(d.bus.run(partial(hear, d)))
        loops.create_task(_doing(d))
        loops.create_task(_asking(d))


async def _doing(d: Dispatch) -> None:
    while True:
        await d.heard.news.wait()
        await one_round(d)


async def _asking(d: Dispatch) -> None:
    while True:
        ask_again(d, d.now_ms())
        await asyncio.sleep(ASK_S)


async def one_round(d: Dispatch) -> None:
    """Hands on what is known of jobs that lost their workers, drops what others want dropped, and tells of ends that others
    made. What fails is found by the next look."""
    heard = d.heard
    heard.news.clear()
    drops, heard.drops = heard.drops, {}
    over, heard.over = heard.over, set()
    adrift, heard.adrift = heard.adrift, set()
    try:
        await hand_on(d, adrift)
        await asyncio.gather(*(_drop(d, drop) for drop in drops.values()))
        if over:
            await ending.announce(d, over)
    except Away:
        log.warning("the database is away: what other coordinators ended is told later")
    for job_id in over & heard.awaited.keys():
        heard.awaited[job_id].set()


async def _drop(d: Dispatch, drop: Drop) -> None:
    await ending.cancel(d, drop.job, drop.reason)
    d.bus.tell(Over([drop.job]), to=drop.by)


def hear(d: Dispatch, message: Message) -> None:
    """Takes a message of another coordinator."""
    match message:
        case Work(kinds=kinds):
            for kind in kinds:
                d.hub.wake(kind)
        case Follow():
            for reading in message.jobs:
                _follow(d, message.by, reading)
        case Said():
            _said(d, message)
        case Over(jobs=jobs):
            d.heard.over.update(jobs)
            d.heard.news.set()
        case Adrift(jobs=jobs):
            d.heard.adrift.update(job_id for job_id in jobs if d.relay.known(job_id) is not None)
            d.heard.news.set()
        case Drop():
            ending.hush(d, message.job, message.reason)
            d.heard.drops[message.job] = message
            d.heard.news.set()
        case Joined():
            _joined(d, message)
        case Left(workers=pks):
            d.hub.gone_elsewhere(pks)
        case _:
            assert_never(message)


def _follow(d: Dispatch, by: str, reading: Reading) -> None:
    """Another coordinator reads a job: it is told what it has not heard of the log here, if that is the one it follows or
    the job's worker is here."""
    follower = d.relay.followers.ask(reading.job, by, d.now_ms())
    channel = d.relay.known(reading.job)
    if channel is None or d.relay.mirror(reading.job) is not None:
        return
    if reading.log == log_name(d, channel):
        follower.told = min(follower.told, reading.heard)
    elif d.hub.attempts.of_job(reading.job) is not None:
        follower.told = 0
    else:
        return
    forward(d, channel, by, follower)


def _said(d: Dispatch, said: Said) -> None:
    """Another coordinator tells of a job: what has a worker here is known better here."""
    if is_strange(d, said.job) and d.relay.hear(said):
        ask(d, [said.job])


def _joined(d: Dispatch, told: Joined) -> None:
    d.hub.elsewhere.outdated()
    session = d.hub.session_of(told.worker)
    if session is None or session.number < told.session:
        for job_id, number in told.brought:
            attempt = d.hub.attempts.find(job_id, number, told.worker)
            if attempt is not None:
                d.hub.attempts.remove(attempt)
    if session is not None and session.number < told.session:
        session.close(CloseCode.SUPERSEDED, "the same worker connected again, to another coordinator")
