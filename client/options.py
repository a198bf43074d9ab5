"""What the commands of a client share: where the swarm is, and --json."""

import os
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
