"""What the doctor makes of what it measured, and that no check can keep it waiting."""

import os
import threading
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from shared.crypto import fingerprint, public_key
from shared.errors import HiveError
from shared.geo.cells import cell_of, format_cell
from shared.protocol.messages import Gpu
from worker.doctor import judge, machine
from worker.doctor.examine import checks
from worker.doctor.finding import Check, Finding, Show, examined, worst
from worker.identity import identity
from worker.settings import Settings

ROME = format_cell(cell_of(41.9, 12.5))
PK = public_key(SigningKey(b"\1" * 32))
GIB = 1 << 30


@pytest.mark.parametrize(
    ("skew_ms", "exact_ms", "state", "says"),
    [
        (1_900, 0, "ok", "agree"),
        (-3_000, 0, "warn", "3.0 s behind"),
        (3_000, 0, "warn", "3.0 s ahead of"),
        (3_000, 1_100, "ok", "agree"),
        (120_001, 0, "fail", "no worker is let in"),
        (-120_001, 0, "fail", "NTP"),
    ],
)
def test_the_clock(skew_ms: int, exact_ms: int, state: str, says: str) -> None:
    found = judge.clock(skew_ms, exact_ms)
    assert (found.state, says in found.sentence) == (state, True)


def test_the_best_round_trip_counts() -> None:
    assert judge.round_trip([900.0, 12.34, 300.0]) == Finding(
        "round trip", "ok", "A round trip to the coordinator takes 12.3 ms (the best of 3)."
    )
    assert judge.round_trip([251.0]).state == "warn"


def test_the_owners_pin_comes_before_the_one_that_was_seen_first() -> None:
    other = public_key(SigningKey(b"\2" * 32))
    assert judge.key("", None, PK, "h").state == "warn"
    assert judge.key("", PK, PK, "h").state == "ok"
    assert judge.key(fingerprint(PK), other, PK, "h").state == "ok"
    assert judge.key(other, PK, PK, "h").state == "fail"
    assert fingerprint(PK) in judge.key("", other, PK, "h").sentence


@pytest.mark.parametrize(
    ("need", "available", "total", "cap", "state"),
    [
        (GIB, 2 * GIB, 4 * GIB, 0, "ok"),
        (3 * GIB, 2 * GIB, 4 * GIB, 0, "warn"),
        (5 * GIB, 2 * GIB, 4 * GIB, 0, "fail"),
        (GIB, 2 * GIB, 4 * GIB, GIB - 1, "fail"),
    ],
)
def test_memory(need: int, available: int, total: int, cap: int, state: str) -> None:
    assert judge.memory(need, available, total, cap).state == state


def test_disk() -> None:
    assert [judge.disk(free, "h").state for free in (0, GIB, 6 * GIB)] == ["fail", "warn", "ok"]


def test_a_gpu_that_the_build_cannot_use_is_named_with_the_build_that_can() -> None:
    gpu = Gpu("RTX 4090", "CUDA0", 24 * GIB, 20 * GIB)
    plain = judge.Devices("build", "cpu-haswell", [])
    assert [f.state for f in judge.devices(plain, [])] == ["ok", "ok"]
    assert "cpu-haswell" in judge.devices(plain, [])[1].sentence
    assert "-DGGML_CUDA=ON" in judge.devices(plain, ["NVIDIA"])[1].sentence
    found = judge.devices(judge.Devices("build", "cpu-haswell", [gpu]), ["NVIDIA"])[1]
    assert (found.state, "RTX 4090" in found.sentence) == ("ok", True)


def test_a_model_that_does_not_fit_on_the_gpu_is_a_warning() -> None:
    assert judge.offload("m", "not even one layer fits on X").state == "warn"
    assert judge.offload("m", "all 22 layers fit on X") == Finding("offload m", "ok", "All 22 layers fit on X.")


@pytest.mark.parametrize(
    ("waiting", "age", "state"), [(0, 0, "ok"), (3, 60, "ok"), (3, 4_000, "warn"), (100, 1, "warn"), (1000, 1, "fail")]
)
def test_the_outbox(waiting: int, age: float, state: str) -> None:
    assert judge.outbox(waiting, 1000, age).state == state


def test_the_battery_and_the_heat() -> None:
    assert judge.battery(None, None, works_on_battery=False).state == "ok"
    assert judge.battery(50, False, works_on_battery=False).state == "warn"
    assert judge.battery(50, False, works_on_battery=True).state == "ok"
    assert judge.battery(50, True, works_on_battery=False).state == "ok"
    assert judge.temperature(None, 0).state == "ok"
    assert judge.temperature(None, 80).state == "warn"
    assert judge.temperature(81, 80).state == "warn"
    assert judge.temperature(81, 0).state == "ok"


def test_a_check_that_hangs_or_fails_is_a_finding_and_the_next_one_is_looked_at() -> None:
    never = threading.Event()

    def hangs(_: Show) -> list[Finding]:
        never.wait()
        return []

    def fails(_: Show) -> list[Finding]:
        raise HiveError("the disk is gone")

    def denied(_: Show) -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/a/b")

    def tells(show: Show) -> list[Finding]:
        show("half")
        return [Finding("d", "ok", "Fine.")]

    told: list[str] = []
    found = examined(
        [Check("a", 0.01, hangs), Check("b", 9, fails), Check("c", 9, denied), Check("d", 9, tells)], told.append
    )
    never.set()
    assert [(f.name, f.state, f.sentence) for f in found] == [
        ("a", "fail", "There was no answer within 0.01 s."),
        ("b", "fail", "The disk is gone."),
        ("c", "fail", "/a/b: Permission denied."),
        ("d", "ok", "Fine."),
    ]
    assert told == ["a", "b", "c", "d", "d: half"]
    assert (worst(found), worst([]), worst([Finding("a", "warn", "")])) == ("fail", "ok", "warn")


def test_an_identity_that_others_may_read_fails_with_the_command(tmp_path: Path) -> None:
    looked = Check("identity", 9, lambda _: machine.identity(tmp_path))
    assert examined([looked], lambda _: None)[0].state == "warn"
    identity(tmp_path, now=0, entropy=b"\1" * 32)
    assert examined([looked], lambda _: None)[0].state == "ok"
    if os.name == "posix":
        (tmp_path / "identity.json").chmod(0o644)
        found = examined([looked], lambda _: None)[0]
        assert (found.state, "chmod 600" in found.sentence) == ("fail", True)


def test_a_model_file_is_read_whole_with_progress_and_a_changed_byte_is_found(tmp_path: Path) -> None:
    chosen = Settings(cell=ROME, models=("hive-nano", "no-such"))
    told: list[str] = []
    whole, missing = machine.models(tmp_path, chosen, told.append)
    assert (whole.state, missing.state) == ("ok", "fail")
    assert told[-1] == "hive-nano, 100% read"
    assert "hive worker models" in missing.sentence


def test_wrong_settings_are_a_finding_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    everything = [
        "settings",
        "identity",
        "worker",
        "reach",
        "socket",
        "memory",
        "disk",
        "engine",
        "sensors",
        "outbox",
        "models",
        "upstreams",
    ]
    for environment in ({}, {"HIVE_CELL": ROME}, {"HIVE_CELL": "x"}):
        assert [check.name for check in checks(tmp_path, environment)] == everything
    assert "reach" not in [check.name for check in checks(tmp_path, {"HIVE_COORDINATOR": "ftp://x"})]
    (first, *_) = examined(checks(tmp_path, {"HIVE_CELL": "x"})[:1], lambda _: None)
    assert (first.state, "no H3 cell" in first.sentence) == ("fail", True)
