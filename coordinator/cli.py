"""`hive coordinator` and `hive keys`: for the operator of a coordinator."""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from coordinator.models_cli import models
from coordinator.settings import ADMIN_KEY_FILE, Settings, load_secrets, load_settings
from shared.errors import HiveError, RequestError, Unauthorized, Unavailable
from shared.home import hive_home
from shared.processes import run_server
from shared.reach import running_here, same_listener

coordinator = typer.Typer(help="Run a coordinator.", no_args_is_help=True, pretty_exceptions_enable=False)
keys = typer.Typer(help="API keys of a running coordinator.", no_args_is_help=True, pretty_exceptions_enable=False)
coordinator.add_typer(models, name="models")
PLANS: Final = ("enterprise",)
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def _settings(**flags: Any) -> Settings:
    return load_settings(os.environ, flags, hive_home())


@coordinator.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address of the public API.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the public API.", min=0, max=65535)] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Port of the admin API and /metrics (loopback).", min=0, max=65535)
    ] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Write the addresses here when it listens.")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. Without HIVE_DATABASE_URL an embedded PostgreSQL runs beside it."""
    from coordinator.app import serve_until_stopped  # noqa: PLC0415 - `hive keys` should not load the server

    run_server(serve_until_stopped(_settings(host=host, port=port, admin_port=admin_port, ready_file=ready_file)))


@coordinator.command()
def migrate() -> None:
    """Bring the database at HIVE_DATABASE_URL to this version's tables."""
    from coordinator.store.migrate import migrate as run  # noqa: PLC0415 - alembic is needed here alone

    settings = _settings()
    if not settings.database_url:
        raise RequestError(
            "HIVE_DATABASE_URL is not set; the embedded PostgreSQL is migrated by 'hive coordinator serve'."
        )
    with Console(stderr=True).status("migrating"):
        asyncio.run(run(settings.database_url))
    typer.echo("the database has this version's tables")


@keys.command()
def create(
    plan: Annotated[
        str, typer.Option(help="enterprise (free and pro come with rate limits, in a later version).")
    ] = "enterprise",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    budget: Annotated[str, typer.Option(help="The most GNS that this key may spend.")] = "",
    models: Annotated[str, typer.Option(help="The only models it may use, by comma.")] = "",
    account: Annotated[str, typer.Option(help="An existing account's id (default: a new account).")] = "",
    grant: Annotated[str, typer.Option(help="GNS to put on the account.")] = "",
    as_json: Json = False,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    if plan not in PLANS:
        raise RequestError(f"--plan {plan} needs rate limits, which this version does not have; use --plan enterprise.")
    wanted = {
        "plan": plan,
        "name": name,
        "budget": budget or None,
        "account_id": account or None,
        "grant": grant or None,
    }
    made = _admin("POST", "/admin/keys", wanted | {"models": [m for m in models.split(",") if m] or None})
    typer.echo(json.dumps(made) if as_json else f"{made['key']}\n(account {made['account_id']}; it is shown this once)")


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """List keys without their secrets."""
    rows = _admin("GET", "/admin/keys")["data"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None)
    for name in ("prefix", "name", "plan", "budget", "created", "revoked"):
        table.add_column(name, no_wrap=name != "name")
    for row in rows:
        days = (row["created_at"][:10], (row["revoked_at"] or "")[:10])
        cells = (row["prefix"], row["name"], row["plan"], row["budget"], *days)
        table.add_row(*("–" if cell in (None, "") else str(cell) for cell in cells))
    Console().print(table)


@keys.command()
def revoke(key: Annotated[str, typer.Argument(help="The key's id or prefix.")]) -> None:
    """Revoke a key; requests with it are refused within a second."""
    _admin("DELETE", f"/admin/keys/{key}")
    typer.echo(f"{key} is revoked")


def _admin(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Asks the admin listener; raises a HiveError in its words, or one that says how to reach it."""
    url, key = _where()
    import httpx  # noqa: PLC0415 - 5 MB that a server does without

    try:
        answer = httpx.request(method, url + path, json=body, headers={"authorization": f"Bearer {key}"}, timeout=10)
    except httpx.TransportError as e:
        raise Unavailable(f"No coordinator answers at {url}; start one, or set HIVE_ADMIN_URL.") from e
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"{url}{path} answered {answer.status_code}"
    raise HiveError(message)


def _where() -> tuple[str, str]:
    """The admin listener's address and key: from the environment, else those of the swarm or the coordinator that runs
    on this machine, whose key is sent to no other address."""
    url, key = os.environ.get("HIVE_ADMIN_URL", "").rstrip("/"), os.environ.get("HIVE_ADMIN_KEY")
    here = running_here(hive_home())
    if here is not None and (not url or same_listener(url, here.admin_url)):
        url, key = here.admin_url, key or here.admin_key
    settings = _settings()
    own = f"http://{settings.admin_host}:{settings.admin_port}"
    if not (url and key) and (settings.state_dir / ADMIN_KEY_FILE).exists() and (not url or same_listener(url, own)):
        url, key = own, key or load_secrets(settings.state_dir).admin_key
    if not (url and key):
        raise Unauthorized(
            "No coordinator has run here: set HIVE_ADMIN_URL and HIVE_ADMIN_KEY, or start a swarm with 'hive up'."
        )
    return url, key
