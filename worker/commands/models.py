"""`hive worker models`: the model files of this machine, and those that can be fetched."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import psutil
import typer
from rich.console import Console

from shared.catalogue import Listed, library, named, names
from shared.gguf.memory import Need
from shared.home import hive_home
from shared.words import size
from worker import models as model_files
from worker.commands.shown import Json, builtins_of
from worker.models import LocalModel, ModelError
from worker.report import lives, read_report

models = typer.Typer(help="The model files of this machine.", no_args_is_help=True)
COLUMNS: Final = ("id", "from", "size", "context", "quantization", "fits here")


class Line(msgspec.Struct, frozen=True):
    """A model as it is listed: sizes in bytes, contexts in tokens. `fits_context` is the longest answer with its prompt
    that this machine's memory has room for, 0 where the model is too large for it."""

    id: str
    source: str
    size_bytes: int
    context: int
    quantization: str
    licence: str
    fits: bool
    fits_context: int
    digest: str = ""
    path: str = ""
    bundled: bool = False


def _fetchable(incomplete: str) -> list[str]:
    return [name for name in names(library().values()) if name.startswith(incomplete)]


def _removable(incomplete: str) -> list[str]:
    here = model_files.local_models(hive_home()).values()
    return [model.id for model in here if not model.bundled and model.id.startswith(incomplete)]


@models.command("list")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Also those that `fetch` can get.")] = False,
    as_json: Json = False,
) -> None:
    """The models that this machine can serve, and whether they fit its memory."""
    from worker.fetching import left_over  # noqa: PLC0415 - the daemon loads this file, and never fetches

    memory = psutil.virtual_memory().total
    here = model_files.local_models(hive_home())
    lines = [_local(model, memory) for model in here.values()]
    if everything:
        lines += [_listed(model, memory) for name, model in library().items() if name not in here]
    if as_json:
        typer.echo(json.dumps([builtins_of(line) for line in lines]))
        return
    rows = [
        (line.id, line.source, size(line.size_bytes), str(line.context), line.quantization, _fitting(line))
        for line in lines
    ]
    for row in _aligned([COLUMNS, *rows]):
        typer.echo(row)
    if half := sum(part.stat().st_size for part in left_over(hive_home())):
        typer.echo(
            f"{size(half)} of unfinished fetches: fetch goes on with them, `rm --unfinished` deletes them", err=True
        )


@models.command("fetch")
def fetch_model(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="See `list --all`.", autocompletion=_fetchable)],
    sha256: Annotated[str, typer.Option(help="Fetch only the file with this digest.")] = "",
    most_bytes: Annotated[int, typer.Option(help="Fetch nothing larger than this (0: any size).", min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Even if the memory is too small for it.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch a model from the Hugging Face hub, or from the mirror that HF_ENDPOINT names; a cut one goes on."""
    from worker.fetching import Asking, fetch, room_of  # noqa: PLC0415 - as above

    listed = _known(model_id)
    room = room_of(hive_home(), psutil.virtual_memory().total)
    asking = Asking(digest=sha256.lower(), most_bytes=most_bytes, force=force)
    with _progress(f"fetching {listed.id}") as tell:
        model = fetch(hive_home(), listed, room, tell, asking)
    if as_json:
        typer.echo(json.dumps(builtins_of(model)))
        return
    typer.echo(f"{model.id} is here (sha256 {model.digest}, licence {listed.licence}); serve it with:")
    typer.echo(f"  hive worker join --model {model.id}")


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


@models.command("rm")
def remove_model(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="See `list`.", autocompletion=_removable)] = "",
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Instead: what fetches have left half done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a model off this machine, with its file."""
    if unfinished == bool(model_id):
        raise ModelError("say which model to remove, or --unfinished for what fetches have left half done")
    if unfinished:
        from worker.fetching import forget_left_over  # noqa: PLC0415 - as above

        freed = forget_left_over(hive_home())
        typer.echo(json.dumps({"freed_bytes": freed}) if as_json else f"{size(freed)} are free again")
        return
    report = read_report(hive_home())
    if report is not None and lives(report) and model_id in report.models:
        raise ModelError(f"the worker that runs here serves {model_id}; stop it first with `hive worker leave`")
    model = model_files.remove(hive_home(), model_id)
    typer.echo(json.dumps(builtins_of(model)) if as_json else f"removed {model.id} ({size(model.size_bytes)})")


def _known(name: str) -> Listed:
    listed = named(library(), name)
    if listed is None:
        raise ModelError(f"the library has no model {name}, only {', '.join(library())}; a file of yours goes by `add`")
    return listed


def _local(model: LocalModel, memory: int) -> Line:
    listed = library().get(model.id)
    return Line(
        id=model.id,
        source=model.source if not model.bundled else "bundled",
        size_bytes=model.size_bytes,
        context=model.context,
        quantization=model.quantization,
        licence=listed.licence if listed and model.source == "fetched" else "",
        digest=model.digest,
        path=model.path,
        bundled=model.bundled,
        **_room(model.need or Need(model.size_bytes, 0), model.context, memory),
    )


def _listed(model: Listed, memory: int) -> Line:
    return Line(
        id=model.id,
        source="hub",
        size_bytes=model.size_bytes,
        context=model.context,
        quantization=model.quantization,
        licence=model.licence,
        **_room(model.need, model.context, memory),
    )


def _room(need: Need, context: int, memory: int) -> dict[str, Any]:
    fits = need.fits(context, memory)
    return {"fits": fits, "fits_context": need.largest_context(context, memory, 1) if fits else 0}


def _fitting(line: Line) -> str:
    if not line.fits:
        return "no: too large"
    return "yes" if line.fits_context >= line.context else f"yes, up to {line.fits_context} tokens"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with each column as wide as its longest cell: nobody can copy half an id."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@contextmanager
def _progress(what: str) -> Iterator[Any]:
    """Shows how far a fetch is, on stderr and only to a terminal."""
    from rich import progress  # noqa: PLC0415 - a megabyte, and the daemon loads this file

    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
