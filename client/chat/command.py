"""`hive chat`: reads the options; what it does is loaded when it is done, so that help comes at once."""

import sys
from typing import Annotated

import typer

from client.given import has_input
from client.options import Cell, Files, Json, MaxTokens, Model, Place, Seed, System, Temperature, Tier, Url
from shared.errors import RequestError

chat = typer.Typer(help="Chat with the swarm.", add_completion=False, pretty_exceptions_enable=False)


@chat.command()
def talk(
    words: Annotated[
        list[str] | None, typer.Argument(help="The question; without one a conversation begins.", metavar="QUESTION")
    ] = None,
    model: Model = "",
    place: Place = "",
    cell: Cell = "",
    tier: Tier = "",
    system: System = "",
    file: Files = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not keep what is typed.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask one question, or without one talk in the terminal. What is piped in goes along with the question."""
    from client.chat.run import Asked, converse, once  # noqa: PLC0415 - the OpenAI package takes a second to load

    asked = Asked(
        model=model, jurisdiction=place, cell=cell, tier=tier, system=system, files=tuple(file or ()), url=url,
        max_tokens=max_tokens, temperature=temperature, seed=seed,
    )  # fmt: skip
    if words or has_input():
        once(asked, " ".join(words or ()), as_json=as_json)
    elif as_json or not sys.stdout.isatty():
        raise RequestError('Say what to ask: hive chat "…", or pipe it in.')
    else:
        converse(asked, keeps_history=not no_history)
