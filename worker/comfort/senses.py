"""Looks at the machine for the rules that an owner has set, and at nothing else."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

import psutil

from worker.comfort.gpu import Gpu
from worker.comfort.idle import idle_seconds
from worker.comfort.outside import Said, said
from worker.comfort.programs import Programs
from worker.comfort.verdict import Machine
from worker.settings import Limits, When

SLOW_S: Final = 60.0
_NETWORK: Final = ("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager")
_PROCESSOR: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")


class Senses:
    """What can be found out here, each thing only if a rule asks for it. A look takes a few ms, and may start a program of
    the system, so it belongs in a thread."""

    def __init__(self, when: When, limits: Limits) -> None:
        self._when, self._limits = when, limits
        self._programs = Programs(when.pause_for)
        self._gpu = Gpu() if when.pause_for_gpu else None
        self._metered = Seldom(lambda: metered(said, sys.platform))

    def look(self, engines: Iterable[int], sent: int, received: int) -> Machine:
        """The machine now, given the process ids of our engines and the bytes sent and received today."""
        ours = set(engines)
        return Machine(
            idle_s=idle_seconds() if self._when.idle_only else None,
            on_battery=None if self._when.on_battery else on_battery(),
            metered=None if self._when.metered else self._metered(),
            celsius=celsius() if self._limits.temperature else None,
            programs=self._programs.running(),
            gpu_program=self._gpu.other_program(ours) if self._gpu else None,
            engine_bytes=sum(map(_memory, ours)) if self._limits.memory else 0,
            sent=sent,
            received=received,
        )


class Seldom:
    """An answer that is asked for once a minute, because asking is dear."""

    def __init__(self, ask: Callable[[], bool | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._at: float | None = None
        self._answer: bool | None = None

    def __call__(self) -> bool | None:
        """The answer, at most a minute old."""
        if self._at is None or self._clock() - self._at >= SLOW_S:
            self._at, self._answer = self._clock(), self._ask()
        return self._answer


def on_battery() -> bool | None:
    """Whether the machine runs on its battery; one without a battery does not, and one may not know."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):
        return None
    if battery is None:
        return False
    return None if battery.power_plugged is None else not battery.power_plugged


def celsius() -> float | None:
    """The hottest of the processor's sensors; None where the system shows none."""
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError, RuntimeError):
        return None
    chip = next((name for name in _PROCESSOR if sensors.get(name)), None)
    return max((float(s.current) for s in sensors[chip]), default=None) if chip else None


def metered(ask: Said, platform: str) -> bool | None:
    """Whether the network is metered, as NetworkManager knows or guesses; None for the other systems."""
    if platform != "linux":
        return None
    words = ask("busctl", "--system", "get-property", *_NETWORK, _NETWORK[0], "Metered")
    if words is not None:
        return {"u 1": True, "u 3": True, "u 2": False, "u 4": False}.get(words.strip())
    words = ask("nmcli", "-g", "GENERAL.METERED", "device", "show")
    told = [line.strip() for line in (words or "").splitlines() if line.strip() and line.strip() != "unknown"]
    return any(line.startswith("yes") for line in told) if told else None


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
