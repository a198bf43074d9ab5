"""The swarm as a terminal shows it. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.printed import amount, printable
from client.shapes.swarm import Model, SwarmStatus, Worker
from shared.words import counted

_LEDGERS: Final = {"none": "nothing is paid out", "local": "on a local ledger", "testnet": "on Stellar's testnet"}


def shown(url: str, status: SwarmStatus, models: Sequence[Model], workers: Sequence[Worker]) -> RenderableType:
    """Numbers, the models that are served, and workers by country."""
    served = [model for model in models if model.is_ready]
    parts: list[RenderableType] = [_numbers(url, status)]
    if served:
        parts += [Text(), _models(served)]
    if any(worker.online for worker in workers):
        parts += [Text(), _countries(workers)]
    return Group(*parts)


def _numbers(url: str, status: SwarmStatus) -> RenderableType:
    jobs = status.jobs
    unfinished = f"{jobs.get('pending', 0):,} waiting, {jobs.get('assigned', 0) + jobs.get('computing', 0):,} computing"
    ended = f"{jobs.get('completed', 0):,} completed, {jobs.get('failed', 0) + jobs.get('timed_out', 0):,} failed"
    rows = {
        "Hive": url,
        "workers": f"{status.active_nodes:,} online of {status.registered_nodes:,}, {status.computing_nodes:,} computing",
        "where": f"{counted(status.active_h3_cells, 'cell')}",
        "power": f"{status.total_tflops:g} TFLOPS, {status.avg_ram_gb:g} GiB of memory on average",
        "jobs": f"{unfinished}; {ended}, {jobs.get('cancelled', 0):,} cancelled",
        "tokens": f"{status.tokens_per_second:g} a second now; {status.tokens_in:,} read, {status.tokens_out:,} made",
        "paid": f"{amount(status.total_tokens_distributed)}, {_LEDGERS.get(status.ledger, 'on Stellar')}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    for name, value in rows.items():
        table.add_row(name, Text(printable(value)))
    return table


def _models(models: Sequence[Model]) -> RenderableType:
    table = _table("model", "state", "workers", "context", "countries", right=("workers", "context"))
    for model in models:
        state = Text("loaded", "green") if model.loaded else Text("on disk", "yellow")
        where = " ".join(place.country_code for place in model.datacenters)
        name = Text(printable(model.id), overflow="fold")
        table.add_row(name, state, f"{model.workers_online:,}", f"{model.context_length:,}", printable(where))
    return table


def _countries(workers: Sequence[Worker]) -> RenderableType:
    """By the countries of a worker's cell; one on a border stands by itself, for it is in all of them."""
    by_country: dict[str, list[Worker]] = defaultdict(list)
    for worker in workers:
        if worker.online:
            by_country["/".join(worker.countries) or "at sea"].append(worker)
    table = _table("country", "workers", "slots", "busy", "tiers", right=("workers", "slots", "busy"))
    for country, there in sorted(by_country.items(), key=lambda one: (-len(one[1]), one[0])):
        slots, busy = sum(worker.slots for worker in there), sum(worker.running for worker in there)
        tiers = " ".join(sorted({worker.tier for worker in there}))
        table.add_row(Text(printable(country)), f"{len(there):,}", f"{slots:,}", f"{busy:,}", printable(tiers))
    return table


def _table(*names: str, right: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in right else "left")
    return table
