"""What is on this machine: keys, disk, memory, model files, sensors, and results that wait."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from shared.gguf.facts import facts_of_file
from shared.gguf.memory import kv_bytes, memory_need
from shared.gguf.reader import GgufError
from shared.protocol.messages import Gpu
from shared.words import size
from worker.doctor import judge
from worker.doctor.finding import Finding, Show
from worker.engine.offload import Weights, place
from worker.identity import FILE as IDENTITY, existing_identity
from worker.models import LocalModel, local_models, planned_context
from worker.outbox import MOST
from worker.report import lives, read_report
from worker.settings import Settings

_CHUNK: Final = 8 << 20
_DRIVERS: Final = {"NVIDIA": "nvidiactl", "AMD": "kfd"}


def identity(home: Path) -> list[Finding]:
    """The identity's file: there, whole and nobody else's to read."""
    if not (home / IDENTITY).exists():
        return [Finding("identity", "warn", f"There is no identity in {home} yet; `hive worker join` makes one.")]
    who = existing_identity(home)
    return [Finding("identity", "ok", f"{home / IDENTITY} is whole and private ({who.pk[:8]}…).")]


def daemon(home: Path) -> list[Finding]:
    """Whether the worker runs, and is connected."""
    report = read_report(home)
    if report is None or not lives(report):
        return [Finding("worker", "warn", "No worker runs here; `hive worker join` or `install-service` starts one.")]
    if report.session is None:
        return [Finding("worker", "warn", f"The worker (process {report.pid}) runs, but is not connected.")]
    return [Finding("worker", "ok", f"The worker runs (process {report.pid}) and is {report.state}.")]


def disk(home: Path) -> list[Finding]:
    """Room where HIVE_HOME is, or will be."""
    there = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    return [judge.disk(shutil.disk_usage(there).free, str(home))]


def memory(home: Path, chosen: Settings) -> list[Finding]:
    """Whether the chosen models fit, by their headers; a file that cannot be read is the model check's matter."""
    here = local_models(home)
    need = sum(_need(here[name], chosen) for name in chosen.models if name in here)
    now = psutil.virtual_memory()
    return [judge.memory(need, now.available, now.total, int(chosen.limits.memory))]


def models(home: Path, chosen: Settings, show: Show) -> list[Finding]:
    """Each chosen model's file: its header, and every byte against its digest."""
    here = local_models(home)
    return [_model(name, here.get(name), show) for name in chosen.models]


def offload(home: Path, chosen: Settings, gpus: Sequence[Gpu]) -> list[Finding]:
    """Where each chosen model's layers would go now, and why; nothing where there is no GPU."""
    here = local_models(home)
    wanted = [here[name] for name in chosen.models if name in here] if gpus else []
    found = []
    for model in wanted:
        try:
            facts = facts_of_file(Path(model.path))
        except (GgufError, OSError):
            continue
        weights = Weights(facts.layer_bytes, facts.outside_bytes, kv_bytes(facts) // max(1, facts.layers))
        context = planned_context(facts.context, chosen.context)
        reason = place(gpus, weights, tokens=context * chosen.slots, most_bytes=chosen.limits.vram).reason
        found.append(judge.offload(model.id, reason))
    return found


def outbox(home: Path) -> list[Finding]:
    """Results that the coordinator has not acknowledged."""
    folder = home / "outbox"
    times = [file.stat().st_mtime for file in folder.glob("*.json")] if folder.is_dir() else []
    return [judge.outbox(len(times), MOST, time.time() - min(times, default=time.time()))]


def sensors(chosen: Settings | None) -> list[Finding]:
    """The battery and the temperature, as far as the system tells of them."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    read: dict[str, list[Any]] = getattr(psutil, "sensors_temperatures", dict)()
    hottest = max((sensor.current for chip in read.values() for sensor in chip), default=None)
    return [
        judge.battery(
            battery.percent if battery else None,
            battery.power_plugged if battery else None,
            works_on_battery=chosen is not None and chosen.when.on_battery,
        ),
        judge.temperature(hottest, chosen.limits.temperature if chosen else 0.0),
    ]


def drivers() -> list[str]:
    """The makers of GPUs whose drivers are loaded, where the system has them as device files."""
    return [name for name, node in _DRIVERS.items() if Path("/dev", node).exists()]


def _need(model: LocalModel, chosen: Settings) -> int:
    try:
        facts = facts_of_file(Path(model.path))
    except (GgufError, OSError):
        return model.size_bytes
    context = planned_context(facts.context, chosen.context)
    return memory_need(facts, context, chosen.slots)


def _model(name: str, model: LocalModel | None, show: Show) -> Finding:
    label = f"model {name}"
    if model is None:
        return Finding(label, "fail", f"There is no model {name} here; add or fetch it with `hive worker models`.")
    try:
        facts = facts_of_file(Path(model.path))
        same = _digest(Path(model.path), lambda part: show(f"{name}, {part:.0%} read")) == model.digest
    except GgufError as error:
        return Finding(label, "fail", f"Its file is no whole GGUF: {error}; add or fetch it anew.")
    except OSError as error:
        return Finding(label, "fail", f"Its file cannot be read ({error.strerror}); add or fetch it anew.")
    if not same:
        return Finding(label, "fail", "Its file is not the one that was added; remove it, and add or fetch it anew.")
    kind = " ".join(word for word in (facts.architecture, facts.quantization) if word)
    return Finding(
        label, "ok", f"Its file is whole: {size(model.size_bytes)}, {kind}, {facts.context} tokens of context."
    )


def _digest(file: Path, progress: Callable[[float], None]) -> str:
    hasher = hashlib.sha256()
    whole, done = max(1, file.stat().st_size), 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            hasher.update(chunk)
            done += len(chunk)
            progress(done / whole)
    return hasher.hexdigest()
