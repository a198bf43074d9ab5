"""The guards that one coordinator has, which of them a request goes through, and what it is told when it does not."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from coordinator.guard.guard import Finding, Guard, Text
from coordinator.guard.injection import PromptInjection
from coordinator.guard.pii import Pii
from coordinator.guard.toxicity import Toxicity
from shared.errors import Forbidden, RequestError

HEADER: Final = "x-hive-guard"
GROUP: Final = "hive.guards"
NONE: Final = "none"
SHORT: Final = 1_500
"""Texts of more characters are looked at in a thread: the event loop has others to serve."""

BUILT_IN: Final = (PromptInjection, Toxicity, Pii)


class Gate:
    """Guards by their names; `default` are the operator's own choice for requests that choose none."""

    def __init__(self, known: Mapping[str, Guard], default: Sequence[str]) -> None:
        """Raises RequestError for a default guard that is not known."""
        self.known = known
        self.default = [self._named(name.strip()) for name in default if name.strip()]

    def chosen(self, header: str | None) -> list[Guard]:
        """The guards that a request goes through: those it names, none for `none`, the operator's where it says nothing;
        raises RequestError for a name that no guard has."""
        names = [name.strip().lower() for name in (header or "").split(",") if name.strip()]
        if names == [NONE]:
            return []
        return [self._named(name) for name in dict.fromkeys(names)] or self.default

    def _named(self, name: str) -> Guard:
        guard = self.known.get(name)
        if guard is None:
            every = ", ".join(sorted([*self.known, NONE]))
            raise RequestError(f"{HEADER}: there is no guard {name[:40]!r}; known are {every}.", param=HEADER)
        return guard


async def admit(guards: Sequence[Guard], texts: Sequence[Text]) -> None:
    """Returns once every guard has let the texts through; raises Forbidden `blocked_by_guardrail` if one does not. Guards that
    others brought work in a thread, whatever they do there."""
    quick = sum(len(text.text) for text in texts) <= SHORT and all(isinstance(guard, BUILT_IN) for guard in guards)
    refused = _first(guards, texts) if quick else await asyncio.to_thread(_first, guards, texts)
    if refused is not None:
        raise _blocked(*refused)


def installed(points: Iterable[EntryPoint] | None = None) -> dict[str, Guard]:
    """The built-in guards and those that installed packages bring as entry points of the group `hive.guards`: each names
    something that makes a guard when it is called. RequestError for one that cannot be loaded or whose name is taken."""
    known: dict[str, Guard] = {guard.name: guard for guard in (made() for made in BUILT_IN)}
    for point in _points() if points is None else points:
        try:
            guard: Guard = point.load()()
            name = guard.name
        except Exception as e:  # foreign code may raise anything; without the guard nothing may be served
            raise RequestError(f"The guard {point.name} ({point.value}) cannot be loaded: {type(e).__name__}.") from e
        if name in known or name == NONE or name != name.strip().lower() or "," in name:
            raise RequestError(f"The guard {point.name} ({point.value}) cannot be called {name!r}.")
        known[name] = guard
    return known


@cache
def _points() -> tuple[EntryPoint, ...]:
    """What is installed does not change while a process runs, and to look through it takes long."""
    return tuple(entry_points(group=GROUP))


def _first(guards: Sequence[Guard], texts: Sequence[Text]) -> tuple[Guard, Finding] | None:
    """The first guard that refuses one of the texts, with what it found."""
    for guard in guards:
        if (finding := guard.check(texts)) is not None:
            return guard, finding
    return None


def _blocked(guard: Guard, finding: Finding) -> Forbidden:
    return Forbidden(
        f"The guard {guard.name} refuses {finding.where}: it found {finding.kind}. Its method: {guard.method}. "
        f"If it is wrong, send the header {HEADER} with the guards that you want, or {NONE}.",
        code="blocked_by_guardrail",
        param=finding.where,
        details={"guard": guard.name, "kind": finding.kind},
    )
