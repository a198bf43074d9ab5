"""Jobs as a terminal shows them. Pure: the time comes in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from client.printed import amount, place, printable
from client.shapes.jobs import Job

COLOURS: Final = {
    "pending": "yellow",
    "assigned": "yellow",
    "computing": "cyan",
    "completed": "green",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "bright_black",
}
_SHORT: Final = 8


def status(of: str) -> Text:
    """A status in its colour."""
    return Text(of.replace("_", " "), COLOURS.get(of, "none"))


def short(job_id: object) -> str:
    """The first digits of an id, enough to name a recent job."""
    return str(job_id)[:_SHORT]


def age(since: str | None, now: datetime) -> str:
    """How long ago a time in ISO 8601 was, in its largest unit: "3 s", "5 min"."""
    try:
        seconds = int((now - datetime.fromisoformat(since or "")).total_seconds())
    except (ValueError, TypeError):
        return ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def listed(jobs: Sequence[Job], now: datetime) -> RenderableType:
    """A table of jobs."""
    if not jobs:
        return Text("No job yet; 'hive jobs submit' makes one.", "dim")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("job", "status", "model", "in", "out", "tokens/s", "GNS", "age"):
        table.add_column(
            name, justify="right" if name in ("in", "out", "tokens/s", "GNS", "age") else "left", no_wrap=True
        )
    for job in jobs:
        table.add_row(
            short(job.id),
            status(job.status),
            Text(printable(job.model_id)),
            f"{job.tokens_in:,}",
            f"{job.tokens_generated:,}",
            f"{job.tokens_per_second:.0f}" if job.tokens_per_second else "–",
            amount(job.gns_cost).removesuffix(" GNS"),
            age(job.created_at, now),
        )
    return table


def detailed(job: Job) -> RenderableType:
    """All that matters of a job but its result."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(job):
        table.add_row(name, value)
    return table


def _facts(job: Job) -> list[tuple[str, Text]]:
    worker = " ".join(part for part in (job.worker_handle, job.worker_pk and job.worker_pk[:16]) if part)
    wanted = ", ".join(part for part in (job.jurisdiction, job.h3_cell and f"cell {job.h3_cell}") if part)
    speed = f" at {job.tokens_per_second:.0f} tokens/s" if job.tokens_per_second else ""
    paid = f"paid to the worker: {job.stellar_tx_hash}" if job.settled and job.stellar_tx_hash else ""
    texts = {
        "model": job.model_id,
        "waits": "until another job of its key ends" if job.parked else "",
        "wanted in": wanted,
        "worker": worker,
        "computed in": place((), job.worker_cell),
        "attempts": str(job.attempts) if job.attempts > 1 else "",
        "created": job.created_at or "",
        "waited": f"{job.queue_ms:,} ms" if job.queue_ms is not None else "",
        "took": f"{job.run_ms:,} ms" if job.run_ms is not None else "",
        "tokens": f"{job.tokens_in:,} in, {job.tokens_generated:,} of {job.max_tokens:,} out{speed}",
        "ended by": job.finish_reason or "",
        "answers": ", ".join(short(child) for child in job.children),
        "cost": amount(job.gns_cost),
        "settled": paid,
        "error": str((job.error or {}).get("message", "")),
    }
    facts = [(name, Text(printable(text))) for name, text in texts.items() if text]
    return [("job", Text(str(job.id), "bold")), ("status", status(job.status)), *facts]


def utc_now() -> datetime:
    """Now, for `age`."""
    return datetime.now(UTC)
