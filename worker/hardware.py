"""What this machine has: said as it is found, nothing estimated."""

import platform
from pathlib import Path

import psutil

from shared.protocol.messages import Gpu, Hardware


def hardware(gpus: list[Gpu]) -> Hardware:
    """CPU, cores, memory (bytes) and system, with the GPUs that the engine found. Nothing here is measured yet, so
    `tflops_milli` is 0."""
    memory = psutil.virtual_memory()
    return Hardware(
        cpu=_cpu()[:200],
        cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        memory_total=memory.total,
        memory_free=memory.available,
        os=f"{platform.system()} {platform.release()} {platform.machine()}"[:200],
        gpus=gpus,
    )


def _cpu() -> str:
    """The processor's name as Linux has it, else as Python has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()
