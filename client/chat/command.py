"""`hive chat`: reads the options; what it does is loaded when it is done, so that help comes at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from client.given import has_input
from client.options import Json, Url
from shared.errors import RequestError

chat = typer.Typer(help="Chat with the swarm.", add_completion=False, pretty_exceptions_enable=False)


@chat.command()
def talk(
    words: Annotated[
        list[str] | None, typer.Argument(help="The question; without one a conversation begins.", metavar="QUESTION")
    ] = None,
    model: Annotated[str, typer.Option(help="The model (default: the first that is loaded somewhere).")] = "",
    place: Annotated[str, typer.Option(help="Where it may be computed: EU, DE, 'IT,FR'.")] = "",
    cell: Annotated[str, typer.Option(help="The H3 cell in or near which it is computed.")] = "",
    tier: Annotated[str, typer.Option(help="The least tier of a worker: seedling to sovereign.")] = "",
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    file: Annotated[
        list[Path] | None, typer.Option(help="A text file or a picture to send along; may be repeated.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer, in tokens.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="0 for the likeliest words.", min=0, max=2)] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the sampling repeatable.")] = None,
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
