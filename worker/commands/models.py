"""`hive worker models`: the model files of this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.home import hive_home
from worker import models as model_files
from worker.commands.shown import Json, builtins_of

models = typer.Typer(help="The model files of this machine.", no_args_is_help=True)


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """The models that this machine can serve."""
    found = model_files.local_models(hive_home()).values()
    if as_json:
        typer.echo(json.dumps([builtins_of(model) for model in found]))
        return
    for model in found:
        kind = "bundled" if model.bundled else "added"
        typer.echo(f"{model.id:<28}{model.size_bytes / 2**20:>9.1f} MiB{model.context:>9} tokens  {kind}")


@models.command("add")
def add_model(
    file: Annotated[Path, typer.Argument(help="A GGUF file.", exists=True, dir_okay=False, readable=True)],
    model_id: Annotated[str | None, typer.Option("--id", help="What to call it; by default the file's name.")] = None,
    as_json: Json = False,
) -> None:
    """Add a model file, pinned by its digest."""
    with Console(stderr=True).status(f"reading {file.name}"):
        model = model_files.add(hive_home(), file, model_id)
    typer.echo(json.dumps(builtins_of(model)) if as_json else f"added {model.id} (sha256 {model.digest})")
