"""A finding of the doctor, and how a check is held to its time."""

import threading
from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from shared.errors import HiveError

State = Literal["ok", "warn", "fail"]
STATES: Final[tuple[State, ...]] = ("ok", "warn", "fail")
Show = Callable[[str], None]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and a sentence that says so and, where it is not well, what to do."""

    name: str
    state: State
    sentence: str


class Check(msgspec.Struct, frozen=True):
    """Something to look at within `seconds`; it may tell its progress."""

    name: str
    seconds: float
    look: Callable[[Show], list[Finding]]


def examined(checks: Iterable[Check], show: Show) -> list[Finding]:
    """The findings of all checks, in order: one that fails to look, or takes longer than its time, is a finding too."""
    found: list[Finding] = []
    for check in checks:
        show(check.name)
        found += _within(check, lambda said, name=check.name: show(f"{name}: {said}"))  # type: ignore[misc]
    return found


def worst(findings: Iterable[Finding]) -> State:
    """The worst state among them."""
    return max((finding.state for finding in findings), key=STATES.index, default="ok")


def _within(check: Check, show: Show) -> list[Finding]:
    """Looks in a thread of its own, since what hangs in the system cannot be called back; it ends with the process."""
    found: list[Finding] = []

    def look() -> None:
        try:
            found.extend(check.look(show))
        except (HiveError, OSError, ValueError) as error:
            found.append(Finding(check.name, "fail", _sentence(error)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(check.seconds)
    if thread.is_alive():
        return [Finding(check.name, "fail", f"There was no answer within {check.seconds:g} s.")]
    return found


def _sentence(error: Exception) -> str:
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    text = f"{error.filename}: {text}" if isinstance(error, OSError) and error.filename else text
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
