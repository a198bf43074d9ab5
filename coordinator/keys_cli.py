"""`hive keys`: the API keys of a running coordinator, through its admin listener."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from coordinator.settings import ADMIN_KEY_FILE, load_secrets, load_settings
from coordinator.submit.plans import PLANS
from shared.durations import duration_of
from shared.errors import HiveError, RequestError, Unauthorized, Unavailable
from shared.home import hive_home
from shared.reach import running_here, same_listener

keys = typer.Typer(help="API keys of a running coordinator.", no_args_is_help=True, pretty_exceptions_enable=False)

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Key = Annotated[str, typer.Argument(help="The key's id or prefix.")]
Plan = Annotated[str, typer.Option(help=f"{', '.join(PLANS)}; without one 60 requests and 150000 tokens a minute.")]
Name = Annotated[str, typer.Option(help="What the key is for.")]
Budget = Annotated[str, typer.Option(help="The most GNS that this key may spend.")]
Recharge = Annotated[str, typer.Option(help="GNS by which the budget grows from the account when it is too small.")]
RechargeBelow = Annotated[str, typer.Option(help="Recharge also when less than this would be left.")]
RechargeDaily = Annotated[str, typer.Option(help="The most GNS to recharge in a UTC day.")]
Models = Annotated[str, typer.Option(help="The only models it may use, by comma.")]
Scopes = Annotated[str, typer.Option(help="What it may do, by comma: inference, jobs, read (default: all).")]
Rpm = Annotated[int | None, typer.Option(help="Requests a minute, in place of the plan's.", min=1)]
Tpm = Annotated[int | None, typer.Option(help="Tokens a minute, in place of the plan's.", min=1)]
AtOnce = Annotated[int | None, typer.Option(help="Jobs that run at once; more of them wait.", min=1)]
Expires = Annotated[str, typer.Option(help="When it ends: in 30d, in 12h, or on 2030-01-31 (UTC).")]
Account = Annotated[str, typer.Option(help="An existing account's id (default: a new account).")]
Grant = Annotated[str, typer.Option(help="GNS to put on the account.")]
Overlap = Annotated[str, typer.Option(help="How long the present secret still works: 0s, 30m, 24h, up to 30d.")]

COLUMNS: Final = ("prefix", "name", "plan", "limits", "budget", "ends")


@keys.command()
def create(
    plan: Plan = "", name: Name = "", budget: Budget = "", models: Models = "", rpm: Rpm = None, tpm: Tpm = None,
    at_once: AtOnce = None, scopes: Scopes = "", expires: Expires = "", recharge: Recharge = "",
    recharge_below: RechargeBelow = "", recharge_daily: RechargeDaily = "", account: Account = "", grant: Grant = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a key and print it, once: only its hash is kept."""
    wanted = {
        "plan": plan, "name": name, "budget": budget, "models": _listed(models), "rpm": rpm, "tpm": tpm,
        "at_once": at_once, "scopes": _listed(scopes), "expires_at": expires and _moment(expires, datetime.now(UTC)),
        "recharge": recharge, "recharge_below": recharge_below, "recharge_daily": recharge_daily, "account_id": account,
        "grant": grant,
    }  # fmt: skip
    made = ask_admin("POST", "/admin/keys", {field: value or None for field, value in wanted.items()})
    typer.echo(json.dumps(made) if as_json else f"{made['key']}\n(account {made['account_id']}; it is shown this once)")


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """List keys without their secrets."""
    rows = ask_admin("GET", "/admin/keys")["data"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None)
    for name in COLUMNS:
        table.add_column(name, no_wrap=name in ("prefix", "plan"), overflow="fold")
    for row in rows:
        revoked = row["revoked_at"] and f"revoked {row['revoked_at'][:10]}"
        ends = revoked or (row["expires_at"] or "")[:10]
        cells = (row["prefix"], row["name"], row["plan"], _limits(row["limits"]), row["budget"], ends)
        table.add_row(*("–" if cell in (None, "") else str(cell) for cell in cells))
    Console().print(table)


@keys.command()
def rotate(key: Key, overlap: Overlap = "24h", as_json: Json = False) -> None:
    """Give a key a new secret and print it, once; the present one works until the overlap ends."""
    length = duration_of(overlap)
    if length is None:
        raise RequestError(f'--overlap {overlap[:20]} is no length of time; one looks like "24h" or "0s".')
    made = ask_admin("POST", f"/admin/keys/{key}/rotate", {"overlap_s": int(length.total_seconds())})
    said = f"{made['key']}\n({made['old_prefix']}… works until {made['old_until']}; the new one is shown this once)"
    typer.echo(json.dumps(made) if as_json else said)


@keys.command()
def revoke(key: Key, as_json: Json = False) -> None:
    """Revoke a key; requests with it are refused within a second."""
    revoked = ask_admin("DELETE", f"/admin/keys/{key}")
    typer.echo(json.dumps(revoked) if as_json else f"{key} is revoked")


def ask_admin(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
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
    settings = load_settings(os.environ, {}, hive_home())
    own = f"http://{settings.admin_host}:{settings.admin_port}"
    if (
        not (url and key)
        and (settings.secrets_folder / ADMIN_KEY_FILE).exists()
        and (not url or same_listener(url, own))
    ):
        url, key = own, key or load_secrets(settings.secrets_folder).admin_key
    if not (url and key):
        raise Unauthorized(
            "No coordinator has run here: set HIVE_ADMIN_URL and HIVE_ADMIN_KEY, or start a swarm with 'hive up'."
        )
    return url, key


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _moment(text: str, now: datetime) -> str:
    """A length of time from now, or a day or time, as ISO 8601; a day without a time zone is UTC's."""
    length = duration_of(text.removeprefix("in "))
    if length is not None:
        return (now + length).isoformat()
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError as e:
        raise RequestError(f'--expires {text[:40]} is no time; it looks like "30d", "12h" or "2030-01-31".') from e


def _limits(limits: dict[str, Any]) -> str:
    """What a key may do, a line for each limit."""
    said = []
    if limits["requests"] is not None:
        said.append(f"{limits['requests']}/{'day' if limits['daily'] else 'min'}")
    if limits["tokens"] is not None:
        said.append(f"{limits['tokens']} tokens/min")
    if limits["at_once"] is not None:
        said.append(f"{limits['at_once']} at once")
    return "\n".join(said)
