"""Work for a client that may leave: in every order of its leaving, the end of the work, and a cancellation from outside."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.api.gone import while_there


class Client:
    """A client that stays until it `leaves`."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.fails = False

    async def receive(self) -> Any:
        await self.gone.wait()
        if self.fails:
            raise OSError("the line is broken")
        return {"type": "http.disconnect"}


class Work:
    """Work that lasts until it is let go, and notes how it ended."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.ended = ""

    async def run(self) -> None:
        try:
            await self.go.wait()
            self.ended = "done"
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what has to be put in order takes its time
            self.ended = "cancelled"
            raise


async def steps(number: int) -> None:
    """So many turns of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("fails", [False, True])
async def test_the_work_of_a_client_that_leaves_has_ended_on_return(fails: bool) -> None:
    client, work = Client(), Work()
    client.fails = fails
    serving = asyncio.create_task(while_there(client.receive, work.run()))
    await steps(3)
    client.gone.set()
    await serving
    assert work.ended == "cancelled"


async def test_a_client_that_stays_gets_all_of_it_and_nothing_is_left_behind() -> None:
    client, work = Client(), Work()
    before = asyncio.all_tasks()
    serving = asyncio.create_task(while_there(client.receive, work.run()))
    await steps(3)
    work.go.set()
    await serving
    await steps(2)
    assert work.ended == "done"
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("first", ["the end", "the leaving"])
async def test_the_end_and_the_leaving_may_come_together_and_nothing_after_it_is_cancelled(
    first: str, turns: int
) -> None:
    client, work, went_on = Client(), Work(), False

    async def request() -> None:
        nonlocal went_on
        await while_there(client.receive, work.run())
        await steps(5)
        went_on = True

    serving = asyncio.create_task(request())
    await steps(3)
    both: list[Callable[[], None]] = [work.go.set, client.gone.set]
    for do in both if first == "the end" else both[::-1]:
        do()
        await steps(turns)
    await serving
    assert went_on
    assert work.ended in {"done", "cancelled"}
    assert serving.cancelling() == 0


@pytest.mark.parametrize("leaves", [False, True])
async def test_whoever_cancels_the_request_itself_is_obeyed(leaves: bool) -> None:
    client, work = Client(), Work()
    serving = asyncio.create_task(while_there(client.receive, work.run()))
    await steps(3)
    if leaves:
        client.gone.set()
        await steps(1)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert work.ended == "cancelled"


async def test_work_that_ends_well_though_it_was_cancelled_leaves_no_mark_on_its_task() -> None:
    client = Client()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def request() -> int:
        await while_there(client.receive, stubborn())
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    serving = asyncio.create_task(request())
    await steps(3)
    client.gone.set()
    assert await serving == 0


async def test_what_the_work_raises_is_raised() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await while_there(Client().receive, broken())
