"""Chaos: several coordinators, workers and clients while a nemesis does harm, and then what must still be so:
`python -m tests.bench.chaos --seconds 600 --seed 7`. Exit code 1 if anything is wrong."""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from nacl.signing import SigningKey
from sqlalchemy import text

from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import connect
from deploy.layout import WorkerPlace
from shared.catalogue import catalogue
from shared.crypto import public_key
from shared.processes import free_port
from shared.protocol.messages import ModelOffer
from shared.tokens import Vocabulary
from tests.bench.chaos_checks import checked
from tests.bench.chaos_clients import Clients
from tests.bench.chaos_nemesis import Nemesis
from tests.bench.chaos_proxy import Proxy
from tests.bench.chaos_stage import Stage, staged
from tests.bench.chaos_workers import Agent
from tests.support_wait import eventually
from tests.swarm.scripted import BERLIN, NEW_YORK, ROME

COORDINATORS: Final = 3
OVERDUE_S: Final = 20.0
"""How long a lease may be over before somebody has seen it, in a run that is three times as quick or more."""

_OVERDUE: Final = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - lease_until)), 0) FROM jobs"
_WAITING: Final = "SELECT count(*) FROM jobs"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it: the coordinators' times of silence are divided by `quick`; `plant` takes out their fence."""

    seconds: float
    seed: int
    workers: int = 30
    clients: int = 30
    quick: int = 5
    pace_s: float = 0.12
    pause_s: float = 0.3
    plant: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What there was, what was done to it, and what is wrong."""

    counts: Counter[str]
    harms: Counter[str]
    wrong: list[str]
    overdue_s: float
    settled_s: float


async def run(plan: Plan, folder: Path, database_url: str) -> Outcome:
    """One run on a database that is migrated and empty, or is made so."""
    random = Random(plan.seed)
    keys = [SigningKey(random.randbytes(32)) for _ in range(plan.workers)]
    cells = [(ROME, BERLIN, NEW_YORK)[number % 3] for number in range(plan.workers)]
    tiers = ["trusted" if number % 6 < 3 else "observed" for number in range(plan.workers)]
    places = [WorkerPlace(public_key(k), c, t) for k, c, t in zip(keys, cells, tiers, strict=True)]
    async with contextlib.AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            staged(folder, database_url, places, count=COORDINATORS, quick=plan.quick, plant=plan.plant)
        )
        agents = _agents(plan, stage, keys, cells, random)
        for agent in agents:
            await stack.enter_async_context(agent.line.running())
        tasks = [asyncio.create_task(agent.run()) for agent in agents]
        stack.push_async_callback(_cancelled, tasks)
        return await _harmed(plan, stage, agents, random)


def _agents(plan: Plan, stage: Stage, keys: list[SigningKey], cells: list[str], random: Random) -> list[Agent]:
    entry = catalogue()["hive-nano"]
    model = ModelOffer(entry.id, entry.digest, entry.context, entry.size_bytes, loaded=True)
    vocabulary = Vocabulary(entry.path)
    return [
        Agent(
            f"w{number}", key, cell, model, vocabulary, stage.coordinators, Random(random.getrandbits(64)), plan.pace_s,
            4 / plan.quick, Proxy(stage.coordinators[0].port),
        )
        for number, (key, cell) in enumerate(zip(keys, cells, strict=True))
    ]  # fmt: skip


async def _harmed(plan: Plan, stage: Stage, agents: list[Agent], random: Random) -> Outcome:
    clients = Clients(stage, Random(random.getrandbits(64)), plan.clients, plan.pause_s)
    nemesis = Nemesis(stage, agents, Random(random.getrandbits(64)), plan.quick)
    over = asyncio.Event()
    engine = connect(stage.database_url)
    overdue = [0.0]

    async def number(statement: str) -> float:
        async with engine.connect() as conn:
            return float(await conn.scalar(text(statement)) or 0)

    async def nothing_waits() -> bool:
        return await number(_WAITING) == 0

    async def watch() -> None:
        while True:
            overdue.append(await number(_OVERDUE))
            await asyncio.sleep(0.25)

    watching, asking = asyncio.create_task(watch()), asyncio.create_task(clients.run(over))
    try:
        await nemesis.run(plan.seconds)
        over.set()
        healed = time.monotonic()
        await stage.ready()
        await asyncio.wait([asking], timeout=240 / plan.quick)
        with contextlib.suppress(AssertionError):  # what has not ended is told one by one
            await eventually(nothing_waits, 240 / plan.quick, "the end of all jobs")
        settled_s = time.monotonic() - healed
        async with engine.connect() as conn:
            acks = {public_key(agent.key): agent.acks for agent in agents}
            counts, wrong = await checked(conn, clients.seen, acks)
    finally:
        await _cancelled([watching, asking])
        await engine.dispose()
    counts["connections of workers"] = sum(agent.connects for agent in agents)
    counts["starts of coordinators"] = sum(one.starts for one in stage.coordinators)
    wrong += clients.unlike
    for one in stage.coordinators:
        wrong += ["a coordinator crashed"] * one.crashes
        wrong += [f"a coordinator said {times} times: {what}" for what, times in one.errors().items()]
    if max(overdue) > OVERDUE_S + 60 / plan.quick:
        wrong.append(f"a lease was over for {max(overdue):.1f} s and nobody saw it")
    return Outcome(counts=counts, harms=nemesis.did, wrong=wrong, overdue_s=max(overdue), settled_s=settled_s)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def told(plan: Plan, outcome: Outcome) -> str:
    """The counts, for a person."""
    rows = [*sorted(outcome.counts.items()), *sorted((f"harm: {name}", n) for name, n in outcome.harms.items())]
    lines = [f"{count:8}  {name}" for name, count in rows]
    lines.append(f"{outcome.overdue_s:8.1f}  s that a lease was over at most before somebody saw it")
    lines.append(f"{outcome.settled_s:8.1f}  s after the last harm until every job had ended")
    lines.append(f"{len(outcome.wrong):8}  wrong (seed {plan.seed}, {plan.seconds:.0f} s)")
    return "\n".join([*lines, *outcome.wrong[:20]])


def main() -> None:
    """Run it and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.chaos", description="Harm a fleet and check it.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--quick", type=int, default=5, help="shorten lease and silence by this; 1: as they are")
    parser.add_argument("--plant", action="store_true", help="take out the fence, to see that it is caught")
    parser.add_argument("--keep", type=Path, help="a new folder for logs and database, which stay")
    given = vars(parser.parse_args())
    keep, plan = given.pop("keep"), Plan(**given)
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="hive-chaos-", ignore_cleanup_errors=True)
        folder = keep or Path(stack.enter_context(temporary))
        postgres = EmbeddedPostgres(folder / "postgres", free_port(), {"max_connections": "120"})
        try:
            outcome = asyncio.run(run(plan, folder / "stage", postgres.start()))
        finally:
            postgres.stop()
    print(told(plan, outcome))
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
