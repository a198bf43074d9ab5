"""What a measured figure means for a worker: pure, each a sentence and, where it is not well, a way out."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shared.crypto import fingerprint
from shared.protocol.messages import Gpu
from shared.words import size
from worker.doctor.finding import Finding, State
from worker.settings import fits_pin

OFF_MS: Final = 2_000
REFUSED_MS: Final = 120_000
FAR_MS: Final = 250
FULL_BYTES: Final = 256 << 20
LOW_BYTES: Final = 5 << 30
BACKLOG: Final = 100


def clock(skew_ms: int, exactness_ms: int) -> Finding:
    """`skew_ms` is how far this clock is ahead of the coordinator's, known to within `exactness_ms`."""
    off = max(0, abs(skew_ms) - exactness_ms)
    way = "ahead of" if skew_ms > 0 else "behind"
    said = f"This clock is {abs(skew_ms) / 1000:.1f} s {way} the coordinator's"
    if off <= OFF_MS:
        return Finding("clock", "ok", "This clock and the coordinator's agree.")
    if off <= REFUSED_MS:
        return Finding("clock", "warn", f"{said}; let the system set it from the network (NTP).")
    return Finding("clock", "fail", f"{said}, and from 120 s on no worker is let in; let the system set it (NTP).")


def round_trip(milliseconds: Sequence[float]) -> Finding:
    """The best of several requests to the coordinator."""
    best = min(milliseconds)
    said = f"A round trip to the coordinator takes {best:.1f} ms (the best of {len(milliseconds)})"
    if best <= FAR_MS:
        return Finding("round trip", "ok", f"{said}.")
    return Finding("round trip", "warn", f"{said}; answers start late by that much, so a nearer coordinator is better.")


def key(pin: str, pinned: str | None, server_pk: str, host: str) -> Finding:
    """`pin` is the owner's (--server-key), `pinned` the one that was seen first, `server_pk` what is shown now."""
    expected = pin or pinned or ""
    shown = fingerprint(server_pk)
    if not expected:
        return Finding(
            "key",
            "warn",
            f"{host} shows the key {shown}, and no key is pinned yet: ask its operator whether it is theirs.",
        )
    if fits_pin(expected, server_pk):
        return Finding("key", "ok", f"{host} shows the key that is pinned, {shown}.")
    return Finding(
        "key", "fail",
        f"{host} shows the key {shown}, which is not the pinned one; if its operator confirms it, give it with --server-key.",
    )  # fmt: skip


def disk(free: int, folder: str) -> Finding:
    """`free` bytes are left where HIVE_HOME is."""
    if free < FULL_BYTES:
        return Finding("disk", "fail", f"Only {size(free)} are free for {folder}, so results may be lost; make room.")
    if free < LOW_BYTES:
        return Finding("disk", "warn", f"{size(free)} are free for {folder}; another model hardly fits.")
    return Finding("disk", "ok", f"{size(free)} are free for {folder}.")


def memory(need: int, available: int, total: int, cap: int) -> Finding:
    """`need` bytes are for the chosen models with all their slots, `cap` is the owner's limit (0: none)."""
    said = f"The models need about {size(need)}"
    smaller = "choose fewer slots, a smaller context or a smaller model"
    if cap and need > cap:
        return Finding("memory", "fail", f"{said}, but your limit is {size(cap)}; raise it or {smaller}.")
    if need > total:
        return Finding("memory", "fail", f"{said}, and this machine has {size(total)}; {smaller}.")
    if need > available:
        return Finding("memory", "warn", f"{said}, and {size(available)} are free now; close something or {smaller}.")
    return Finding("memory", "ok", f"{said} of the {size(available)} that are free.")


class Devices(msgspec.Struct, frozen=True):
    """What an engine process finds: its build, the CPU variant, and the GPUs."""

    engine_build: str
    variant: str
    gpus: list[Gpu]


def devices(found: Devices, drivers: Sequence[str]) -> list[Finding]:
    """`drivers` are the GPUs whose drivers this system has, such as `NVIDIA`."""
    engine = Finding("engine", "ok", f"llama.cpp runs here ({found.engine_build}).")
    listed = ", ".join(
        f"{gpu.name} with {size(gpu.memory_free)} of {size(gpu.memory_total)} free" for gpu in found.gpus
    )
    if found.gpus:
        return [engine, Finding("gpu", "ok", f"ggml finds {listed}.")]
    if drivers:
        flags = {"NVIDIA": "-DGGML_CUDA=ON", "AMD": "-DGGML_VULKAN=ON"}[drivers[0]]
        return [engine, Finding(
            "gpu", "warn",
            f"There is a GPU by {drivers[0]}, but this build of llama.cpp cannot use it; build one that can: "
            f"CMAKE_ARGS=\"{flags}\" pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python==0.3.36.",
        )]  # fmt: skip
    return [engine, Finding("gpu", "ok", f"ggml finds no GPU, so the engine computes on the CPU ({found.variant}).")]


def offload(model_id: str, reason: str) -> Finding:
    """`reason` is the engine's own sentence on where the layers go."""
    state: State = "warn" if reason.startswith("not even") else "ok"
    return Finding(f"offload {model_id}", state, f"{reason[:1].upper()}{reason[1:].rstrip('.')}.")


def outbox(waiting: int, most: int, oldest_s: float) -> Finding:
    """`waiting` results are not acknowledged, the oldest for `oldest_s` seconds."""
    if not waiting:
        return Finding("outbox", "ok", "No result waits to be delivered.")
    said = f"{waiting} results wait to be delivered, the oldest for {_duration(oldest_s)}"
    if waiting >= most:
        return Finding("outbox", "fail", f"{said}, and no more are taken; let the worker reach its coordinator.")
    if waiting >= BACKLOG or oldest_s > 3600:
        return Finding("outbox", "warn", f"{said}; `hive worker join` delivers them once it reaches the coordinator.")
    return Finding("outbox", "ok", f"{said}.")


def battery(percent: float | None, plugged: bool | None, works_on_battery: bool) -> Finding:
    """`percent` is None where there is no battery; `plugged` is None where the system does not say."""
    if percent is None:
        return Finding("battery", "ok", "This machine has no battery, or does not tell of one.")
    if plugged is False and not works_on_battery:
        return Finding("battery", "warn", f"On battery ({percent:.0f} %) the worker rests; plug the machine in.")
    return Finding("battery", "ok", f"The battery is at {percent:.0f} %{'' if plugged is False else ' and on mains'}.")


def temperature(hottest: float | None, limit: float) -> Finding:
    """In °C; None where the system tells of no sensor, `limit` 0 where the owner set none."""
    if hottest is None and limit:
        return Finding(
            "temperature", "warn", f"There is no sensor, so the limit of {limit:.0f} °C cannot be kept; use `threads`."
        )
    if hottest is None:
        return Finding("temperature", "ok", "The system tells of no temperature sensor, and no limit is set.")
    if limit and hottest >= limit:
        return Finding(
            "temperature", "warn", f"The hottest sensor is at {hottest:.0f} °C, your limit is {limit:.0f} °C."
        )
    return Finding("temperature", "ok", f"The hottest sensor is at {hottest:.0f} °C.")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
