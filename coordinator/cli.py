"""`hive coordinator`, and where `hive keys` is found: for the operator of a coordinator."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from coordinator.keys_cli import keys
from coordinator.models_cli import models
from coordinator.settings import Settings, load_settings
from shared.errors import RequestError
from shared.home import hive_home
from shared.processes import run_server

__all__ = ["coordinator", "keys"]

coordinator = typer.Typer(help="Run a coordinator.", no_args_is_help=True, pretty_exceptions_enable=False)
coordinator.add_typer(models, name="models")


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
