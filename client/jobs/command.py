"""`hive jobs`: reads the options; what it does is loaded when it is done, so that help and completion come at once."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from client.options import Json, Url

jobs = typer.Typer(
    help="Jobs: submit, follow, cancel.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _known_jobs(incomplete: str) -> list[tuple[str, str]]:
    from client.jobs.naming import offered  # noqa: PLC0415 - see the module's docstring

    return offered(incomplete)


JobId = Annotated[
    str,
    typer.Argument(metavar="JOB", help="Its id, or the first digits of a recent one's.", autocompletion=_known_jobs),
]


@jobs.command()
def submit(
    words: Annotated[
        list[str] | None, typer.Argument(help="The prompt; what is piped in goes along.", metavar="PROMPT")
    ] = None,
    model: Annotated[str, typer.Option(help="The model (default: the first that is loaded somewhere).")] = "",
    place: Annotated[str | None, typer.Option(help="Where it may be computed: EU, DE, 'IT,FR'.")] = None,
    cell: Annotated[str | None, typer.Option(help="The H3 cell in or near which it is computed.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="In that cell only, not near it.")] = False,
    tier: Annotated[str | None, typer.Option(help="The least tier of a worker: seedling to sovereign.")] = None,
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    file: Annotated[list[Path] | None, typer.Option(help="A text file to send along; may be repeated.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Give the prompt to the model as it is, without its template.")
    ] = False,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer, in tokens.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="0 for the likeliest words.", min=0, max=2)] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the sampling repeatable.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="It can wait: others go first.")] = False,
    deadline: Annotated[float | None, typer.Option(help="Seconds after which it is given up.", min=1)] = None,
    reward: Annotated[str | None, typer.Option(help="All that you pay, in GNS (default: the model's price).")] = None,
    store: Annotated[bool, typer.Option("--store", help="Keep the result for 30 days instead of one.")] = False,
    callback: Annotated[str | None, typer.Option("--callback-url", help="Whom the Hive tells of its end.")] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key is the same job, for a day.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Submit a job and print its id: accepted, it ends, whatever happens to this terminal."""
    from client.jobs.acting import submit as act  # noqa: PLC0415 - see the module's docstring

    wanted: dict[str, Any] = {
        "jurisdiction": place, "h3_cell": cell, "strict_cell": strict or None, "min_trust_tier": tier,
        "raw": raw or None, "max_tokens": max_tokens, "temperature": temperature, "seed": seed,
        "priority": "batch" if batch else None, "deadline_s": deadline, "store": store or None, "callback_url": callback,
        "idempotency_key": key,
    }  # fmt: skip
    act(url, " ".join(words or ()), model, system, file or [], reward, wanted, watch=watch, as_json=as_json)


@jobs.command()
def get(job: JobId, url: Url = None, as_json: Json = False) -> None:
    """Show a job and its result."""
    from client.jobs.acting import get as act  # noqa: PLC0415 - see the module's docstring

    act(url, job, as_json=as_json)


@jobs.command()
def why(job: JobId, url: Url = None, as_json: Json = False) -> None:
    """Say why a job waits and what would change that, or what became of it."""
    from client.jobs.explaining import why as act  # noqa: PLC0415 - see the module's docstring

    act(url, job, as_json=as_json)


@jobs.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only these: pending, assigned, computing, completed, …")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    from client.jobs.acting import list_jobs as act  # noqa: PLC0415 - see the module's docstring

    act(url, status, limit, as_json=as_json)


@jobs.command()
def cancel(job: JobId, url: Url = None, as_json: Json = False) -> None:
    """Cancel a job; what was made until then is paid."""
    from client.jobs.acting import cancel as act  # noqa: PLC0415 - see the module's docstring

    act(url, job, as_json=as_json)


@jobs.command()
def watch(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]", help="Its id; without one all that have not ended.", autocompletion=_known_jobs
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Follow a job, or all that have not ended: status, worker, place and tokens as they come. Leaving changes nothing."""
    from client.jobs.watching import watch as act  # noqa: PLC0415 - see the module's docstring

    act(url, job, as_json=as_json)


@jobs.command()
def usage(
    by: Annotated[
        str, typer.Option(help="By what it is told: day, key, model, with commas; empty for one sum.")
    ] = "day,model",
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, UTC (default: 30 days).")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, UTC.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what the account used, what that cost, and what is left."""
    from client.jobs.using import usage as act  # noqa: PLC0415 - see the module's docstring

    act(url, by, first and first.date(), last and last.date(), as_json=as_json)
