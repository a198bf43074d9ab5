"""What the commands of a client share: their options, and where the swarm is. Empty text is an option that was not given."""

import os
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import Unauthorized
from shared.home import hive_home
from shared.reach import Reach, reach

Url = Annotated[
    str | None,
    typer.Option(
        help="The Hive's address (default: HIVE_BASE_URL, else the swarm that runs here).",
        metavar="URL",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Model = Annotated[str, typer.Option(help="The model (default: the first that is loaded somewhere).")]
Place = Annotated[str, typer.Option(help="Where it may be computed: EU, DE, 'IT,FR'.")]
Cell = Annotated[str, typer.Option(help="The H3 cell in or near which it is computed.")]
Tier = Annotated[str, typer.Option(help="The least tier of a worker: seedling to sovereign.")]
System = Annotated[str, typer.Option(help="The system prompt.")]
Files = Annotated[
    list[Path] | None, typer.Option("--file", help="A text file or a picture to send along; may be repeated.")
]
MaxTokens = Annotated[int | None, typer.Option(help="The longest answer, in tokens.", min=1)]
Temperature = Annotated[float | None, typer.Option(help="0 for the likeliest words.", min=0, max=2)]
Seed = Annotated[int | None, typer.Option(help="Makes the sampling repeatable.")]


def reached(url: str | None) -> Reach:
    """The Hive that is meant; the key may be None, which is enough for what is public."""
    return reach(url, os.environ, hive_home())


def with_key(url: str | None) -> Reach:
    """The Hive that is meant, with a key to it; raises Unauthorized with a sentence that says how to get one."""
    found = reached(url)
    if found.key is None:
        raise Unauthorized(
            f"No key for {found.url}: set HIVE_API_KEY (its operator makes one with 'hive keys create'), or start a swarm of "
            "your own with 'hive up'."
        )
    return found
