"""The tables of a worker's settings: sizes, prices, hours and patterns as people write them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from shared.words import gns, size
from worker.comfort.hours import Hours
from worker.quantities import Bytes, read
from worker.settings import SettingsError, assigned, settings

CELL = "871e8052affffff"
TABLES = """
[worker]
cell = "871e8052affffff"
[worker.when]
idle_only = true
quiet_hours = ["22:00-07:00", "Sat-Sun 10:00-12:00"]
pause_for = ["cs2"]
[worker.limits]
memory = "6GB"
vram = 0
[worker.policy]
price_floor = 0.5
refuse = ["a, b"]
"""


def test_tables_are_read_and_the_environment_and_flags_beat_them(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TABLES)
    environment = {"HIVE_WHEN_QUIET_HOURS": "1:00-2:00, Mon 3:00-4:00", "HIVE_LIMITS_MEMORY": "512MiB"}
    found = settings(tmp_path, environment, {"limits.memory": "1GB", "policy.price_floor": None})
    assert (found.when.idle_only, found.when.pause_for) == (True, ("cs2",))
    assert found.when.quiet_hours == (Hours("1:00-2:00"), Hours("Mon 3:00-4:00"))
    assert (found.limits.memory, found.limits.vram) == (10**9, 0)
    assert (found.policy.price_floor, found.policy.refuse) == (5_000_000, ("a, b",))


def test_the_page_for_owners_shows_settings_that_are_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/WORKER.md").read_text()
    tables = page.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "config.toml").write_text(f'[worker]\ncell = "{CELL}"\n{tables}')
    found = settings(tmp_path, {}, {})
    assert found.policy.refuse == (r"\bbomb\b",)
    assert (found.when.grace, found.limits.temperature, found.policy.price_floor) == (10, 85, 5_000_000)


def test_what_is_not_written_is_a_good_guest(tmp_path: Path) -> None:
    found = settings(tmp_path, {}, {"cell": CELL})
    assert not found.when.on_battery
    assert not found.when.metered
    assert (found.limits.vram, found.limits.memory, found.limits.nice > 0) == (None, 0, True)


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("when.quiet_hours", ["25:00-1:00"], "25:00 is no time"),
        ("when.quiet_hours", ["1:00-1:00"], "end at another time"),
        ("when.quiet_hours", ["Fun 1:00-2:00"], "Fun is no day"),
        ("when.quiet_hours", [7], "quiet_hours"),
        ("when.idle_only", "maybe", "when.idle_only .*bool"),
        ("when.idle_minutes", -1, "when.idle_minutes"),
        ("limits.memory", "much", "limits.memory .*'much' is no size"),
        ("limits.memory", True, "no size"),
        ("limits.memory", "9999999TB", "more than any machine"),
        ("limits.nice", 20, "limits.nice"),
        ("limits.ionice", "none", "normal, low or idle"),
        ("policy.price_floor", "-1", "policy.price_floor .*'-1' is no price"),
        ("policy.price_floor", "nan", "no price"),
        ("policy.price_floor", "cheap", "no price"),
        ("policy.refuse", ["("], "policy.refuse .*no pattern"),
        ("policy.refuse", ["(a+)+$"], "could take hours"),
        ("policy.wanted", "yes", "policy.wanted .*never, load or fetch"),
        ("when.weather", "x", "no setting when.weather"),
    ],
)
def test_each_wrong_value_is_one_sentence_that_names_it(tmp_path: Path, flag: str, value: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as found:
        settings(tmp_path, {}, {"cell": CELL, flag: value})
    assert "\n" not in found.value.message


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'[worker]\ncell = "{CELL}"\nwhen = 3\n')
    with pytest.raises(SettingsError, match="must be a table"):
        settings(tmp_path, {}, {})


def test_a_setting_is_given_by_its_name(tmp_path: Path) -> None:
    flags = assigned(["when.pause_for=cs2, steam", "limits.memory=2GB", "slots=3"])
    found = settings(tmp_path, {}, {"cell": CELL, **flags})
    assert (found.when.pause_for, found.limits.memory, found.slots) == (("cs2", "steam"), 2 * 10**9, 3)
    for wrong in ("memory=2GB", "limits.memory"):
        with pytest.raises(SettingsError, match="--set takes NAME=VALUE"):
            assigned([wrong])


@pytest.mark.parametrize(
    ("written", "count"), [("6GB", 6 * 10**9), ("1.5 kib", 1536), (0, 0), ("12", 12), ("3m", 3 * 10**6)]
)
def test_sizes(written: Any, count: int) -> None:
    assert read(Bytes, written) == count


@given(st.integers(0, 2**53))
def test_an_amount_is_said_to_the_stroop(stroops: int) -> None:
    whole, _, part = gns(stroops).partition(".")
    assert int(whole) * 10**7 + int(part.ljust(7, "0")) == stroops


def test_sizes_for_people() -> None:
    assert [size(n) for n in (0, 999, 1500, 6 * 10**9, 2 * 10**12)] == ["0 B", "999 B", "1.5 kB", "6.0 GB", "2.0 TB"]


MONDAY = datetime(2025, 11, 24)  # noqa: DTZ001 - a wall clock


@pytest.mark.parametrize(
    ("hours", "day", "clock", "holds"),
    [
        ("22:00-07:00", 0, "21:59", False),
        ("22:00-07:00", 0, "22:00", True),
        ("22:00-07:00", 1, "00:00", True),
        ("22:00-07:00", 1, "06:59", True),
        ("22:00-07:00", 1, "07:00", False),
        ("08:00-24:00", 0, "23:59", True),
        ("08:00-24:00", 0, "00:00", False),
        ("00:00-24:00", 3, "12:00", True),
        ("Fri 20:00-02:00", 4, "19:59", False),
        ("Fri 20:00-02:00", 4, "20:00", True),
        ("Fri 20:00-02:00", 5, "01:59", True),
        ("Fri 20:00-02:00", 4, "01:59", False),
        ("Sat-Mon 9:00-10:00", 6, "09:30", True),
        ("Sat-Mon 9:00-10:00", 0, "09:30", True),
        ("Sat-Mon 9:00-10:00", 1, "09:30", False),
        ("Sun 23:00-01:00", 0, "00:30", True),
    ],
)
def test_hours_of_the_week(hours: str, day: int, clock: str, holds: bool) -> None:
    hour, minute = clock.split(":")
    assert Hours(hours).hold(MONDAY.replace(day=24 + day, hour=int(hour), minute=int(minute))) is holds


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 7 * 1440 - 1))
def test_hours_and_their_opposite_share_the_day(start: int, end: int, minute: int) -> None:
    if start == end:
        return
    one, other = (f"{a // 60}:{a % 60:02d}-{b // 60}:{b % 60:02d}" for a, b in ((start, end), (end, start)))
    now = MONDAY.replace(day=24 + minute // 1440, hour=minute % 1440 // 60, minute=minute % 60)
    assert Hours(one).hold(now) != Hours(other).hold(now)
