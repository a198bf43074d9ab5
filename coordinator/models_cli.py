"""`hive coordinator models`: which models callers can ask this coordinator for."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from coordinator.pinned import FOLDER, Card, Terms, cards, pin_file, pin_listed, servable, unpin
from coordinator.settings import load_settings
from shared.catalogue import library, named, names
from shared.errors import RequestError
from shared.home import hive_home
from shared.ids import to_gns, to_stroops

models = typer.Typer(help="The models that callers can ask for.", no_args_is_help=True, pretty_exceptions_enable=False)
LATER: Final = "a running coordinator knows it after a restart"
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def _folder() -> Path:
    return load_settings(os.environ, {}, hive_home()).state_dir / FOLDER


def _addable(incomplete: str) -> list[str]:
    return [name for name in names(library().values()) if name.startswith(incomplete)]


def _pinned(incomplete: str) -> list[str]:
    return [card.id for card, _ in cards(_folder(), lambda _: None) if card.id.startswith(incomplete)]


@models.command("list")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Also those of the library that can be added.")] = False,
    as_json: Json = False,
) -> None:
    """The models that this coordinator serves once it is started: bundled and pinned ones."""
    found = servable(_folder(), lambda problem: typer.echo(problem, err=True))
    rows = [
        _row(entry, "bundled" if not entry.path.is_relative_to(_folder()) else "pinned") for entry in found.values()
    ]
    if everything:
        rows += [_row(listed, "hub") for name, listed in library().items() if name not in found]
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        for row in rows:
            prices = f"{to_gns(row['price_in']):f} / {to_gns(row['price_out']):f} GNS"
            typer.echo(
                f"{row['id']:<36}{row['from']:<9}{row['context']:>8} tokens  {row['quantization']:<8}{prices:>16}"
            )


@models.command("add")
def add_model(
    what: Annotated[
        str, typer.Argument(metavar="ID_OR_FILE", help="Of `list --all`, or a GGUF.", autocompletion=_addable)
    ],
    model_id: Annotated[str | None, typer.Option("--id", help="What callers name it; needed for a file.")] = None,
    price_in: Annotated[str, typer.Option(help="GNS per million input tokens (default: as listed, or by size).")] = "",
    price_out: Annotated[str, typer.Option(help="GNS per million output tokens.")] = "",
    guard: Annotated[
        bool, typer.Option("--guard", help="It judges texts as Llama Guard does, for /v1/moderations.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Pin a model by its digest. Of a listed one only the header is fetched, to count tokens with."""
    terms = Terms(model_id, _stroops("--price-in", price_in), _stroops("--price-out", price_out), guard)
    listed, file = named(library(), what), Path(what)
    with Console(stderr=True).status(f"pinning {what}"):
        if listed is not None:
            card = pin_listed(_folder(), listed, terms)
        elif file.is_file():
            card = pin_file(_folder(), file, terms)
        else:
            raise RequestError(f"{what} is neither a file nor in the library ({', '.join(library())}).")
    _tell(card, f"{card.id} is pinned (sha256 {card.digest}); {LATER}", as_json)


@models.command("rm")
def remove_model(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="Of `list`.", autocompletion=_pinned)],
    as_json: Json = False,
) -> None:
    """Take a pinned model away; jobs for it that wait then find nobody."""
    card = unpin(_folder(), model_id)
    _tell(card, f"{card.id} is no longer pinned; a running coordinator serves it until its restart", as_json)


def _tell(card: Card, sentence: str, as_json: bool) -> None:
    typer.echo(json.dumps(msgspec.to_builtins(card)) if as_json else sentence)


def _row(model: Any, source: str) -> dict[str, Any]:
    own = {"digest": getattr(model, "digest", ""), "guard": getattr(model, "guard", False)}
    shown = ("id", "aliases", "context", "size_bytes", "quantization", "licence", "price_in", "price_out")
    return {"from": source, **{name: getattr(model, name) for name in shown}, **own}


def _stroops(option: str, gns: str) -> int | None:
    try:
        return int(to_stroops(gns)) if gns else None
    except ValueError as error:
        raise RequestError(f"{option}: {error}.") from error
