"""Payouts that are cut off anywhere, answered wrongly, and made by two at once: everybody is paid exactly once."""

import asyncio
import random
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

import pytest

from coordinator.settle.payout import Payer
from coordinator.settle.stellar import Found, Horizon
from coordinator.store.engine import Away
from tests.machine.payout_world import World


class Cuts:
    """Lets a coroutine run up to its n-th wait and cancels it there, as if its process died."""

    def __init__(self, work: Coroutine[Any, Any, Any], at: int) -> None:
        self.work = work
        self.at = at
        self.finished = False

    async def run(self) -> None:
        try:
            await asyncio.create_task(self._drive())
        except (asyncio.CancelledError, Away):  # a connection that is cut off in mid-word is gone
            assert not self.finished

    async def _drive(self) -> None:
        await _counted(self.work, self.at)
        self.finished = True


@coroutine
def _counted(work: Coroutine[Any, Any, Any], at: int) -> Generator[Any, Any, None]:
    said: Any = None
    error: BaseException | None = None
    while True:
        try:
            waits_for = work.send(said) if error is None else work.throw(error)
        except StopIteration:
            return
        at -= 1
        if at == 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            said, error = (yield waits_for), None
        except BaseException as e:  # noqa: BLE001 - it is thrown on
            error = e


async def cut_at_every_wait(world: World, worker: str, prepared: bool) -> int:
    """Earns, cuts one round off at its n-th wait and lets the next payer finish, for every n; returns how many."""
    await world.started()
    for n in range(1, 1_000):
        await world.earn(worker, n)
        payer = world.payer()
        if prepared:
            await payer.one_round(world.now)
            world.close()
        cuts = Cuts(payer.one_round(world.now), n)
        await cuts.run()
        world.close()
        await world.until_paid(world.payer())
        if cuts.finished:
            return n - 1
    raise AssertionError("a round never ends")


@pytest.mark.parametrize("prepared", [False, True], ids=["plan and send", "look and decide"])
async def test_a_payer_killed_at_any_wait_pays_exactly_once(world: World, prepared: bool) -> None:
    (worker,) = world.workers(1)
    waits = await cut_at_every_wait(world, worker, prepared)
    assert waits > 20
    await world.check_all_paid()
    assert await world.rows("SELECT count(DISTINCT seq) = count(*) FROM payout_batches WHERE state = 'paid'") == [
        (True,)
    ]


class Liar(Horizon):
    """A server that now and then does not know what is on the ledger, or how far it is."""

    chance: random.Random

    def latest(self) -> int:
        return max(1, super().latest() + self.chance.choice([0, 0, 0, -5, 30, 150]))

    def find(self, inner_hash: str) -> Found | None:
        return super().find(inner_hash) if self.chance.random() < 0.6 else None


async def misfortune(world: World, chance: random.Random, workers: list[str], payers: list[Payer], liar: Liar) -> None:
    """Something happens to payers, network or workers."""
    match chance.choice(["earn", "spoil", "close", "close", "both", "both", "one", "one", "kill", "restart"]):
        case "earn":
            await world.earn(chance.choice(workers), *(chance.randrange(1, 10**6) for _ in range(3)))
        case "spoil":
            world.spoil(**{chance.choice(["drop", "lose", "cut", "duplicate", "delay"]): 1}, delay_ms=20)
        case "close":
            world.close(chance.choice([1, 1, 1, 2, 5, 25]))
        case "both":
            await asyncio.gather(*(payer.one_round(world.now) for payer in payers))
        case "one":
            await chance.choice(payers).one_round(world.now)
        case "kill":
            await Cuts(chance.choice(payers).one_round(world.now), chance.randrange(1, 60)).run()
        case "restart":
            horizon = chance.choice([world.horizon, liar])
            payers[chance.randrange(len(payers))] = await world.started(channels=2, horizon=horizon)


@pytest.mark.parametrize("seed", range(4))
async def test_two_payers_pay_once_whatever_happens(world: World, seed: int) -> None:
    chance, liar = random.Random(seed), Liar(world.node.url)
    liar.chance = chance
    workers = world.workers(4)
    payers = [await world.started(channels=2, horizon=liar), await world.started(channels=2)]
    for worker in workers:
        await world.earn(worker, 1_000_000)
    for _ in range(60):
        await misfortune(world, chance, workers, payers, liar)
    liar.close()
    await world.until_paid(await world.started(channels=2), await world.started(channels=2))
    await world.check_all_paid()
