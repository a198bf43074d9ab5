"""Every phase x message at both ends, and random legal walks with the ends pumped against each other."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from shared.protocol.closing import Closed
from shared.protocol.messages import CloseCode, Refused, ServerHello, ToCoordinator, ToWorker, Welcome, WorkerHello
from shared.protocol.phases import NEXT, SENDER, Kind, Phase, Side, after, name
from tests.pure.protocol_pair import CAPABILITIES, EXAMPLES, NOW, coordinator_in, opened, worker_in

KINDS = list(SENDER)
IN_SESSION_DOWN = [kind for kind in get_args(ToWorker) if kind is not Welcome]
IN_SESSION_UP = list(get_args(ToCoordinator))
cases = pytest.mark.parametrize(
    ("phase", "kind"), [pytest.param(p, k, id=f"{p}-{name(k)}") for p in Phase for k in KINDS]
)


def test_every_message_has_an_example_a_sender_and_a_place_in_the_table() -> None:
    assert set(SENDER) == {ServerHello, WorkerHello, Refused, *get_args(ToWorker), *get_args(ToCoordinator)}
    assert set(EXAMPLES) == set(SENDER) == {kind for _, kind in NEXT}
    assert len({name(kind) for kind in SENDER}) == len(SENDER)


def test_closed_is_terminal_and_every_other_phase_leads_there() -> None:
    assert not [phase for phase, _ in NEXT if phase is Phase.CLOSED]
    assert {phase for phase, _ in NEXT} == set(Phase) - {Phase.CLOSED}
    reached = {Phase.START}
    for _ in Phase:
        reached |= {following for (phase, _), following in NEXT.items() if phase in reached}
    assert reached == set(Phase)


def raw(phase: Phase, kind: Kind, seal: Any) -> bytes:
    """The message as a peer would put it in this phase: plain for the hellos, else sealed."""
    encoded = msgspec.json.encode(EXAMPLES[kind])
    return encoded if phase in (Phase.START, Phase.CHALLENGED) else seal(encoded)


@cases
def test_the_coordinator_hears_only_what_the_table_allows(phase: Phase, kind: Kind) -> None:
    end, sealer = coordinator_in(phase)
    events = end.receive(raw(phase, kind, sealer.seal), NOW)
    if phase is Phase.CLOSED:
        assert events == []
    elif (following := after(phase, Side.WORKER, kind)) is None:
        assert [event.code for event in events if isinstance(event, Closed)] == [CloseCode.PROTOCOL]
        assert end.phase is Phase.CLOSED
    elif kind is not WorkerHello:  # a sample hello is signed for no session; the handshake has its own tests
        assert [type(event).__name__ for event in events] == ["MessageReceived"]
        assert end.phase is following


@cases
def test_the_worker_hears_only_what_the_table_allows(phase: Phase, kind: Kind) -> None:
    end, sealer = worker_in(phase)
    events = end.receive(raw(phase, kind, sealer.seal), NOW)
    if phase is Phase.CLOSED:
        assert events == []
    elif (following := after(phase, Side.COORDINATOR, kind)) is None:
        assert [event.code for event in events if isinstance(event, Closed)] == [CloseCode.PROTOCOL]
        assert end.phase is Phase.CLOSED
    else:
        assert len(events) == 1
        assert isinstance(events[0], Closed) == (kind is Refused)
        assert end.phase is following


@cases
@pytest.mark.parametrize("side", Side)
def test_an_end_says_only_what_the_table_allows(phase: Phase, kind: Kind, side: Side) -> None:
    end, _ = coordinator_in(phase) if side is Side.COORDINATOR else worker_in(phase)
    sealed = phase in (Phase.ANSWERED, Phase.OPEN)
    message: Any = EXAMPLES[kind]
    if phase is Phase.CLOSED:
        assert end.send(message) == []
    elif sealed and (following := after(phase, side, kind)) is not None:
        assert len(end.send(message)) == 1
        assert end.phase is following
    else:
        with pytest.raises(ValueError, match=r"may not say|nothing can be said"):
            end.send(message)
        assert end.phase is phase


def test_the_steps_of_the_handshake_happen_once() -> None:
    coordinator, _ = coordinator_in(Phase.CHALLENGED)
    with pytest.raises(ValueError, match="may not say hello"):
        coordinator.open()
    worker, _ = worker_in(Phase.ANSWERED)
    with pytest.raises(ValueError, match="may not say auth"):
        worker.answer(CAPABILITIES, [], NOW)
    early, _ = worker_in(Phase.START)
    with pytest.raises(ValueError, match="no challenge"):
        early.answer(CAPABILITIES, [], NOW)
    late, _ = worker_in(Phase.CLOSED)
    assert late.answer(CAPABILITIES, [], NOW) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*IN_SESSION_DOWN, *IN_SESSION_UP]), max_size=40))
def test_random_legal_walks_arrive_whole_and_in_order(walk: list[Kind]) -> None:
    pair = opened()
    for kind in walk:
        message: Any = EXAMPLES[kind]
        down = SENDER[kind] is Side.COORDINATOR
        events = pair.down(pair.coordinator.send(message)) if down else pair.up(pair.worker.send(message))
        assert [event.message for event in events] == [message]
    assert (pair.coordinator.phase, pair.worker.phase) == (Phase.OPEN, Phase.OPEN)
    assert [event.code for event in pair.down(pair.coordinator.refuse(CloseCode.RESTART, "bye"))] == ["restart"]
    assert pair.worker.closed == pair.coordinator.closed == Closed(CloseCode.RESTART, "bye")


@pytest.mark.parametrize("phase", Phase)
def test_a_coordinator_can_refuse_in_any_phase_and_says_so_where_keys_are_agreed(phase: Phase) -> None:
    end, _ = coordinator_in(phase)
    earlier = end.closed
    frames = end.refuse(CloseCode.OVERLOAD, "é" * 100)
    assert len(frames) == (1 if phase in (Phase.ANSWERED, Phase.OPEN) else 0)
    assert end.closed == (earlier or Closed(CloseCode.OVERLOAD, "é" * 61))
    assert end.receive(b"anything", NOW) == []
