"""What all commands of a worker share: the --json flag, and structs as what JSON holds."""

from typing import Annotated, Any

import msgspec
import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def builtins_of(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct as a dictionary of what JSON holds."""
    built: dict[str, Any] = msgspec.to_builtins(struct)
    return built
