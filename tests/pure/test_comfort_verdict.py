"""When a worker rests: each rule, its band, and that nothing flaps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, strategies as st

from worker.comfort.hours import Hours
from worker.comfort.pauses import Asked, PauseError, keep_pause, length, next_time, read_pause
from worker.comfort.verdict import Machine, Pause, Run, Verdict, unchecked, verdict
from worker.quantities import Bytes
from worker.settings import Limits, When

NOON = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)
PLAIN = Machine(idle_s=0, on_battery=False, metered=False, celsius=50, gpu_program="")
WHEN, LIMITS = When(), Limits()


def after(before: Verdict, seconds: float, machine: Machine, when: When = WHEN, limits: Limits = LIMITS) -> Verdict:
    """The verdict so many seconds after noon."""
    return verdict(machine, when, limits, NOON + timedelta(seconds=seconds), before)


def machine(**changed: Any) -> Machine:
    return msgspec.structs.replace(PLAIN, **changed)


@pytest.mark.parametrize(
    ("found", "when", "limits", "kind", "says", "urgent"),
    [
        (machine(programs=("cs2",)), When(), Limits(), "program", "cs2 is running", True),
        (machine(gpu_program="game"), When(pause_for_gpu=True), Limits(), "gpu", "game uses the GPU", True),
        (machine(on_battery=True), When(), Limits(), "battery", "on battery", True),
        (machine(celsius=90), When(), Limits(temperature=90), "heat", "at 90 °C", True),
        (machine(engine_bytes=7), When(), Limits(memory=Bytes(6)), "memory", "7 B", True),
        (machine(idle_s=299), When(idle_only=True), Limits(), "idle", "somebody uses", False),
        (machine(metered=True), When(), Limits(), "metered", "metered", False),
        (machine(sent=6), When(), Limits(upload_per_day=Bytes(6)), "budget", "today's 6 B are sent", False),
        (machine(received=6), When(), Limits(download_per_day=Bytes(6)), "budget", "are received", False),
        (PLAIN, When(quiet_hours=(Hours("11:00-13:00"),)), Limits(), "hours", "11:00-13:00", False),
    ],
)
def test_each_rule_pauses(found: Machine, when: When, limits: Limits, kind: str, says: str, urgent: bool) -> None:
    now = after(Run(), 0, found, when, limits)
    assert isinstance(now, Pause)
    assert (now.kind, says in now.reason, now.since) == (kind, True, NOON)
    assert now.urgent_since == (NOON if urgent else None)


@pytest.mark.parametrize(
    ("found", "when", "limits"),
    [
        (PLAIN, When(), Limits()),
        (machine(gpu_program="game"), When(), Limits()),
        (machine(on_battery=True), When(on_battery=True), Limits()),
        (machine(metered=True), When(metered=True), Limits()),
        (machine(celsius=200, engine_bytes=1 << 40, sent=1 << 40, received=1 << 40), When(), Limits()),
        (machine(celsius=89.9), When(), Limits(temperature=90)),
        (machine(idle_s=300), When(idle_only=True), Limits()),
        (machine(engine_bytes=6), When(), Limits(memory=Bytes(6))),
        (PLAIN, When(quiet_hours=(Hours("13:00-11:00"),)), Limits()),
        (Machine(), When(idle_only=True, pause_for_gpu=True), Limits(temperature=50)),
    ],
)
def test_nothing_pauses_without_a_rule_or_a_reason(found: Machine, when: When, limits: Limits) -> None:
    assert after(Run(), 0, found, when, limits) == Run()


def test_what_cannot_be_told_is_named_and_not_guessed() -> None:
    rules = unchecked(Machine(), When(idle_only=True, pause_for_gpu=True), Limits(temperature=80))
    assert [rule.partition(":")[0] for rule in rules] == [
        "when.idle_only", "when.on_battery", "when.metered", "when.pause_for_gpu", "limits.temperature",
    ]  # fmt: skip
    assert unchecked(PLAIN, When(idle_only=True, pause_for_gpu=True), Limits(temperature=80)) == []
    assert unchecked(Machine(), When(on_battery=True, metered=True), Limits()) == []


def test_heat_has_a_band_and_a_rest() -> None:
    limits = Limits(temperature=90)
    hot = after(Run(), 0, machine(celsius=91), limits=limits)
    still = after(hot, 10, machine(celsius=86), limits=limits)
    assert (isinstance(still, Pause) and still.since, isinstance(still, Pause) and still.held) == (
        NOON,
        NOON + timedelta(seconds=10),
    )
    cool = after(still, 20, machine(celsius=84), limits=limits)
    assert cool == still
    assert after(cool, 39, machine(celsius=84), limits=limits) == still
    assert after(cool, 40, machine(celsius=84), limits=limits) == Run()
    assert after(Run(), 50, machine(celsius=86), limits=limits) == Run()


def test_an_urgent_reason_goes_first_and_its_time_counts_from_itself() -> None:
    quiet = When(quiet_hours=(Hours("11:00-13:00"),))
    paused = after(Run(), 0, PLAIN, quiet)
    game = after(paused, 60, machine(programs=("cs2",)), quiet)
    later = after(game, 70, machine(programs=("cs2",)), quiet)
    assert isinstance(later, Pause)
    assert (later.kind, later.since, later.urgent_since) == ("program", NOON, NOON + timedelta(seconds=60))
    back = after(later, 80, PLAIN, quiet)
    assert isinstance(back, Pause)
    assert (back.kind, back.urgent_since, back.since) == ("hours", None, NOON)


def test_the_owner_pauses_until_a_time_or_for_good() -> None:
    two = int((NOON + timedelta(hours=2)).timestamp() * 1000)
    for asked, says in ((Asked(), "you paused it"), (Asked(two), "you paused it until 14:00")):
        now = verdict(PLAIN, When(), Limits(), NOON, Run(), asked)
        assert isinstance(now, Pause)
        assert now.reason == says
    assert verdict(PLAIN, When(), Limits(), NOON + timedelta(hours=2), now, Asked(two)) == Run()
    assert verdict(PLAIN, When(), Limits(), NOON, now, None) == Run()


@pytest.mark.parametrize("day", [(2025, 3, 30), (2025, 10, 26)])
def test_quiet_hours_follow_the_wall_when_clocks_change(day: tuple[int, int, int]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    when = When(quiet_hours=(Hours("22:00-07:00"),))
    moment = datetime(*day, tzinfo=zone).astimezone(UTC)
    for _ in range(24 * 12):
        moment += timedelta(minutes=5)
        local = moment.astimezone(zone)
        quiet = isinstance(verdict(PLAIN, when, Limits(), local, Run()), Pause)
        assert quiet == (local.hour >= 22 or local.hour < 7)


FOUND = st.builds(
    Machine,
    idle_s=st.none() | st.floats(0, 1e4),
    on_battery=st.none() | st.booleans(),
    metered=st.none() | st.booleans(),
    celsius=st.none() | st.floats(20, 110),
    programs=st.sampled_from([(), ("cs2",)]),
    gpu_program=st.sampled_from([None, "", "game"]),
    engine_bytes=st.integers(0, 10),
    sent=st.integers(0, 10),
)
RULES = When(idle_only=True, pause_for_gpu=True, quiet_hours=(Hours("12:10-12:20"),))
CAPS = Limits(temperature=90, memory=Bytes(6), upload_per_day=Bytes(9))


@given(st.lists(st.tuples(st.integers(1, 900), FOUND), max_size=30))
def test_work_goes_on_only_where_it_could_also_begin_and_a_pause_keeps_its_time(
    steps: list[tuple[int, Machine]],
) -> None:
    before: Verdict = Run()
    seconds = 0
    for more, found in steps:
        seconds += more
        now = after(before, seconds, found, RULES, CAPS)
        fresh = after(Run(), seconds, found, RULES, CAPS)
        if isinstance(fresh, Pause):
            assert isinstance(now, Pause)
        if isinstance(now, Pause) and isinstance(before, Pause):
            assert now.since == before.since
            assert now.held >= before.held
        assert after(now, seconds, found, RULES, CAPS) == now
        before = now
    assert after(before, seconds + 7200, PLAIN, When(), Limits()) == Run()


def test_pauses_are_kept_and_end(tmp_path: Any) -> None:
    assert read_pause(tmp_path, NOON) is None
    keep_pause(tmp_path, Asked(int(NOON.timestamp() * 1000) + 1))
    assert read_pause(tmp_path, NOON) is not None
    assert read_pause(tmp_path, NOON + timedelta(seconds=1)) is None
    (tmp_path / "paused.json").write_bytes(b"{")
    assert read_pause(tmp_path, NOON) == Asked()
    keep_pause(tmp_path, None)
    keep_pause(tmp_path, None)
    assert read_pause(tmp_path, NOON) is None


def test_lengths_and_times_as_people_write_them() -> None:
    assert [length(w) for w in ("90s", "30 m", "2H", "1d")] == [
        timedelta(seconds=90), timedelta(minutes=30), timedelta(hours=2), timedelta(days=1),
    ]  # fmt: skip
    now = NOON.astimezone()
    late = f"{(now + timedelta(minutes=5)):%H:%M}"
    early = f"{(now - timedelta(minutes=5)):%H:%M}"
    assert next_time(late, now) == now + timedelta(minutes=5)
    assert now + timedelta(hours=22) < next_time(early, now) < now + timedelta(hours=25)
    for wrong in ("", "2", "h", "0h", "-1h", "12345h"):
        with pytest.raises(PauseError, match="no length"):
            length(wrong)
    for wrong in ("", "24:00", "7", "7:60"):
        with pytest.raises(PauseError, match="no time"):
            next_time(wrong, now)
