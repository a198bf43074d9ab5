"""The picture of a running worker: what a report says, laid out for a terminal of this size."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shared.tiers import tier_name
from shared.words import counted, gns, size
from worker.dash.rates import Rates, chart
from worker.report import Report

UNASKED: Final = ("when.on_battery", "when.metered")
"""Rules that hold unless an owner says otherwise; that they cannot be checked is for `status`, not for every picture."""
SMALL: Final = (60, 21)
_COLOURS: Final = {"online": "green", "connecting": "yellow", "draining": "yellow", "stopping": "red"}
_STATES: Final = {
    "online": "online",
    "connecting": "looking for the coordinator",
    "draining": "draining: no new jobs, it ends when the running ones have ended",
    "stopping": "ending within 10 s; Ctrl-C again ends at once",
}


class View(NamedTuple):
    """What else the picture depends on: the terminal's size in characters, the wall's time, whether help is shown, the
    words for each key, and a sentence about the last key."""

    width: int
    height: int
    now: datetime
    keys: Sequence[tuple[str, str]]
    helping: bool = False
    note: str = ""


def picture(report: Report, rates: Rates, view: View) -> RenderableType:
    """The whole screen."""
    if view.width < SMALL[0] or view.height < SMALL[1]:
        return Group(*_compact(report, rates, view)[: view.height])
    tall = max(3, min(8, (view.height - 20) // 2 + 2))
    whole = Layout()
    whole.split_column(
        Layout(_head(report), size=4),
        Layout(name="middle", size=7),
        Layout(_speed(rates, view.width - 4, tall), size=tall + 2),
        Layout(_help(view) if view.helping else _trouble(report), minimum_size=4),
        Layout(_footer(view), size=1),
    )
    whole["middle"].split_row(Layout(_work(report)), Layout(_books(report)))
    return whole


def headline(report: Report) -> Text:
    """The state in a line: a dot, what it does, and why it rests."""
    colour = "yellow" if report.rest and report.state == "online" else _COLOURS.get(report.state, "white")
    words = _STATES.get(report.state, report.state)
    if report.state == "online":
        words = f"paused: {report.rest}" if report.rest else _doing(report)
    elif report.rest:
        words = f"{words} (paused: {report.rest})"
    return Text.assemble(("● ", colour), (words, f"bold {colour}"))


def ago(ms: int) -> str:
    """A length of time for people, in its two largest units."""
    minutes, hours, days = ms // 60_000, ms // 3_600_000, ms // 86_400_000
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _doing(report: Report) -> str:
    busy = report.slots - report.free
    loading = [name for name in report.warm if name not in report.loaded]
    if loading and not busy:
        return f"loading {', '.join(loading)}"
    return f"working on {busy} {'answer' if busy == 1 else 'answers'}" if busy else "ready, waiting for jobs"


def _head(report: Report) -> Panel:
    line = Table.grid(expand=True)
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    tier = tier_name(report.tier) if report.tier is not None else ""
    count = report.standing.workers_online if report.standing else 0
    swarm = f"{count} {'worker' if count == 1 else 'workers'} online" if count else ""
    line.add_row(headline(report), Text(swarm, "cyan"))
    host = urlsplit(report.coordinator if "//" in report.coordinator else f"//{report.coordinator}").netloc
    about = " · ".join(filter(None, (host, report.handle or report.pk[:12], tier)))
    up = f"up {ago(report.updated_at - report.started_at)}"
    line.add_row(Text(about, "dim"), Text(up, "dim"))
    return _panel(line, "Hive worker")


def _work(report: Report) -> Panel:
    busy = report.slots - report.free
    shown = min(report.slots, 16)
    full = round(busy * shown / report.slots)
    rows = _rows()
    for name in report.models[:2]:
        note = ("loading …", "yellow") if name in report.warm else ("on disk", "dim")
        note = ("ready", "green") if name in report.loaded else note
        rows.add_row("model", Text.assemble(name, "  ", note))
    if len(report.models) > 2:
        rows.add_row("", Text(f"and {len(report.models) - 2} more", "dim"))
    rows.add_row(
        "slots", Text.assemble(("■" * full, "green"), ("□" * (shown - full), "dim"), f"  {busy} of {report.slots}")
    )
    rows.add_row("done", f"{counted(report.jobs_done, 'job')}, {counted(report.tokens_made, 'token')}")
    if report.waiting_results or len(report.models) < 2:
        rows.add_row("to send", counted(report.waiting_results, "result"))
    if len(report.models) < 2:
        rows.add_row("network", f"{size(report.sent_today)} up, {size(report.received_today)} down")
    return _panel(rows, "Work")


def _books(report: Report) -> Panel:
    if report.standing is None:
        return _panel(Text("The coordinator has not said yet.", "dim"), "Earnings")
    rows = _rows()
    rows.add_row("today", Text(f"{gns(report.standing.earned_today)} GNS", "bold green"))
    rows.add_row("held", f"{gns(report.standing.held)} GNS")
    rows.add_row("pending", f"{gns(report.standing.pending)} GNS")
    rows.add_row("paid", f"{gns(report.standing.paid)} GNS")
    return _panel(rows, "Earnings")


def _speed(rates: Rates, width: int, height: int) -> Panel:
    values = rates.last(width)
    lines = chart(values, width, height)
    title = f"Tokens a second: {rates.now:.1f} (most {max(values, default=0.0):.1f})"
    return _panel(Text("\n".join(lines), "cyan", no_wrap=True), title)


def _trouble(report: Report) -> Panel:
    lines = [
        Text.assemble((f"{datetime.fromtimestamp(one.at / 1000).astimezone():%H:%M} ", "dim"), one.what)
        for one in reversed(report.trouble)
    ]
    lines += [
        Text(f"cannot be checked here: {rule}", "dim") for rule in report.unchecked if not rule.startswith(UNASKED)
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return _panel(Group(*(lines or [Text("Nothing went wrong.", "dim")])), "Trouble")


def _help(view: View) -> Panel:
    text = "No new jobs are taken while it is paused or draining; running answers are finished, for other people read them."
    return _panel(Group(Text(text), *(Text.assemble((f" {key} ", "bold"), words) for key, words in view.keys)), "Help")


def _footer(view: View) -> RenderableType:
    keys = Text("  ").join(Text.assemble((key, "bold cyan"), " ", words.partition(":")[0]) for key, words in view.keys)
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_row(keys, Text(view.note, "yellow"))
    return Padding(line, (0, 2))


def _compact(report: Report, rates: Rates, view: View) -> list[Text]:
    """What fits into a very small terminal, the most important first."""
    standing = report.standing
    lines = [
        headline(report),
        Text(f"{report.slots - report.free} of {report.slots} slots busy, {rates.now:.1f} tokens a second"),
        Text(f"{counted(report.jobs_done, 'job')}, {counted(report.tokens_made, 'token')}"),
        Text(f"today {gns(standing.earned_today)} GNS, pending {gns(standing.pending)}" if standing else ""),
        *(Text(one.what, "dim") for one in reversed(report.trouble[-2:])),
        Text("  ".join(f"{key} {words.partition(':')[0]}" for key, words in view.keys), "cyan"),
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _rows() -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True, min_width=7)
    rows.add_column(no_wrap=True, overflow="ellipsis")
    return rows


def _panel(inside: RenderableType, title: str) -> Panel:
    return Panel(
        inside, title=f"[bold]{title}[/bold]", title_align="left", box=box.ROUNDED, border_style="bright_black"
    )
