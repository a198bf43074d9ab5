"""`hive worker earnings`: per day, per model, and what was paid with which transaction."""

import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.home import hive_home
from worker.commands.shown import Json
from worker.identity import existing_identity

if TYPE_CHECKING:
    from worker.told import Day, Earned, LostShare, OfModel, Payment

MOST_DAYS = 30
Days = Annotated[int, typer.Option(help="How many days back.", min=1, max=MOST_DAYS)]
Coordinator = Annotated[str | None, typer.Option(help="The coordinator's address; by default this worker's.")]


def earnings(days: Days = MOST_DAYS, coordinator: Coordinator = None, as_json: Json = False) -> None:
    """What this worker has earned: today, held, pending and paid, per day and per model."""
    from worker.asking import ask, coordinator_of  # noqa: PLC0415 - the daemon loads this file, and does without httpx
    from worker.told import Earned, read  # noqa: PLC0415 - the same

    home = hive_home()
    who = existing_identity(home)
    with Console(stderr=True).status("asking the coordinator"):
        answer = ask(coordinator or coordinator_of(home, os.environ), who, "earnings", _clock)
    told = read(answer, Earned)
    since = (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat()
    if as_json:
        typer.echo(json.dumps({**answer, "days": [day for day in answer["days"] if day["day"] >= since]}))
        return
    console = Console(highlight=False)
    for table in tables(told, since):
        console.print(table)


def tables(told: "Earned", since: str) -> list[Table | Text]:
    """The answer for people, the days from `since` (ISO 8601) on; empty tables are left out."""
    from worker.told import stroops  # noqa: PLC0415 - as above

    sums = {
        "today": told.today,
        "held": told.held,
        "pending": told.pending,
        "paid": told.paid,
        "credited": told.credited,
        **{
            name: value
            for name, value in (("unsigned", told.unsigned), ("forfeited", told.forfeited))
            if stroops(value)
        },
    }
    summary = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in sums.items():
        summary.add_row(name, Text(f"{value} GNS", justify="right"))
    if told.owner:
        summary.add_row("owner", Text(told.owner, justify="right"))
    days = [day for day in told.days if day.day >= since]
    shown: list[Table | Text] = [summary]
    if days:
        shown.append(_by_day(days))
    if told.models:
        shown.append(_counted(f"model, {MOST_DAYS} days", ((one.model, one) for one in told.models)))
    if told.payments:
        shown.append(_payments(told.payments))
    if lost := [share for share in told.shares if share.state != "signed"]:
        shown.append(_lost(lost))
    return shown if len(shown) > 1 else [*shown, Text("No job yet; `hive worker why` tells why.")]


def _by_day(days: "list[Day]") -> Table:
    from worker.told import amount, stroops  # noqa: PLC0415 - as above

    table = _counted("day (UTC)", ((day.day, day) for day in days))
    table.columns[0].footer = "total"
    for column, total in enumerate(
        (sum(d.jobs for d in days), sum(d.tokens_in for d in days), sum(d.tokens_out for d in days))
    ):
        table.columns[column + 1].footer = f"{total:,}"
    table.columns[4].footer = amount(sum(stroops(day.earned) for day in days))
    table.show_footer = True
    return table


def _counted(first: str, lines: "Iterable[tuple[str, Day | OfModel]]") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title=" ")
    table.add_column(first)
    for name in ("jobs", "tokens read", "tokens made", "GNS"):
        table.add_column(name, justify="right")
    for name, line in lines:
        table.add_row(Text(name), f"{line.jobs:,}", f"{line.tokens_in:,}", f"{line.tokens_out:,}", line.earned)
    return table


def _payments(payments: "list[Payment]") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title=" ")
    for name in ("paid at (UTC)", "GNS", "state", "transaction"):
        table.add_column(name, justify="right" if name == "GNS" else "left", overflow="fold")
    for payment in payments:
        table.add_row(_when(payment.at), payment.amount, Text(payment.state), Text(payment.hash or "-"))
    return table


def _lost(shares: "list[LostShare]") -> Table:
    """What of jobs that others finished is not this worker's yet, or no more, and why."""
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title=" ")
    for name in ("job another finished", "attempt", "GNS", "your part of it"):
        table.add_column(name, justify="right" if name in ("attempt", "GNS") else "left", overflow="fold")
    for share in shares:
        why = "went to the resilience fund: it was not signed for within 24 h"
        if share.state == "unsigned":
            why = (
                f"waits for this worker's signature until {_when(share.until)} (UTC); a running worker signs by itself"
            )
        table.add_row(Text(share.job_id), str(share.attempt), share.amount, Text(why))
    return table


def _when(ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "-"


def _clock() -> int:
    return time.time_ns() // 1_000_000
