"""What all commands of a worker share: the --json flag, structs as what JSON holds, and where a picture can be drawn."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, TextIO

import msgspec
import typer

from shared.errors import HiveError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class WorkerCommandError(HiveError):
    """A command cannot do what was asked; the message says why and what to do."""

    code = "worker_command"
    retryable = False


def builtins_of(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct as a dictionary of what JSON holds."""
    built: dict[str, Any] = msgspec.to_builtins(struct)
    return built


def is_screen(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a picture can be drawn there: a terminal, and one that is not told to stay plain."""
    return out.isatty() and environment.get("TERM") not in ("dumb", "unknown") and "NO_COLOR" not in environment
