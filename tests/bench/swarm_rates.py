"""What a coordinator takes and how fast it is, with scripted workers, PostgreSQL and clients on the same machine."""

import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.clients import MAX_TOKENS, QUESTION
from tests.bench.figure import Figure, percentile
from tests.bench.ground import Ground, Helper, coordinator
from tests.bench.http import Line

WORKERS = {"workers": 8, "slots": 4}
CLIENTS = 24
RATE = 50
PACED_S = 20
WARM_S = 3
CLOSED_S = 15
REFUSALS = 200
MS = 1e6


async def measure(folder: Path) -> list[Figure]:
    """Refusals, dispatch, throughput and memory, on one coordinator in this order."""
    async with coordinator(folder) as ground:
        started = ground.megabytes()
        refused = await refusals(ground)
        workers = await Helper.start("tests.bench.workers", {"url": ground.worker_url, **WORKERS})
        await workers.hear()
        await _clients(ground, mode="paced", clients=32, rate=RATE, seconds=WARM_S)
        paced = await _clients(ground, mode="paced", clients=64, rate=RATE, seconds=PACED_S)
        after = ground.megabytes()
        await _clients(ground, mode="closed", clients=CLIENTS, seconds=WARM_S)
        rate, shares = await throughput(ground, workers)
        offers: dict[str, int] = await workers.finish()
    found = [(offers[id_] - began) / MS for id_, began, _, status in paced if status == 201 and id_ in offers]
    if len(found) != len(paced):
        raise RuntimeError(f"only {len(found)} of {len(paced)} paced jobs were accepted and offered")
    return [
        Figure("submit → worker has it, p50", percentile(found, 50), "ms", 5),
        Figure("submit → worker has it, p99", percentile(found, 99), "ms", 25),
        Figure("complete jobs/s through HTTP", rate, "/s", 300, floor=True),
        *shares,
        Figure(f"no_workers answered, p99 of {REFUSALS}", percentile(refused, 99), "ms", 100),
        Figure("memory of an idle coordinator, after start", started, "MB", 150),
        Figure(f"memory of an idle coordinator, after {RATE * (PACED_S + WARM_S)} jobs", after, "MB", 150),
    ]


async def refusals(ground: Ground) -> list[float]:
    """How long (ms) it takes to be told that nobody can take a job, one after the other."""
    line = await Line.open(ground.base_url)
    headers = {"authorization": f"Bearer {ground.api_key}", "content-type": "application/json"}
    messages = [{"role": "user", "content": QUESTION}]
    body = msgspec.json.encode({"model": "hive-nano", "messages": messages, "max_tokens": MAX_TOKENS})
    found = []
    for _ in range(REFUSALS):
        began = time.perf_counter()
        answer = await line.ask("POST", "/v1/chat/completions", headers | {"x-hive-jurisdiction": "NZ"}, body)
        found.append((time.perf_counter() - began) * 1000)
        code = msgspec.json.decode(answer.body)["error"]["code"]
        if (answer.status, code) != (503, "no_workers"):
            raise RuntimeError(f"instead of no_workers: {answer.status} {code}")
    line.close()
    return found


async def throughput(ground: Ground, workers: Helper) -> tuple[float, list[Figure]]:
    """Jobs that were answered, completed and settled in a second, and where the machine's time went."""
    before, busy = await _settled(ground), _busy(ground, workers)
    rows = await _clients(ground, mode="closed", clients=CLIENTS, seconds=CLOSED_S)
    used = {name: seconds - busy[name] for name, seconds in _busy(ground, workers).items()}
    settled = await _settled(ground) - before
    good = [(end - start) / MS for _, start, end, status in rows if status == 200]
    if len(good) != len(rows) or settled != len(rows):
        raise RuntimeError(f"{len(rows)} chats, {len(good)} answered, {settled} settled")
    if await ground.number("SELECT sum(a) FROM journal, unnest(amounts) a"):
        raise RuntimeError("the ledger does not sum to zero")
    window = (max(end for _, _, end, _ in rows) - min(start for _, start, _, _ in rows)) / 1e9
    return settled / window, [
        Figure("  a chat then, p50", percentile(good, 50), "ms"),
        Figure("  a chat then, p99", percentile(good, 99), "ms"),
        *(Figure(f"  processor time for a job, {name}", 1000 * used[name] / settled, "ms") for name in used),
    ]


async def _settled(ground: Ground) -> int:
    return await ground.number(
        "SELECT count(*) FROM jobs_ended e JOIN journal j ON j.day = e.day AND j.ref = e.id AND j.kind = 'settle'"
        " WHERE e.state = 'completed'"
    )


def _busy(ground: Ground, workers: Helper) -> dict[str, float]:
    return ground.cpu_seconds() | {"scripted workers": workers.cpu_seconds()}


async def _clients(ground: Ground, **how: Any) -> list[tuple[str, int, int, int]]:
    helper = await Helper.start("tests.bench.clients", {"url": ground.base_url, "key": ground.api_key, **how})
    rows: list[tuple[str, int, int, int]] = await helper.finish()
    return rows
