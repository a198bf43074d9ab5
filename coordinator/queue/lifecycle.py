"""The job's lifecycle as one table: (state, event) -> rule. Guards, SQL and diagram are made from it."""

from enum import StrEnum
from typing import Final

import msgspec


class State(StrEnum):
    """The public names of a job's states."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    COMPUTING = "computing"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What can happen to a job."""

    SUBMIT = "submit"
    ASSIGN = "assign"
    START = "start"
    COMPLETE = "complete"
    LOSE = "lose"
    DECLINE = "decline"
    FAIL = "fail"
    EXPIRE = "expire"
    CANCEL = "cancel"


class Rule(msgspec.Struct, frozen=True):
    """Where an event leads; `exhausted` is where it leads once the job has lost its last worker."""

    to: State
    exhausted: State | None = None


MAX_LOST: Final = 3
INITIAL: Final = State.PENDING
_RUNNING: Final = (State.ASSIGNED, State.COMPUTING)
_LIVE: Final = (State.PENDING, *_RUNNING)

TABLE: Final[dict[tuple[State | None, Event], Rule]] = {
    (None, Event.SUBMIT): Rule(INITIAL),
    (State.PENDING, Event.ASSIGN): Rule(State.ASSIGNED),
    (State.ASSIGNED, Event.START): Rule(State.COMPUTING),
    (State.ASSIGNED, Event.DECLINE): Rule(State.PENDING),
    **{(state, Event.COMPLETE): Rule(State.COMPLETED) for state in _RUNNING},
    **{(state, Event.LOSE): Rule(State.PENDING, exhausted=State.FAILED) for state in _RUNNING},
    **{(state, Event.FAIL): Rule(State.FAILED) for state in _RUNNING},
    **{(state, Event.EXPIRE): Rule(State.TIMED_OUT) for state in _LIVE},
    **{(state, Event.CANCEL): Rule(State.CANCELLED) for state in _LIVE},
}
"""A pair that is not here cannot happen; None is the state of a job that is not there yet."""

TERMINAL: Final = frozenset(State) - {state for state, _ in TABLE if state is not None}
"""The states that no row leaves."""


def sources(event: Event) -> frozenset[State]:
    """The states in which `event` can happen."""
    return frozenset(state for state, name in TABLE if name is event and state is not None)


def target(event: Event) -> State:
    """Where `event` leads, whatever the state it comes from: every event has one target."""
    (to,) = {rule.to for (_, name), rule in TABLE.items() if name is event}
    return to


def after(state: State | None, event: Event, lost: int = 0) -> State | None:
    """The state after `event`, None if it cannot happen; `lost` counts the workers lost, this event's included."""
    rule = TABLE.get((state, event))
    if rule is None:
        return None
    return rule.exhausted if rule.exhausted is not None and lost >= MAX_LOST else rule.to


def sql_states(states: frozenset[State]) -> str:
    """The states as the inside of an SQL IN list."""
    return ", ".join(f"'{state}'" for state in State if state in states)


def to_mermaid() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (state, event), rule in TABLE.items():
        lines.append(f"    {state or '[*]'} --> {rule.to}: {event}")
        if rule.exhausted is not None:
            lines.append(f"    {state} --> {rule.exhausted}: {event} ({MAX_LOST} workers lost)")
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    return "\n".join(lines)


def to_markdown() -> str:
    """The page docs/LIFECYCLE.md."""
    cells = {(s, e): _cell(s, e) for s in (None, *State) for e in Event}
    rows = [f"| {s or '(none)'} | " + " | ".join(cells[s, e] for e in Event) + " |" for s in (None, *State)]
    head = ["| state | " + " | ".join(Event) + " |", "|---" * (len(Event) + 1) + "|"]
    note = "Made by `python -m coordinator.queue.lifecycle > docs/LIFECYCLE.md` from the table in that file."
    return "\n".join(["# The life of a job", "", note, "", "```mermaid", to_mermaid(), "```", "", *head, *rows, ""])


def _cell(state: State | None, event: Event) -> str:
    rule = TABLE.get((state, event))
    if rule is None:
        return "–"
    return rule.to if rule.exhausted is None else f"{rule.to}, or {rule.exhausted}"


if __name__ == "__main__":
    print(to_markdown(), end="")
