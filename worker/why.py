"""Why no job comes, in plain sentences, what matters most first: this machine's view, then the coordinator's."""

from collections.abc import Iterator

from worker.report import Report, is_ready
from worker.told import LastHour, Why

MINUTE_MS = 60_000


def causes(report: Report | None, why: Why | None, problem: str | None, *, takes_jobs: bool, now: int) -> list[str]:
    """`report` is of a worker that runs, else None; `why` is the coordinator's answer, or `problem` says why there is
    none; `takes_jobs` is the owner's setting; `now` in ms since 1970 UTC."""
    found = list(_here(report, takes_jobs=takes_jobs))
    if problem is not None:
        found.append(f"The coordinator cannot be asked: {problem}.")
    elif why is not None:
        found += _there(why, now, stopped=bool(found))
    return found


def _here(report: Report | None, *, takes_jobs: bool) -> Iterator[str]:
    """What keeps work away on this machine."""
    if report is None:
        yield "The worker is not running; `hive worker join` starts it, and `hive worker install-service` for good."
        return
    if report.state == "draining":
        yield "The worker is about to stop, so it takes nothing new."
    elif report.session is None:
        yield f"The worker is not connected to {report.coordinator}; `hive worker doctor` looks for the reason."
    if not takes_jobs:
        yield "The worker was told to take no jobs (jobs = false, or --no-jobs)."
    if report.rest:
        yield f"The worker rests: {report.rest}."
    if not report.loaded:
        yield f"No model is there yet ({', '.join(report.models)}), and jobs for others come first to who has them."
    elif not is_ready(report) and report.session is not None:
        missing = ", ".join(name for name in report.models if name not in report.loaded)
        yield f"Not in memory yet: {missing}."
    if report.free == 0 and report.slots:
        yield f"All {report.slots} slots are busy, so this worker has all the work that it can take."


def _there(why: Why, now: int, *, stopped: bool) -> Iterator[str]:
    """What the coordinator sees; `stopped` if this machine itself keeps work away."""
    if not why.registered:
        yield "The coordinator has not seen this worker for a day; it hears of it when the worker joins."
    elif not why.online and not stopped:
        yield "The coordinator does not have this worker on the line; wait a moment, or see `hive worker doctor`."
    if why.waiting.jobs == 0:
        yield "No job waits at the coordinator now: what comes is taken at once, or little is asked."
    elif why.could_take:
        yield f"{why.could_take} of {_jobs(why.waiting.jobs)} that wait could come here{_when(why, stopped=stopped)}."
    else:
        yield f"Of {_jobs(why.waiting.jobs)} that wait, this worker may take none."
    for rule in sorted(why.reasons, key=lambda rule: -rule.count):
        yield f"{_jobs(rule.count)}: {rule.sentence}"
    if why.last_hour is not None:
        yield from _lately(why.last_hour, now)
    if why.last_job_at is None:
        yield "This worker has had no job lately."
    else:
        yield f"Its last job was {_ago(now - why.last_job_at)} ago."


def _lately(hour: LastHour, now: int) -> Iterator[str]:
    """What a rule kept away that somebody else got, or nobody: one that lifts it has that of an hour like the last."""
    since = _ago(ago) if (ago := now - hour.since) >= 2 * MINUTE_MS else "minute"
    for kept in sorted(hour.skipped, key=lambda kept: -(kept.jobs + kept.refused)):
        refused = f", {kept.refused} of them refused for want of a worker" if kept.refused else ""
        yield f"Skipped for {_jobs(kept.jobs + kept.refused)} of the last {since}{refused}: {kept.sentence}"


def _when(why: Why, *, stopped: bool) -> str:
    if stopped:
        return " once this is put right"
    return ": one should come within a moment" if why.free_slots else " when a slot is free"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _ago(ms: int) -> str:
    minutes = max(0, ms) // MINUTE_MS
    if minutes < 120:
        return "less than a minute" if minutes < 1 else f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"
