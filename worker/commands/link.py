"""`hive worker link` and `unlink`: whose machine this is, so that the owner's own requests go first on it."""

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from shared.errors import HiveError
from shared.home import hive_home
from shared.worker_request import HEADER, signed
from worker.commands.earnings import Coordinator
from worker.commands.shown import Json
from worker.identity import Identity, existing_identity

if TYPE_CHECKING:
    import httpx

MOST_LETTERS = 300
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="HIVE_API_KEY", help="An API key of your account; without it, it is asked for."),
]
Spend = Annotated[
    bool, typer.Option("--spend", help="What this worker earns goes to your account's balance, for your own requests.")
]


class LinkError(HiveError):
    """The worker could not be linked or parted; the message says why and what to do."""

    code = "link"
    retryable = False


def link(api_key: ApiKey = None, spend: Spend = False, coordinator: Coordinator = None, as_json: Json = False) -> None:
    """Link this worker to your account: your own requests go first on it."""
    told = _asked("POST", coordinator, {"spend": spend}, api_key or _typed_key())
    said = f"This worker is linked to {_printable(told.get('owner'))}"
    what = "what it earns goes to that account's balance when it is due" if spend else "it is paid what it earns"
    typer.echo(json.dumps(told) if as_json else f"{said}; {what}.")


def unlink(coordinator: Coordinator = None, as_json: Json = False) -> None:
    """Part this worker from the account that it is linked to."""
    told = _asked("DELETE", coordinator)
    typer.echo(json.dumps(told) if as_json else "This worker is linked to no account.")


def _typed_key() -> str:
    if not sys.stdin.isatty():
        raise LinkError("there is no terminal to ask for an API key; give it with --api-key, or in HIVE_API_KEY")
    return str(typer.prompt("API key", hide_input=True))


def _asked(method: str, coordinator: str | None, body: Any = None, api_key: str | None = None) -> dict[str, Any]:
    """The coordinator's answer to a request of this worker about its owner; raises LinkError."""
    import httpx  # noqa: PLC0415 - the daemon loads this file, and does without httpx

    from worker.asking import base_url, client, coordinator_of  # noqa: PLC0415 - the same

    home = hive_home()
    who, where = existing_identity(home), coordinator or coordinator_of(home, os.environ)
    host = urlsplit(base_url(where)).netloc
    path, headers = _signed(who, method, host)
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    try:
        with Console(stderr=True).status("asking the coordinator"), client(where) as asking:
            return _read(asking.request(method, path, headers=headers, json=body), host)
    except httpx.HTTPError as error:
        raise LinkError(
            f"the coordinator at {host} does not answer ({type(error).__name__}); `hive worker doctor` says more"
        ) from error


def _signed(who: Identity, method: str, host: str) -> tuple[str, dict[str, str]]:
    path = f"/hive/workers/{who.pk}/owner"
    return path, {HEADER: signed(who.key, method, host, path, time.time_ns() // 1_000_000)}


def _read(answer: "httpx.Response", host: str) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise LinkError(f"{host} answered with {answer.status_code} and no JSON; is it a coordinator?")
    if answer.status_code != 200:
        error = told.get("error")
        why = error.get("message") if isinstance(error, dict) else None
        raise LinkError(f"{host} refused: {_printable(why) or answer.status_code}")
    return told


def _printable(text: object) -> str:
    """A coordinator's words, which no terminal obeys."""
    return "".join(letter for letter in str(text or "")[:MOST_LETTERS] if letter.isprintable())
