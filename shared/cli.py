"""The `hive` command: finds its sub-commands by entry point, so that no side is imported before it is asked for."""

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from shared.errors import HiveError

GROUP = "hive.commands"


class Commands(TyperGroup):
    """Sub-commands by the entry points of the group `hive.commands`, each loaded when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is Typer's
        """The names of all sub-commands, without loading one."""
        return sorted({entry.name for entry in entry_points(group=GROUP)})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is Typer's
        """The sub-command of this name, or None."""
        for entry in entry_points(group=GROUP, name=cmd_name):
            loaded = entry.load()
            command = get_command(loaded) if isinstance(loaded, typer.Typer) else loaded
            command.name = cmd_name
            return command
        return None


app = typer.Typer(
    cls=Commands,
    help="Hive: machines at home as one OpenAI-compatible inference service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(version("hive-swarm"))
        raise typer.Exit


@app.callback()
def hive(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Machines at home as one OpenAI-compatible inference service."""


def _give_up(sentence: str) -> NoReturn:
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("hive:", "red"), " ", sentence), soft_wrap=True)
    sys.exit(1)


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line; an error that a person can act on is one sentence on stderr and exit code 1."""
    try:
        app(args=list(args) if args is not None else None)
    except HiveError as e:
        _give_up(e.message)
    except OSError as e:
        _give_up(f"{e.filename}: {e.strerror}." if e.filename and e.strerror else f"{e}.")
    except KeyboardInterrupt:
        sys.exit(130)
