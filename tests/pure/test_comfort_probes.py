"""What the probes make of what each system says."""

import ctypes
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from worker.comfort import senses
from worker.comfort.gpu import LARGE, Gpu
from worker.comfort.idle import linux_idle, mac_idle, windows_idle
from worker.comfort.outside import said
from worker.comfort.programs import ROUNDS, Programs
from worker.comfort.senses import Seldom, Senses, celsius, metered, on_battery
from worker.settings import Limits, When


def saying(words: str | None) -> Any:
    return lambda *_: words


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("b true\nt 900000000\n", 100.0), ("b false\nt 900000000\n", 0.0), ("b true\nt 0\n", 1000.0), ("b true\nt 2000000000\n", 0)],
)  # fmt: skip
def test_logind_knows_of_all_sessions(words: str, seconds: float) -> None:
    assert linux_idle(saying(words), 1000.0, list, {}) == seconds


def test_without_logind_terminals_tell_and_a_desktop_does_not(tmp_path: Path) -> None:
    for name, at in (("0", 400), ("1", 700)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    ttys = lambda: [tmp_path / "0", tmp_path / "1", tmp_path / "gone"]  # noqa: E731 - it stands for a function
    assert linux_idle(saying(None), 1000.0, ttys, {}) == 300
    assert linux_idle(saying("Failed to connect"), 1000.0, ttys, {"DISPLAY": ":0"}) is None
    assert linux_idle(saying(None), 1000.0, ttys, {"WAYLAND_DISPLAY": "wayland-0"}) is None
    assert linux_idle(saying(None), 1000.0, list, {}) is None


def test_macos_and_windows_idle() -> None:
    assert mac_idle(saying('  | "HIDIdleTime" = 2500000000\n')) == 2.5
    assert mac_idle(saying(None)) is None

    def last_input(reference: Any) -> int:
        found = ctypes.cast(reference, ctypes.POINTER(ctypes.c_uint * 2)).contents
        assert found[0] == 8
        found[1] = (1 << 32) - 1000
        return 1

    kernel = SimpleNamespace(GetTickCount=lambda: 4000)
    assert windows_idle(SimpleNamespace(user32=SimpleNamespace(GetLastInputInfo=last_input), kernel32=kernel)) == 5.0
    assert windows_idle(SimpleNamespace(user32=SimpleNamespace(GetLastInputInfo=lambda _: 0), kernel32=kernel)) is None


def test_programs_are_found_by_name_and_each_is_asked_once() -> None:
    machine = {1: "systemd", 2: "CS2.exe", 3: "steam_app_440", 4: "steam"}
    asked: list[int] = []

    def name(pid: int) -> str:
        asked.append(pid)
        return machine[pid]

    programs = Programs(["cs2", "Steam_App*", "firefox"], lambda: list(machine), name)
    assert programs.running() == ("cs2", "steam_app_440")
    assert programs.running() == ("cs2", "steam_app_440")
    assert sorted(asked) == [1, 2, 3, 4]
    del machine[2]
    machine[5] = "Firefox"
    assert programs.running() == ("firefox", "steam_app_440")
    machine[1] = "cs2"
    for _ in range(ROUNDS):
        found = programs.running()
    assert found == ("cs2", "firefox", "steam_app_440")
    assert Programs([], lambda: 1 / 0).running() == ()  # type: ignore[arg-type,return-value]


class Nvml:
    """NVIDIA's library with one GPU."""

    def __init__(self, computing: list[tuple[int, int]], drawing: list[tuple[int, int]]) -> None:
        self._told = {
            "nvmlDeviceGetComputeRunningProcesses_v3": computing,
            "nvmlDeviceGetGraphicsRunningProcesses_v3": drawing,
        }

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint)).contents.value = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, device: Any) -> int:
        return index

    def __getattr__(self, function: str) -> Any:
        def tell(device: Any, count: Any, found: Any) -> int:
            told = self._told[function]
            ctypes.cast(count, ctypes.POINTER(ctypes.c_uint)).contents.value = len(told)
            for place, (pid, memory) in enumerate(told):
                found[place].pid, found[place].memory = pid, memory
            return 0

        return tell


@pytest.mark.parametrize(
    ("computing", "drawing", "found"),
    [
        ([], [], ""),
        ([(1, 5)], [], ""),
        ([(1, 5), (2, 5)], [], "two"),
        ([], [(3, LARGE - 1)], ""),
        ([], [(3, LARGE)], "three"),
        ([], [(3, (1 << 64) - 1)], ""),
        ([(9, 5)], [], ""),
    ],
)
def test_who_else_uses_the_gpu(computing: Any, drawing: Any, found: str) -> None:
    names = {1: "ours", 2: "two.exe", 3: "Three"}
    assert Gpu(lambda: Nvml(computing, drawing), lambda pid: names.get(pid, "")).other_program({1}) == found


def test_without_the_driver_nobody_knows() -> None:
    def missing() -> Any:
        raise OSError("no such library")

    assert Gpu(missing).other_program(set()) is None
    assert Gpu(SimpleNamespace).other_program(set()) is None


@pytest.mark.parametrize(
    ("words", "answer"),
    [("u 1\n", True), ("u 3\n", True), ("u 2\n", False), ("u 4\n", False), ("u 0\n", None), ("nonsense", None)],
)
def test_networkmanager_by_the_bus(words: str, answer: bool | None) -> None:
    assert metered(lambda *w: words if w[0] == "busctl" else None, "linux") is answer


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("yes\n", True),
        ("yes (guessed)\nunknown\n", True),
        ("no\nunknown\n", False),
        ("unknown\n\n", None),
        (None, None),
    ],
)
def test_networkmanager_by_its_tool(words: str | None, answer: bool | None) -> None:
    assert metered(lambda *w: words if w[0] == "nmcli" else None, "linux") is answer
    assert metered(saying("yes"), "win32") is None


def test_a_dear_question_is_asked_once_a_minute() -> None:
    answers, clock = [True, False], [0.0]
    ask = Seldom(lambda: answers.pop(0), lambda: clock[0])
    assert [ask(), ask()] == [True, True]
    clock[0] = 60.0
    assert [ask(), ask()] == [False, False]


@pytest.mark.parametrize(("plugged", "answer"), [(True, False), (False, True), (None, None)])
def test_a_battery(plugged: bool | None, answer: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged), raising=False)
    assert on_battery() is answer
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    assert on_battery() is False
    monkeypatch.delattr(psutil, "sensors_battery")
    assert on_battery() is None


def test_the_processors_own_sensor_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def sensors(*degrees: float) -> list[Any]:
        return [SimpleNamespace(current=one) for one in degrees]

    found = {"nvme": sensors(99), "coretemp": sensors(50, 71.5), "acpitz": sensors(80)}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found, raising=False)
    assert celsius() == 71.5
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"nvme": sensors(99)})
    assert celsius() is None
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert celsius() is None


def test_nothing_is_looked_at_that_no_rule_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("nobody asked")

    for probe in ("idle_seconds", "on_battery", "celsius", "metered", "_memory"):
        monkeypatch.setattr(senses, probe, never)
    found = Senses(When(on_battery=True, metered=True), Limits()).look([1], 2, 3)
    assert (found.sent, found.received, found.engine_bytes, found.programs) == (2, 3, 0, ())


def test_a_program_of_the_system_is_heard_or_not() -> None:
    assert said(sys.executable, "-c", "print('x')") == f"x{chr(10)}"
    assert said(sys.executable, "-c", "raise SystemExit(1)") is None
    assert said("no-such-program-here") is None
