"""Whether the worker works or rests now, and why. Pure: the machine, the rules and the time come in."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from shared.words import size
from worker.comfort.pauses import Asked
from worker.settings import Limits, When

COOLER: Final = 5.0
"""How many °C below its cap the processor must be before work goes on."""
SMALLER: Final = 0.9


class Machine(msgspec.Struct, frozen=True):
    """What was found about the machine; None is what nobody can tell here.

    `idle_s` is for how long nobody has used it, `programs` are those running that the worker gives way to, `gpu_program`
    is another program on the GPU (empty: none), `engine_bytes` is the memory of the engines; `sent` and `received` are
    bytes today.
    """

    idle_s: float | None = None
    on_battery: bool | None = None
    metered: bool | None = None
    celsius: float | None = None
    programs: tuple[str, ...] = ()
    gpu_program: str | None = None
    engine_bytes: int = 0
    sent: int = 0
    received: int = 0


class Run(msgspec.Struct, frozen=True):
    """Work."""


class Pause(msgspec.Struct, frozen=True):
    """Rest since `since`, for a `reason` in a sentence. `held` is when the reason was last seen to hold; from
    `urgent_since` on the machine is needed at once."""

    kind: str
    reason: str
    since: datetime
    held: datetime
    urgent_since: datetime | None = None


Verdict = Run | Pause


class _Reason(NamedTuple):
    """Why to rest."""

    kind: str
    sentence: str


# For how long a reason must be gone before work goes on, so that the worker does not flap.
_CALM_S: Final = {"program": 30.0, "gpu": 30.0, "battery": 10.0, "heat": 30.0, "memory": 600.0, "metered": 30.0}
_URGENT: Final = frozenset({"program", "gpu", "battery", "heat", "memory"})


def verdict(
    machine: Machine, when: When, limits: Limits, now: datetime, before: Verdict, asked: Asked | None = None
) -> Verdict:
    """What to do now, an aware local time, after `before`. What cannot be told pauses nothing: see `unchecked`."""
    reasons = [*_asked(asked, now), *_hours(when, now), *_found(machine, when, limits, before)]
    found = next((r for r in reasons if r.kind in _URGENT), reasons[0] if reasons else None)
    if found is not None:
        since = before.since if isinstance(before, Pause) else now
        return Pause(found.kind, found.sentence, since, now, _urgent_since(found, before, now))
    if isinstance(before, Pause) and now - before.held < timedelta(seconds=_CALM_S.get(before.kind, 0.0)):
        return before
    return Run()


def unchecked(machine: Machine, when: When, limits: Limits) -> list[str]:
    """The rules that nobody can check on this machine, each as the setting and what is not known."""
    wanted = {
        "when.idle_only: for how long nobody has used this machine": when.idle_only and machine.idle_s is None,
        "when.on_battery: whether it runs on battery": not when.on_battery and machine.on_battery is None,
        "when.metered: whether the network is metered": not when.metered and machine.metered is None,
        "when.pause_for_gpu: who uses the GPU": when.pause_for_gpu and machine.gpu_program is None,
        "limits.temperature: how hot the processor is": bool(limits.temperature) and machine.celsius is None,
    }
    return [rule for rule, is_unknown in wanted.items() if is_unknown]


def _asked(asked: Asked | None, now: datetime) -> Iterator[_Reason]:
    if asked is None or asked.over(now):
        return
    until = ""
    if asked.until is not None:
        end = datetime.fromtimestamp(asked.until / 1000, now.tzinfo)
        until = f" until {end:%H:%M}" if end - now < timedelta(days=1) else f" until {end:%d %b %H:%M}"
    yield _Reason("asked", f"you paused it{until}")


def _hours(when: When, now: datetime) -> Iterator[_Reason]:
    for hours in when.quiet_hours:
        if hours.hold(now):
            yield _Reason("hours", f"these are quiet hours ({hours.written})")


def _found(machine: Machine, when: When, limits: Limits, before: Verdict) -> Iterator[_Reason]:
    kind = before.kind if isinstance(before, Pause) else ""
    if machine.programs:
        yield _Reason("program", f"{machine.programs[0]} is running")
    if when.pause_for_gpu and machine.gpu_program:
        yield _Reason("gpu", f"{machine.gpu_program} uses the GPU")
    if not when.on_battery and machine.on_battery:
        yield _Reason("battery", "the machine runs on battery")
    cap = limits.temperature - (COOLER if kind == "heat" else 0.0)
    if limits.temperature and machine.celsius is not None and machine.celsius >= cap:
        yield _Reason("heat", f"the processor is at {machine.celsius:.0f} °C (the limit is {limits.temperature:.0f})")
    most = limits.memory * (SMALLER if kind == "memory" else 1.0)
    if limits.memory and machine.engine_bytes > most:
        yield _Reason("memory", f"the models hold {size(machine.engine_bytes)} (the limit is {size(limits.memory)})")
    if when.idle_only and machine.idle_s is not None and machine.idle_s < when.idle_minutes * 60:
        yield _Reason("idle", f"somebody uses the machine (it works after {when.idle_minutes:g} min without)")
    if not when.metered and machine.metered:
        yield _Reason("metered", "the network is metered")
    yield from _budgets(machine, limits)


def _budgets(machine: Machine, limits: Limits) -> Iterator[_Reason]:
    for done, used, most in (
        ("sent", machine.sent, limits.upload_per_day),
        ("received", machine.received, limits.download_per_day),
    ):
        if most and used >= most:
            yield _Reason("budget", f"today's {size(most)} are {done}")


def _urgent_since(found: _Reason, before: Verdict, now: datetime) -> datetime | None:
    if found.kind not in _URGENT:
        return None
    return (before.urgent_since if isinstance(before, Pause) else None) or now
