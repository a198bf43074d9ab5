"""The worker's settings: config.toml, beaten by HIVE_* in the environment, beaten by flags; read once, then frozen."""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.geo.cells import InvalidCell, at, format_cell, parse_cell, resolution

FILE: Final = "config.toml"
CELL_RESOLUTION: Final = 7
MOST_SLOTS: Final = 64
_HANDLE: Final = re.compile(r"@[a-z0-9][a-z0-9_-]{1,31}")
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_PRINT: Final = re.compile(r"SHA256:([0-9a-f]{4}-){7}[0-9a-f]{4}")
_LISTS: Final = ("models",)


class SettingsError(HiveError):
    """A setting is wrong; the message says which and what it takes."""

    code = "settings"
    retryable = False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner of a worker decides.

    `cell` is the H3 cell at resolution 7 as text; `context` is tokens for each slot (0: as the model was trained);
    `threads` 0 is by the machine and the model; `max_tps` caps the tokens per second over all slots, 0 is no cap;
    `server_key` is a coordinator's public key (hex) or its fingerprint, empty to trust the first that is seen.
    """

    cell: str
    coordinator: str = "http://127.0.0.1:8080"
    server_key: str = ""
    handle: str | None = None
    jobs: bool = True
    models: tuple[str, ...] = ("hive-nano",)
    slots: Annotated[int, msgspec.Meta(ge=1, le=MOST_SLOTS)] = 4
    threads: Annotated[int, msgspec.Meta(ge=0, le=512)] = 0
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    max_tps: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"


NAMES: Final = Settings.__struct_fields__


def settings(home: Path, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """The settings of this home: `[worker]` of config.toml < HIVE_* < flags that are not None; raises SettingsError."""
    values = {**_from_file(home / FILE), **_from_environment(environment)}
    values |= {name: value for name, value in flags.items() if value is not None}
    if not values.get("cell"):
        raise SettingsError("say where this machine is: --cell CELL, or --lat LATITUDE --lon LONGITUDE")
    try:
        return _checked(msgspec.convert(values, Settings, strict=False))
    except msgspec.ValidationError as error:
        raise SettingsError(f"a setting of the worker is wrong: {error}") from error


def websocket_url(coordinator: str) -> str:
    """Where a coordinator takes workers; raises SettingsError for an address that is none, and for one without TLS
    that is not this machine."""
    parts = urlsplit(coordinator if "//" in coordinator else f"https://{coordinator}")
    schemes = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    if parts.scheme not in schemes or not parts.hostname:
        raise SettingsError(f"{coordinator} is no address of a coordinator; it looks like https://hive.example.org")
    scheme = schemes[parts.scheme]
    if scheme == "ws" and not is_loopback(parts.hostname):
        raise SettingsError(f"{parts.hostname} is not this machine, so its address must begin with https://")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/hive/worker"


def is_loopback(host: str) -> bool:
    """Whether this name or address is this machine by definition."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fits_pin(pin: str, server_pk: str) -> bool:
    """Whether a coordinator's key is the one that was pinned, as hex or as a fingerprint; no pin fits every key."""
    return not pin or pin in (server_pk, fingerprint(server_pk))


def _from_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("worker", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    if not isinstance(table, dict):
        raise SettingsError(f"[worker] in {file} must be a table")
    return table


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {n: environment[v] for n in NAMES if environment.get(v := f"HIVE_{n.upper()}")}
    return {n: _words(value) if n in _LISTS else value for n, value in found.items()}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _checked(found: Settings) -> Settings:
    websocket_url(found.coordinator)
    if not found.models:
        raise SettingsError("name at least one model to serve: --model ID")
    if found.server_key and not (_KEY.fullmatch(found.server_key) or _PRINT.fullmatch(found.server_key)):
        raise SettingsError("--server-key takes 64 hex digits, or a fingerprint such as SHA256:0123-4567-… in full")
    if found.handle is not None and not _HANDLE.fullmatch(found.handle):
        raise SettingsError("a handle is @ and 2 to 32 of a-z, 0-9, - and _, such as @kitchen-mac")
    return msgspec.structs.replace(found, cell=_cell(found.cell))


def _cell(text: str) -> str:
    try:
        cell = parse_cell(text)
    except InvalidCell as error:
        raise SettingsError(f"{text} is no H3 cell; one looks like 871e8052affffff") from error
    if resolution(cell) < CELL_RESOLUTION:
        raise SettingsError(f"{text} is too coarse: a worker names its cell at resolution {CELL_RESOLUTION} or finer")
    return format_cell(at(cell, CELL_RESOLUTION))
