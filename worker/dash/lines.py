"""A running worker in plain lines: one whenever its state is another."""

from collections.abc import Callable

from worker.report import Report


def sentence(report: Report) -> str:
    """What it does now, in a line."""
    if report.state == "online" and report.rest:
        return f"paused: {report.rest}"
    loading = [name for name in report.warm if name not in report.loaded]
    if report.state == "online" and loading:
        return f"online, loading {', '.join(loading)}"
    return report.state if report.rest is None else f"{report.state} (paused: {report.rest})"


def in_lines(say: Callable[[str], None]) -> Callable[[Report], None]:
    """What shows each report: it says a line if it is not the one before."""
    last = ""

    def show(report: Report) -> None:
        nonlocal last
        if (line := sentence(report)) != last:
            last = line
            say(line)

    return show
