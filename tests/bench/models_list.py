"""How long the list of models takes with 10 000 workers online, and how much one of them that changes costs."""

import time
from pathlib import Path

import msgspec

from coordinator.dispatch.session import Session
from coordinator.match.rules import ModelFacts
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import connect
from coordinator.store.migrate import migrate
from shared.catalogue import library
from tests.bench.figure import Figure, percentile
from tests.bench.http import Line
from tests.swarm.http_hive import MODEL, PLACES, Served, entry, online, serving

WORKERS = 10_000
ROUNDS = 1_000
MS = 1_000.0
US = 1_000_000.0


async def measure(folder: Path) -> list[Figure]:
    """The list asked for one after the other over HTTP, and facts of workers that change in between."""
    postgres = EmbeddedPostgres(folder / "postgres")
    url = postgres.start()
    await migrate(url)
    engine = connect(url)
    try:
        async with serving(engine, folder) as served:
            sessions = _filled(served)
            listed, size = await _listed(served)
            changed = _changed(served, sessions)
    finally:
        await engine.dispose()
        postgres.stop()
    models = len(served.hive.catalogue)
    return [
        Figure(f"/v1/models with {WORKERS} workers and {models} models, p50", percentile(listed, 50), "ms", 2),
        Figure("  p99 of it", percentile(listed, 99), "ms"),
        Figure("  its size", size / 1000, "kB"),
        Figure("  a worker of them that changes, p50", percentile(changed, 50), "µs"),
    ]


def _filled(served: Served) -> list[Session]:
    """Workers in three cities, each with three of the models that can be fetched."""
    names = [MODEL, *library()]
    served.hive.catalogue |= {name: msgspec.structs.replace(entry(), id=name) for name in names}
    served.hive.vocabularies |= dict.fromkeys(names, served.hive.vocabularies[MODEL])
    sessions = []
    for number in range(WORKERS):
        session = online(list(PLACES)[number % len(PLACES)])
        having = {names[(number + k) % len(names)]: ModelFacts("0" * 64, 2048, loaded=k == 0) for k in range(3)}
        session.facts = msgspec.structs.replace(session.facts, pk=f"{number:064x}", models=having)
        served.hive.join(session)
        sessions.append(session)
    return sessions


async def _listed(served: Served) -> tuple[list[float], int]:
    line, took, size = await Line.open(served.base_url), [], 0
    headers = {"authorization": f"Bearer {served.api_key}"}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = await line.ask("GET", "/v1/models", headers)
        took.append((time.perf_counter() - began) * MS)
        size = len(answer.body)
        if answer.status != 200 or len(msgspec.json.decode(answer.body)["data"]) != len(served.hive.catalogue):
            raise RuntimeError(f"instead of every model: {answer.status}")
    line.close()
    return took, size


def _changed(served: Served, sessions: list[Session]) -> list[float]:
    took = []
    for session in sessions[:ROUNDS]:
        facts = msgspec.structs.replace(session.facts, slots=session.facts.slots + 1)
        began = time.perf_counter()
        served.hive.hub.changed(session, facts)
        took.append((time.perf_counter() - began) * US)
    return took
