"""Why a job waits, and what would change that, in words and by what is searched now."""

from collections.abc import Sequence
from typing import Final

import msgspec

from coordinator.match.needs import Need, task_of
from coordinator.match.rules import widened
from coordinator.store.rows import Kind, KindSpec
from coordinator.submit.placement import in_words
from shared.protocol.messages import Task

_DOES: Final[dict[Task, str]] = {"generate": "", "embed": " that embeds", "rank": " that ranks documents"}


class Step(msgspec.Struct, frozen=True):
    """An area that the search for a named cell takes in, so many ms after it began."""

    cell: int
    after_ms: int


class Search(msgspec.Struct, frozen=True):
    """The areas that are searched by now, the named cell first, and the one that comes next, None if none does."""

    now: list[Step]
    next: Step | None


class Facts(msgspec.Struct, frozen=True):
    """What a pending job's waiting comes from: of its key `under_way` jobs and `at_once` as its cap if it is `parked`; of the
    workers online how many are `eligible`, how many of those are `here`, and how many of these have a slot `free` for it; in how
    many ms it may be offered at all (`rests_ms`) and the search has reached one of them (`reach_ms`), 0 where that is now; how
    many workers it `avoids`, and how many jobs are `ahead` of it."""

    parked: bool
    under_way: int
    at_once: int | None
    eligible: int
    here: int
    free: int
    rests_ms: int
    reach_ms: int
    avoids: int
    ahead: int


def search(kind: Kind | KindSpec, waited_ms: int) -> Search | None:
    """How far the search for the cell of such a job has widened after so many ms; None where no cell was named."""
    if kind.cell is None:
        return None
    steps = [Step(kind.cell, 0)] if kind.strict else [Step(kind.cell, 0), *_steps(kind.cell)]
    by_now = [step for step in steps if step.after_ms <= waited_ms]
    return Search(by_now, steps[len(by_now)] if len(by_now) < len(steps) else None)


def reason(facts: Facts, nobody: str) -> str:
    """Why a job waits, in one sentence; `nobody` is the one for a job that no worker online may take."""
    if facts.parked:
        return f"Its key has {_count(facts.under_way, 'job')} of at most {facts.at_once} under way: it waits for one to end."
    if not facts.eligible:
        return nobody
    if facts.rests_ms:
        return f"A worker declined it a moment ago; it is offered again in {facts.rests_ms} ms."
    if facts.reach_ms:
        return f"The nearest worker that may take it is outside the cells searched now; they reach it in {facts.reach_ms} ms."
    if not facts.here:
        return f"{_all(facts.eligible)} that may take it is at another coordinator, which gives it away as soon as one is free."
    if not facts.free:
        lost = ", but for those that had it and lost or declined it," if facts.avoids else ""
        return f"{_all(facts.eligible)} that may take it{lost} is busy; {_turn(facts.ahead)}."
    return f"A slot is free: {_turn(facts.ahead)}."


def would_help(kind: Kind | KindSpec, facts: Facts) -> str | None:
    """What would let such a job begin, in a few words; None where it is a moment alone."""
    if facts.parked:
        return "An end of one of the key's jobs, or a key that may have more at once."
    who = f"worker{in_words(kind)}{_DOES[task_of(kind.needs)]}{_needs(kind)}"
    if not facts.eligible or facts.reach_ms:
        return f"A {who}."
    return None if facts.free or facts.rests_ms else f"A free slot at a {who}."


def _needs(kind: Kind | KindSpec) -> str:
    """What a worker must have and be beyond its place and rank, as clauses."""
    parts = [
        f"with the model {kind.model} loaded and a context of {kind.context} tokens",
        "that sees images" if kind.needs & Need.VISION else "",
        "that runs Hive's own engine" if kind.needs & Need.SEEDED else "",
        "that is linked to the job's account" if kind.needs & Need.OWN else "",
        "that works for this price" if kind.price else "",
    ]
    return " " + ", ".join(part for part in parts if part)


def _steps(cell: int) -> Sequence[Step]:
    return [Step(area, ms) for ms, area in widened(cell)]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _all(eligible: int) -> str:
    return "The only worker" if eligible == 1 else f"Each of the {eligible} workers"


def _turn(ahead: int) -> str:
    if not ahead:
        return "it is the next of its kind"
    return f"{_count(ahead, 'job')} of its kind {'goes' if ahead == 1 else 'go'} before it"
