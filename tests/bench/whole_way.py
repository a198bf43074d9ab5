"""The whole way of a chat beside the LiteLLM proxy: `python -m tests.bench.whole_way`. Both are one process that 16 clients of
the same kind ask; what answers behind them is instant. Here a chat is also a durable job: inserted, held for, claimed, sent over
a socket, its receipt signed and checked, and settled in the ledger.

All of it shares this machine's cores: the table says how much processor time each process took for a chat.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from shared.processes import free_port
from tests.bench.figure import Figure, percentile, table
from tests.bench.ground import Ground, Helper, coordinator, cpu_seconds
from tests.bench.http import Line
from tests.bench.workers import SAYS

CLIENTS = 16
WORKERS = {"workers": 8, "slots": 4}
CHUNKS = 2
WARM_S = 2
FASTER, QUICKER = 4.0, 0.25
MS = 1e6
PROXY = "litellm[proxy]"
PROXY_HOME = Path(tempfile.gettempdir()) / f"hive-bench-litellm-{os.getuid()}"
PROXY_KEY = "sk-bench"
READY_S = 120.0
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "NO_DOCS": "True",
}
WAYS = {"in one piece": False, "streamed": True}

Busy = Callable[[], dict[str, float]]


class Side(msgspec.Struct, frozen=True):
    """Where clients ask, by which key, and what its processes have used (s)."""

    url: str
    key: str
    busy: Busy


class Asked(msgspec.Struct, frozen=True):
    """What came of one load: chats a second, how long each took (ms), and the processor time for one by process (ms)."""

    rate: float
    took: list[float]
    costs: dict[str, float]


async def measured(folder: Path, seconds: float, *, beside: bool) -> list[Figure]:
    """Both sides, one after the other."""
    ours = {}
    async with coordinator(folder) as ground:
        workers = await Helper.start("tests.bench.workers", {"url": ground.worker_url, **WORKERS})
        await workers.hear()
        side = Side(ground.base_url, ground.api_key, lambda: ground.cpu_seconds() | {"workers": workers.cpu_seconds()})
        for name, stream in WAYS.items():
            before = await _settled(ground)
            ours[name], asked = await _load(side, seconds, stream=stream)
            await _check(ground, before + asked)
        await workers.finish()
    theirs = {}
    if beside:
        async with proxy(folder) as side:
            theirs = {name: (await _load(side, seconds, stream=stream))[0] for name, stream in WAYS.items()}
    return [figure for name in WAYS for figure in _figures(name, ours[name], theirs.get(name))]


async def _load(side: Side, seconds: float, *, stream: bool) -> tuple[Asked, int]:
    """So long of 16 clients that ask as soon as they are answered; with how many chats that were in all."""
    warm = await _clients(side, WARM_S, stream=stream)
    before = side.busy()
    rows = await _clients(side, seconds, stream=stream)
    used = {name: 1000 * (spent - before[name]) / len(rows) for name, spent in side.busy().items()}
    window = (max(end for *_, end, _ in rows) - min(start for _, start, *_ in rows)) / 1e9
    return Asked(len(rows) / window, [(end - start) / MS for _, start, end, _ in rows], used), len(warm) + len(rows)


async def _clients(side: Side, seconds: float, *, stream: bool) -> list[tuple[str, int, int, int]]:
    told = {
        "url": side.url,
        "key": side.key,
        "mode": "closed",
        "clients": CLIENTS,
        "seconds": seconds,
        "stream": stream,
    }
    rows: list[tuple[str, int, int, int]] = await (await Helper.start("tests.bench.clients", told)).finish()
    if bad := [status for *_, status in rows if status != 200]:
        raise RuntimeError(f"{len(bad)} of {len(rows)} chats failed, the first with {bad[0]}")
    return rows


async def _settled(ground: Ground) -> int:
    return await ground.number(
        "SELECT count(*) FROM jobs_ended e JOIN journal j ON j.day = e.day AND j.ref = e.id AND j.kind = 'settle'"
        " JOIN receipts r ON r.day = e.day AND r.job_id = e.id WHERE e.state = 'completed'"
    )


async def _check(ground: Ground, expected: int) -> None:
    """Every chat that was answered is a job that was settled, with a receipt, and no stroop is lost."""
    if (settled := await _settled(ground)) != expected:
        raise RuntimeError(f"{expected} chats were answered and {settled} settled")
    if await ground.number("SELECT sum(a) FROM journal, unnest(amounts) a"):
        raise RuntimeError("the ledger does not sum to zero")


@contextlib.asynccontextmanager
async def proxy(folder: Path) -> AsyncIterator[Side]:
    """The LiteLLM proxy with one model, whose upstream is instant, and a key."""
    upstream = await Helper.start("tests.bench.instant", {"says": SAYS, "chunks": CHUNKS})
    behind, port = await upstream.hear(), free_port()
    params = {"model": "openai/hive-nano", "api_base": f"{behind}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "hive-nano", "litellm_params": params}],
        "general_settings": {"master_key": PROXY_KEY},
        "litellm_settings": {"telemetry": False},
    }
    config = folder / "litellm.yaml"
    config.write_bytes(msgspec.json.encode(settings))  # JSON is YAML
    program = str(PROXY_HOME / "bin" / "litellm")
    with (folder / "litellm.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port),
            env=os.environ | QUIET, cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        await _listening(url)
        yield Side(url, PROXY_KEY, lambda: {"proxy": cpu_seconds(process.pid), "upstream": upstream.cpu_seconds()})
    finally:
        process.kill()
        await process.wait()
        await upstream.finish()


async def _listening(url: str) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            with contextlib.suppress(OSError):
                line = await Line.open(url)
                answer = await line.ask("GET", "/health/liveliness", {})
                line.close()
                if answer.status == 200:
                    return
            await asyncio.sleep(0.2)


def make_proxy() -> None:
    """An environment with the proxy, outside the checkout, made once."""
    if not (PROXY_HOME / "ready").exists():
        venv.create(PROXY_HOME, with_pip=True, clear=True)
        subprocess.run([str(PROXY_HOME / "bin" / "python"), "-m", "pip", "install", "-q", PROXY], check=True)
        (PROXY_HOME / "ready").touch()


def _figures(name: str, ours: Asked, theirs: Asked | None) -> list[Figure]:
    """What was measured of chats answered this way, and as ratios."""
    figures = _of_one(f"{name}: Hive", ours)
    if theirs is None:
        return figures
    faster, quicker = ours.rate / theirs.rate, percentile(ours.took, 50) / percentile(theirs.took, 50)
    return [
        *figures,
        *_of_one(f"{name}: LiteLLM", theirs),
        Figure(f"{name}: chats/s over LiteLLM's", faster, "×", FASTER, floor=True),
        Figure(f"{name}: median over LiteLLM's", quicker, "×", QUICKER),
    ]


def _of_one(who: str, asked: Asked) -> list[Figure]:
    return [
        Figure(f"{who}, chats/s at {CLIENTS} clients", asked.rate, "1/s"),
        Figure(f"{who}, p50", percentile(asked.took, 50), "ms"),
        Figure(f"{who}, p99", percentile(asked.took, 99), "ms"),
        *(Figure(f"{who}, processor time of {what} for a chat", spent, "ms") for what, spent in asked.costs.items()),
    ]


def main() -> None:
    """Measure and print; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.whole_way", description="Measure the whole way of a chat, beside the LiteLLM proxy."
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each load lasts")
    parser.add_argument("--no-peer", action="store_true", help="leave the proxy out")
    chosen = parser.parse_args()
    if not chosen.no_peer:
        make_proxy()
    load = Figure("load of the machine before, in processes", os.getloadavg()[0], f"on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="hive-whole-way-") as folder:
        figures = [load, *asyncio.run(measured(Path(folder), chosen.seconds, beside=not chosen.no_peer))]
    print(table(figures))
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
