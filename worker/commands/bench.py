"""`hive worker bench`: how fast this machine is, per model, remembered so that jobs find it."""

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.home import hive_home
from worker.anywhere import settings_anywhere
from worker.commands.shown import Json
from worker.report import lives, read_report

if TYPE_CHECKING:
    from worker.bench import Speeds
    from worker.models import LocalModel
    from worker.settings import Settings


def bench(
    model: Annotated[list[str] | None, typer.Argument(help="The models; by default those that are served.")] = None,
    as_json: Json = False,
) -> None:
    """Measure tokens per second of reading and of making, for one stream and for all slots, and remember them."""
    from worker.measured import measured_of, remember  # noqa: PLC0415 - the daemon loads this file, and measures nothing
    from worker.models import verified  # noqa: PLC0415 - the same

    home = hive_home()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chosen = settings_anywhere(home, os.environ)
    report = read_report(home)
    if report is not None and lives(report):
        typer.echo("The worker is running, so these figures are lower than they could be.", err=True)
    found: list[tuple[str, Speeds]] = []
    for one in verified(home, tuple(model) if model else chosen.models):
        speeds = _measure(one, chosen)
        remember(home, measured_of(
            one.digest, speeds.loaded, prompt_tps=speeds.prompt_tps, tps=speeds.tps, slots=speeds.slots,
            total_tps=speeds.total_tps, now=time.time_ns() // 1_000_000,
        ))  # fmt: skip
        found.append((one.id, speeds))
    if as_json:
        typer.echo(json.dumps([_plain(name, speeds) for name, speeds in found]))
        return
    Console(highlight=False).print(table(found))


def table(found: "list[tuple[str, Speeds]]") -> Table:
    """The figures for people, in tokens per second."""
    shown = Table(box=None, padding=(0, 2, 0, 0))
    shown.add_column("model")
    for name in ("reading", "1 stream", "all slots", "slots", "threads"):
        shown.add_column(name, justify="right")
    shown.add_column("where")
    for model, speeds in found:
        shown.add_row(
            Text(model), _speed(speeds.prompt_tps), _speed(speeds.tps), _speed(speeds.total_tps), str(speeds.slots),
            str(speeds.loaded.threads), Text(", ".join(gpu.name for gpu in speeds.loaded.gpus) or "processor"),
        )  # fmt: skip
    shown.caption = "tokens per second"
    return shown


def _measure(model: "LocalModel", chosen: "Settings") -> "Speeds":
    from worker.bench import measured  # noqa: PLC0415 - as above
    from worker.engine.process import Engine  # noqa: PLC0415 - as above

    engine = Engine(
        Path(model.path),
        slots=chosen.slots,
        context=chosen.context,
        threads=chosen.threads,
        gpu_bytes=chosen.limits.vram,
    )
    with Console(stderr=True).status(model.id) as line:
        quiet = not sys.stderr.isatty()
        return asyncio.run(measured(engine, lambda said: None if quiet else line.update(f"{model.id}: {said}")))


def _speed(tps: float) -> str:
    return f"{tps:,.1f}" if tps < 100 else f"{tps:,.0f}"


def _plain(model: str, speeds: "Speeds") -> dict[str, object]:
    return {
        "model": model, "prompt_tokens": speeds.prompt_tokens, "prompt_tps": round(speeds.prompt_tps, 3),
        "tps": round(speeds.tps, 3), "slots": speeds.slots, "total_tps": round(speeds.total_tps, 3),
        "threads": speeds.loaded.threads, "engine_build": speeds.loaded.engine_build,
        "gpus": [gpu.name for gpu in speeds.loaded.gpus],
    }  # fmt: skip
