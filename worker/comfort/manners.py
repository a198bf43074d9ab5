"""How an engine's process is made to give way to everything else on the machine."""

import os
import sys
from typing import Final

import psutil
import structlog

from worker.settings import Limits

_LOG: Final = structlog.get_logger("worker.comfort")
_LOWEST: Final = 7


def give_way(pid: int, limits: Limits) -> bool:
    """Sets the priorities of a process and all its threads on processor and disk; whether the system let us."""
    try:
        process = psutil.Process(pid)
        if sys.platform == "win32":
            _windows(process, limits)
        else:
            _posix(process, limits)
    except (psutil.Error, OSError) as error:
        _LOG.info("priority_not_set", process=pid, reason=type(error).__name__)
        return False
    return True


def _posix(process: psutil.Process, limits: Limits) -> None:
    """Linux keeps a nice value and an I/O class for each thread, and one that runs already keeps its own."""
    if sys.platform != "linux":
        process.nice(max(limits.nice, process.nice()))
        return
    for thread in process.threads():
        nice = os.getpriority(os.PRIO_PROCESS, thread.id)
        if nice < limits.nice:
            os.setpriority(os.PRIO_PROCESS, thread.id, limits.nice)
        if limits.ionice == "idle":
            psutil.Process(thread.id).ionice(psutil.IOPRIO_CLASS_IDLE)
        elif limits.ionice == "low":
            psutil.Process(thread.id).ionice(psutil.IOPRIO_CLASS_BE, _LOWEST)


def _windows(process: psutil.Process, limits: Limits) -> None:
    """Windows has classes: below normal for some courtesy, idle for much."""
    if limits.nice >= 15:
        process.nice(psutil.IDLE_PRIORITY_CLASS)
    elif limits.nice > 0:
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    if limits.ionice != "normal":
        process.ionice(psutil.IOPRIO_VERYLOW if limits.ionice == "idle" else psutil.IOPRIO_LOW)
