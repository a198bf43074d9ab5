"""`hive jobs`: reads the options; what it does is loaded when it is done, so that help and completion come at once."""

from datetime import datetime
from typing import Annotated, Any

import typer

from client.options import Cell, Files, Json, MaxTokens, Model, Place, Seed, System, Temperature, Tier, Url

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
Words = Annotated[list[str] | None, typer.Argument(help="The prompt; what is piped in goes along.", metavar="PROMPT")]
Raw = Annotated[bool, typer.Option("--raw", help="Give the prompt to the model as it is, without its template.")]
IdempotencyKey = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key is the same job, for a day.")
]


@jobs.command()
def submit(
    words: Words = None,
    model: Model = "",
    place: Place = "",
    cell: Cell = "",
    strict: Annotated[bool, typer.Option("--strict", help="In that cell only, not near it.")] = False,
    tier: Tier = "",
    system: System = "",
    file: Files = None,
    raw: Raw = False,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    batch: Annotated[bool, typer.Option("--batch", help="It can wait: others go first.")] = False,
    deadline: Annotated[float | None, typer.Option(help="Seconds after which it is given up.", min=1)] = None,
    reward: Annotated[str | None, typer.Option(help="All that you pay, in GNS (default: the model's price).")] = None,
    store: Annotated[bool, typer.Option("--store", help="Keep the result for 30 days instead of one.")] = False,
    callback: Annotated[str | None, typer.Option("--callback-url", help="Whom the Hive tells of its end.")] = None,
    key: IdempotencyKey = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Submit a job and print its id: accepted, it ends, whatever happens to this terminal."""
    from client.jobs.acting import submit as act  # noqa: PLC0415 - see the module's docstring

    wanted: dict[str, Any] = {
        "jurisdiction": place or None, "h3_cell": cell or None, "strict_cell": strict or None, "min_trust_tier": tier or None,
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
