"""The lifecycle table: every pair of state and event, what is derived from it, and random legal walks."""

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from coordinator.queue.lifecycle import MAX_LOST, TABLE, TERMINAL, Event, State, after, sources, target, to_markdown

ROOT = Path(__file__).parents[2]
P, A, C = State.PENDING, State.ASSIGNED, State.COMPUTING
RUNNING: set[State | None] = {A, C}
LIVE: set[State | None] = {P, A, C}
EXPECTED: dict[Event, tuple[set[State | None], State]] = {
    Event.SUBMIT: ({None}, P),
    Event.ASSIGN: ({P}, A),
    Event.START: ({A}, C),
    Event.COMPLETE: (RUNNING, State.COMPLETED),
    Event.LOSE: (RUNNING, P),
    Event.DECLINE: ({A}, P),
    Event.FAIL: (RUNNING, State.FAILED),
    Event.EXPIRE: (LIVE, State.TIMED_OUT),
    Event.CANCEL: (LIVE, State.CANCELLED),
}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", [None, *State])
def test_every_state_and_event(state: State | None, event: Event) -> None:
    where, to = EXPECTED[event]
    assert after(state, event) == (to if state in where else None)


def test_only_the_last_loss_ends_a_job() -> None:
    assert [after(C, Event.LOSE, lost) for lost in (1, MAX_LOST - 1, MAX_LOST)] == [P, P, State.FAILED]
    assert after(State.FAILED, Event.LOSE, MAX_LOST) is None


def test_no_row_leaves_a_terminal_state() -> None:
    assert set(State) - LIVE == TERMINAL
    assert all(after(state, event, lost) is None for state in TERMINAL for event in Event for lost in range(5))


def test_guards_come_from_the_table() -> None:
    assert {event: sources(event) for event in Event} == {e: frozenset(w - {None}) for e, (w, _) in EXPECTED.items()}
    assert {event: target(event) for event in Event} == {event: to for event, (_, to) in EXPECTED.items()}


def test_every_state_is_reached_and_every_live_one_can_end() -> None:
    reached: set[State | None] = {None}
    ends = set(TERMINAL)
    for _ in State:
        reached |= {rule.to for (state, _), rule in TABLE.items() if state in reached}
        ends |= {state for (state, _), rule in TABLE.items() if state and rule.to in ends}
    assert reached == {None, *State}
    assert ends == set(State)


@given(st.lists(st.sampled_from(Event)))
def test_a_walk_never_leaves_the_states_and_never_comes_back_from_the_end(events: list[Event]) -> None:
    state: State | None = None
    ended = False
    for event in events:
        moved = after(state, event)
        assert moved is None or not ended
        state = moved or state
        ended = state in TERMINAL


def test_the_database_refuses_other_states() -> None:
    sql = (ROOT / "migrations/first/jobs.py").read_text()
    checks = dict(re.findall(r"CONSTRAINT (jobs_state|jobs_ended_state) CHECK \(state IN \((.*?)\)\)", sql))
    listed = {name: set(re.findall(r"'(\w+)'", states)) for name, states in checks.items()}
    assert listed == {"jobs_state": set(State) - TERMINAL, "jobs_ended_state": TERMINAL}


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "docs/LIFECYCLE.md").read_text() == to_markdown()
