"""`hive jobs why`: why a job waits, or what became of it."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.hive import Hive
from client.jobs.naming import named
from client.jobs.shown import short, status
from client.options import with_key
from client.printed import json_text, printable
from client.shapes.jobs import Explained, WhyJob


def why(url: str | None, job: str, *, as_json: bool) -> None:
    """Asks why, and prints it."""
    there = with_key(url)
    with Hive(there.url, there.key) as hive:
        found = hive.why(named(hive, job))
    if as_json:
        print(json_text(found))
    else:
        Console(highlight=False).print(told(found))


def told(found: WhyJob) -> RenderableType:
    """The sentence, what would help, and the facts behind both; of a parent, those of each child. Pure."""
    parts: list[RenderableType] = [*_one(found)]
    for child in found.children:
        parts += [Text(), *_one(child)]
    return Group(*parts)


def _one(job: Explained) -> Iterator[RenderableType]:
    yield Text.assemble((short(job.id), "bold"), " ", status(job.status), " ", printable(job.sentence))
    if job.would_help is not None:
        yield Text(printable(f"What would help: {job.would_help}"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(job):
        table.add_row(name, Text(printable(value)))
    yield table


def _facts(job: Explained) -> Iterator[tuple[str, str]]:
    yield "waited", f"{job.waited_ms / 1000:,.1f} s"
    if job.parked is not None:
        yield (
            "parked",
            f"{job.parked.under_way} of {job.parked.at_once} under way, {job.parked.ahead} of its key before it",
        )
    if job.ahead:
        yield "before it", f"{job.ahead:,} of its kind"
    if job.widening is not None:
        yield "searched", ", ".join(job.widening.cells)
        if job.widening.next is not None:
            yield "next", f"{job.widening.next.cell} at {job.widening.next.at}"
    if job.avoids:
        yield "avoids", f"{job.avoids} that lost or declined it"
    if job.counts is not None:
        yield "workers", ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in job.counts.items())
    for one in job.attempts:
        end = " ".join(part for part in (one.outcome, one.reason and f"({one.reason})") if part)
        yield f"attempt {one.attempt}", f"{one.assigned_at} {end or 'under way'}"
