"""`hive up`: a whole swarm on this machine, in the foreground."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from deploy.layout import Layout, Ready, default_cells
from deploy.swarm import Plan, Say, running
from shared.catalogue import catalogue
from shared.errors import RequestError
from shared.geo.cells import WORKER_RESOLUTION, InvalidCell, format_cell, parse_cell, resolution
from shared.home import hive_home
from shared.tiers import tier_name, tier_rank

up = typer.Typer(help="Start a whole swarm on this machine.", pretty_exceptions_enable=False)
DEFAULT_TIER: Final = "sovereign"


@up.command()
def start(
    port: Annotated[int, typer.Option(help="Port of the public API; 0 picks a free one.", min=0, max=65535)] = 8080,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept (default: HIVE_HOME/up).")] = None,
    coordinators: Annotated[int, typer.Option(help="How many coordinators share the work.", min=1, max=16)] = 1,
    workers: Annotated[int, typer.Option(help="How many worker processes.", min=0, max=64)] = 3,
    worker_cells: Annotated[str, typer.Option(help="Their H3 cells, by comma (default: Rome, Berlin, New York).")] = "",
    worker_tiers: Annotated[str, typer.Option(help="The tier each starts with, by comma.")] = "",
    worker_max_tps: Annotated[int, typer.Option(help="Cap on each worker's tokens/s; 0 for none.", min=0)] = 0,
    model: Annotated[str, typer.Option(help="The model that every worker serves.")] = "hive-nano",
    ready_file: Annotated[Path | None, typer.Option(help="Write addresses, keys and pids here when all is up.")] = None,
) -> None:
    """Start PostgreSQL, the local Stellar ledger, coordinators and workers; Ctrl-C stops all of it."""
    if model not in catalogue():
        raise RequestError(f"--model {model}: a local swarm serves what its catalogue has: {', '.join(catalogue())}.")
    plan = Plan(
        port=port,
        cells=_cells(worker_cells, workers),
        tiers=_tiers(worker_tiers, workers),
        model=model,
        max_tps=worker_max_tps,
        coordinators=coordinators,
    )
    asyncio.run(_up(Layout((data_dir or hive_home() / "up").absolute()), plan, ready_file))


async def _up(layout: Layout, plan: Plan, ready_file: Path | None) -> None:
    console = Console(highlight=False)
    cancel_on_signal()
    try:
        async with AsyncExitStack() as stack:
            with console.status("starting the swarm"):
                swarm = await stack.enter_async_context(running(layout, plan, _sayer(console), ready_file))
            _introduce(console, swarm.ready(), layout)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        console.print("stopped")


def cancel_on_signal() -> None:
    """The first SIGINT or SIGTERM cancels the calling task; later ones find it stopping already."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def _sayer(console: Console) -> Say:
    return lambda what, detail: console.print(f"[green]✓[/green] {what:<22} {escape(detail)}", soft_wrap=True)


def _introduce(console: Console, ready: Ready, layout: Layout) -> None:
    console.print(f"\nThe swarm is up. Status page: [bold]{ready.status_url}[/bold]")
    console.print(f"  export OPENAI_BASE_URL={ready.base_url}/v1 OPENAI_API_KEY={ready.api_key}", soft_wrap=True)
    console.print(f"  Addresses and keys: {escape(str(layout.ready))}", soft_wrap=True)
    console.print("  Ctrl-C stops it; the same data directory resumes.")


def _cells(text: str, count: int) -> list[str]:
    given = [part.strip() for part in text.split(",") if part.strip()]
    try:
        canonical = [format_cell(parse_cell(cell)) for cell in given]
    except InvalidCell as e:
        raise RequestError(f"--worker-cells: {e}") from e
    coarse = [cell for cell in canonical if resolution(parse_cell(cell)) < WORKER_RESOLUTION]
    if coarse:
        raise RequestError(
            f"--worker-cells: {coarse[0]} is too coarse; workers register at resolution {WORKER_RESOLUTION}."
        )
    if given and len(canonical) != count:
        raise RequestError(f"--worker-cells names {len(canonical)} cells for {count} workers; give one each.")
    return given or default_cells(count)


def _tiers(text: str, count: int) -> list[str]:
    given = [part.strip() for part in text.split(",") if part.strip()] or [DEFAULT_TIER] * count
    ranks = [tier_rank(name) for name in given]
    if None in ranks or len(ranks) != count:
        raise RequestError(
            f"--worker-tiers takes {count} of seedling, explorer, navigator, trailblazer, sovereign, by comma."
        )
    return [tier_name(rank) for rank in ranks if rank is not None]
