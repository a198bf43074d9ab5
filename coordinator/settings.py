"""What an operator can set: read once from the environment over `config.toml`, then frozen."""

import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from nacl.signing import SigningKey

from coordinator.outside.addresses import allowed
from shared.errors import RequestError
from shared.files import make_private, read_private
from shared.geo.jurisdiction import InvalidJurisdiction, checked_groups

KEPT_DAYS: Final = 33
"""Results are kept for 30 days, and a job may have been a day old when it ended."""

PREFIX: Final = "HIVE_"
SECRET_BYTES: Final = 32
ADMIN_PREFIX: Final = "hive-admin-"
ADMIN_KEY_FILE: Final = "admin.key"


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Days = Annotated[int, msgspec.Meta(ge=KEPT_DAYS)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is `HIVE_<NAME>` in the environment and `<name>` under `[coordinator]` in `config.toml`.

    `public_host` is the name that workers dial (host or host:port), signed into the challenge. `pay_held_jobs` and
    `pay_held_hours` say how long a worker's pay waits; `payout_threshold` is in stroops, `payout_age_s` in seconds.
    `groups` are the operator's own jurisdictions, each a comma list (`DACH=DE,AT,CH;OTHER=…` in the environment).
    `callback_allow` are the addresses, CIDR blocks and `host:port` that callers may name besides public ones.
    `default_model` serves those requests of thehive's V2 that name none. `guards` look at requests that choose none.
    The files of an account may have `file_quota` bytes in all.
    Coordinators of one fleet share a database, the secrets in `secrets_dir` (`state_dir` where it is not set) and the NATS
    servers at `nats_url` (several by comma).
    Jobs, attempts and events are forgotten after `keep_days`; money and receipts never are.
    Without `database_url` an embedded PostgreSQL runs in `state_dir`; without `horizon_url` nothing is paid out.
    """

    state_dir: Path
    secrets_dir: Path | None = None
    database_url: str = ""
    nats_url: str = ""
    host: str = "127.0.0.1"
    port: Port = 8080
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8081
    public_host: str = ""
    horizon_url: str = ""
    ledger_keys: Path | None = None
    pay_held_jobs: Count = 50
    pay_held_hours: Count = 72
    payout_threshold: Count = 10_000_000
    payout_age_s: Count = 3600
    trusted_proxies: list[str] = []
    groups: dict[str, str] = {}
    callback_allow: list[str] = []
    default_model: str = ""
    guards: list[str] = []
    file_quota: Count = 2 * 2**30
    keep_days: Days = 40
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    ready_file: Path | None = None

    @property
    def secrets_folder(self) -> Path:
        """Where the secrets are."""
        return self.secrets_dir or self.state_dir


class Secrets(msgspec.Struct, frozen=True):
    """A fleet's own, the same at all of its coordinators: signing key, the key of the API-key hashes, the admin key."""

    server_key: SigningKey
    pepper: bytes
    admin_key: str

    def __repr__(self) -> str:
        return "Secrets(…)"


def load_settings(environ: Mapping[str, str], flags: Mapping[str, Any], home: Path) -> Settings:
    """Flags over environment over file; raises RequestError with the name of what is wrong."""
    file = home / "config.toml"
    values: dict[str, Any] = {"state_dir": home / "coordinator"}
    if file.exists():
        values |= _section(file)
    for name in Settings.__struct_fields__:
        if (text := environ.get(PREFIX + name.upper())) is not None:
            values[name] = _LISTS[name](text) if name in _LISTS else text
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        found = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
        checked_groups(found.groups)
        allowed(found.callback_allow)
        return found
    except (msgspec.ValidationError, InvalidJurisdiction) as e:
        raise RequestError(f"The coordinator's settings do not hold: {str(e).replace('`$.', '`')}.") from e


def load_secrets(folder: Path) -> Secrets:
    """The secrets in `folder`, made at first use (files of mode 600), and the same for all who come at once; raises
    RequestError if one of the files is damaged or others may read it."""
    return Secrets(
        server_key=SigningKey(_kept(folder / "server.key")),
        pepper=_kept(folder / "pepper.key"),
        admin_key=_admin_key(folder / ADMIN_KEY_FILE),
    )


def _admin_key(file: Path) -> str:
    """The admin key as it stands in its file, for an operator to copy."""
    if not file.exists():
        make_private(file, (ADMIN_PREFIX + secrets.token_hex(24)).encode())
    text = _read(file).decode(errors="replace").strip()
    if not re.fullmatch(ADMIN_PREFIX + "[0-9a-f]{48}", text):
        raise _damaged(file)
    return text


def _kept(file: Path) -> bytes:
    """The 32 bytes that a file holds in hex."""
    if not file.exists():
        make_private(file, secrets.token_hex(SECRET_BYTES).encode())
    try:
        kept = bytes.fromhex(_read(file).decode())
    except ValueError:
        kept = b""
    if len(kept) != SECRET_BYTES:
        raise _damaged(file)
    return kept


def _read(file: Path) -> bytes:
    try:
        return read_private(file)
    except PermissionError as e:
        raise RequestError(f"{e}.") from e


def _damaged(file: Path) -> RequestError:
    return RequestError(f"{file} is damaged; put back a copy of it, or move it away to have a new one made.")


def _named(text: str) -> dict[str, str]:
    """The groups of `NAME=LIST;NAME=LIST`."""
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    return {name.strip(): listed for name, _, listed in pairs}


def _listed(text: str) -> list[str]:
    return text.split(",")


_LISTS: Final[dict[str, Callable[[str], Any]]] = {
    "trusted_proxies": _listed,
    "callback_allow": _listed,
    "guards": _listed,
    "groups": _named,
}


def _section(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("coordinator", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise RequestError(f"{file} is not TOML: {e}.") from e
    if not isinstance(table, dict):
        raise RequestError(f"[coordinator] in {file} must be a table.")
    return table


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value).expanduser()
    raise NotImplementedError(f"{kind} is not a kind of setting")
