"""`hive status`: reads the options; what it does is loaded when it is done, so that help comes at once."""

from typing import Annotated

import typer

from client.options import Json, Url

status = typer.Typer(help="The swarm in numbers.", add_completion=False, pretty_exceptions_enable=False)


@status.command()
def show(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the swarm: who is there, what is computed, which models are served where. No key is needed."""
    from client.status.looking import look, look_on  # noqa: PLC0415 - see the module's docstring

    (look_on if watch else look)(url, as_json=as_json)
