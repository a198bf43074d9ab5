"""The worker's settings: config.toml, beaten by HIVE_* in the environment, beaten by flags; read once, then frozen."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.geo.cells import InvalidCell, at, format_cell, parse_cell, resolution
from shared.reach import address, is_loopback
from worker.comfort.hours import Hours
from worker.comfort.policy import Wishes, pattern
from worker.quantities import Bytes, Price, as_plain_integers, read
from worker.remote.upstream import Upstream

FILE: Final = "config.toml"
CELL_RESOLUTION: Final = 7
MOST_SLOTS: Final = 64
_HANDLE: Final = re.compile(r"@[a-z0-9][a-z0-9_-]{1,31}")
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_PRINT: Final = re.compile(r"SHA256:([0-9a-f]{4}-){7}[0-9a-f]{4}")
_CHOICES: Final = {
    "log_level": "debug, info, warning or error",
    "limits.ionice": "normal, low or idle",
    "policy.wanted": "never, load or fetch",
}
_LISTS: Final = {"models": ",", "elsewhere": ",", "quiet_hours": ",", "pause_for": ",", "refuse": "\n"}


class SettingsError(HiveError):
    """A setting is wrong; the message says which and what it takes."""

    code = "settings"
    retryable = False


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the worker rests.

    `idle_only` works only once nobody has used the machine for `idle_minutes`; in `quiet_hours` it rests; on battery or
    a metered network it works only if told so. `pause_for` are programs that it gives way to (by name, any case, with or
    without .exe), `pause_for_gpu` is any other program on the GPU. `grace` is how many seconds a running answer has when
    the machine is needed at once; after `unload_after` seconds of rest the models leave the memory (0: they stay).
    """

    idle_only: bool = False
    idle_minutes: Annotated[float, msgspec.Meta(gt=0, le=1440)] = 5.0
    quiet_hours: tuple[Hours, ...] = ()
    on_battery: bool = False
    metered: bool = False
    pause_for: tuple[str, ...] = ()
    pause_for_gpu: bool = False
    grace: Annotated[float, msgspec.Meta(ge=0, le=600)] = 10.0
    unload_after: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much the worker takes, 0 being no limit: bytes of memory for its engines, bytes on GPUs (None: what is free; 0:
    no GPU), °C of the processor, and bytes a day sent and received. `nice` is the engines' (0 to 19), `ionice` theirs for
    the disk. Threads are `threads` of `[worker]`."""

    memory: Bytes = Bytes(0)
    vram: Bytes | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=150)] = 0.0
    nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 5
    ionice: Literal["normal", "low", "idle"] = "low"
    upload_per_day: Bytes = Bytes(0)
    download_per_day: Bytes = Bytes(0)

    def __post_init__(self) -> None:
        as_plain_integers(self)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the worker serves: for at least `price_floor` GNS per million tokens, nothing that a pattern of `refuse` finds
    in the prompt, tools or not, prompts up to `max_prompt_tokens` (0: any; a token is taken for four bytes). When the swarm
    lacks a model: `wanted` is never, load (one that is here) or fetch (up to `fetch_budget` bytes in all)."""

    price_floor: Price = Price(0)
    refuse: tuple[str, ...] = ()
    tools: bool = True
    max_prompt_tokens: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] = 0
    wanted: Literal["never", "load", "fetch"] = "load"
    fetch_budget: Bytes = Bytes(0)

    def __post_init__(self) -> None:
        as_plain_integers(self)

    def wishes(self) -> Wishes:
        """What offers are held against; raises ValueError for a pattern that is none."""
        return Wishes(self.price_floor, tuple(map(pattern, self.refuse)), self.max_prompt_tokens, self.tools)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner of a worker decides.

    `cell` is the H3 cell at resolution 7 as text; `context` is tokens for each slot (0: as the model was trained, 8 192 at
    most); `threads` 0 is by the machine and the model; `max_tps` caps the tokens per second over all slots, 0 is no cap;
    `elsewhere` are more coordinators of the same fleet, which has one key, for when the first is out of reach; `server_key` is
    that public key (hex) or its fingerprint, empty to trust the first that is seen; `openai` are servers of the owner's whose
    models are offered too.
    """

    cell: str
    coordinator: str = "http://127.0.0.1:8080"
    elsewhere: tuple[str, ...] = ()
    server_key: str = ""
    handle: str | None = None
    jobs: bool = True
    models: tuple[str, ...] = ("hive-nano",)
    slots: Annotated[int, msgspec.Meta(ge=1, le=MOST_SLOTS)] = 4
    threads: Annotated[int, msgspec.Meta(ge=0, le=512)] = 0
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    max_tps: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    openai: tuple[Upstream, ...] = ()
    when: When = When()
    limits: Limits = Limits()
    policy: Policy = Policy()


TABLES: Final = {"when": When, "limits": Limits, "policy": Policy}
NAMES: Final = tuple(name for name in Settings.__struct_fields__ if name not in {*TABLES, "openai"})


def settings(home: Path, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """The settings of this home: `[worker]` of config.toml < HIVE_* < flags that are not None; raises SettingsError.

    Those of a table, such as `[worker.when]`, are HIVE_WHEN_QUIET_HOURS and the like, and in `flags` "when.quiet_hours".
    """
    values = written(home)
    for name, value in [*_from_environment(environment).items(), *flags.items()]:
        if value is not None:
            _put(values, name, value)
    if not values.get("cell"):
        raise SettingsError("say where this machine is: --cell CELL, or --lat LATITUDE --lon LONGITUDE")
    try:
        return _checked(msgspec.convert(values, Settings, strict=False, dec_hook=read))
    except msgspec.ValidationError as error:
        raise SettingsError(_named(str(error))) from error


def written(home: Path) -> dict[str, Any]:
    """`[worker]` of this home's config.toml as it stands there, empty if there is none; raises SettingsError."""
    file = home / FILE
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("worker", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(table.get(name, {}), dict) for name in TABLES):
        raise SettingsError(f"[worker] in {file} must be a table, and so must {', '.join(TABLES)} in it")
    return table


def assigned(words: list[str]) -> dict[str, Any]:
    """What `--set when.idle_only=true` and the like say, as flags; raises SettingsError."""
    found: dict[str, Any] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if not is_given or name not in _known():
            raise SettingsError(f"--set takes NAME=VALUE, and {name[:40]} is none of: {', '.join(_known())}")
        found[name] = _listed(name, value)
    return found


def websocket_url(coordinator: str) -> str:
    """Where a coordinator takes workers; raises SettingsError for an address that is none, and for one without TLS
    that is not this machine."""
    parts = address(coordinator)
    schemes = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise SettingsError(f"{coordinator} is no address of a coordinator; it looks like https://hive.example.org")
    scheme = schemes[parts.scheme]
    if scheme == "ws" and not is_loopback(parts.hostname):
        raise SettingsError(f"{parts.hostname} is not this machine, so its address must begin with https://")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/hive/worker"


def fits_pin(pin: str, server_pk: str) -> bool:
    """Whether a coordinator's key is the one that was pinned, as hex or as a fingerprint; no pin fits every key."""
    return not pin or pin in (server_pk, fingerprint(server_pk))


def _known() -> tuple[str, ...]:
    """Every setting's name, those of a table with the table's in front."""
    return NAMES + tuple(f"{table}.{name}" for table, kind in TABLES.items() for name in kind.__struct_fields__)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    named = {name: f"HIVE_{name.replace('.', '_').upper()}" for name in _known()}
    return {name: _listed(name, found) for name, variable in named.items() if (found := environment.get(variable))}


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    table, is_inside, inner = name.partition(".")
    if is_inside:
        values[table] = {**values.get(table, {}), inner: value}
    else:
        values[name] = value


def _listed(name: str, text: str) -> Any:
    separator = _LISTS.get(name.rpartition(".")[2])
    if separator is None:
        return text
    return tuple(word for word in (part.strip() for part in text.split(separator)) if word)


def _named(problem: str) -> str:
    """msgspec's words with the setting in front: "limits.memory: 'much' is no size …"."""
    what, _, path = problem.partition(" - at `$.")
    name = re.sub(r"\[\d*\.*\]", "", path.rstrip("`"))
    if match := re.fullmatch(r"Object contains unknown field `(.+)`", what):
        return f"there is no setting {f'{name}.' if name else ''}{match[1]} of the worker"
    if name in _CHOICES:
        return f"{name} of the worker is wrong: it is {_CHOICES[name]}"
    return f"{name or 'a setting'} of the worker is wrong: {what.replace('Expected', 'expected', 1)}"


def _checked(found: Settings) -> Settings:
    for address_ in (found.coordinator, *found.elsewhere):
        websocket_url(address_)
    if not found.models and not found.openai:
        raise SettingsError("name at least one model to serve: --model ID")
    others = [name for upstream in found.openai for name in upstream.models]
    if twice := sorted({name for name in others if others.count(name) > 1 or name in found.models}):
        raise SettingsError(f"{twice[0]} is served twice: name it in models, or in one table of openai")
    if found.server_key and not (_KEY.fullmatch(found.server_key) or _PRINT.fullmatch(found.server_key)):
        raise SettingsError("--server-key takes 64 hex digits, or a fingerprint such as SHA256:0123-4567-… in full")
    if found.handle is not None and not _HANDLE.fullmatch(found.handle):
        raise SettingsError("a handle is @ and 2 to 32 of a-z, 0-9, - and _, such as @kitchen-mac")
    try:
        found.policy.wishes()
    except ValueError as error:
        raise SettingsError(f"policy.refuse of the worker is wrong: {error}") from error
    return msgspec.structs.replace(found, cell=_cell(found.cell))


def _cell(text: str) -> str:
    try:
        cell = parse_cell(text)
    except InvalidCell as error:
        raise SettingsError(f"{text} is no H3 cell; one looks like 871e8052affffff") from error
    if resolution(cell) < CELL_RESOLUTION:
        raise SettingsError(f"{text} is too coarse: a worker names its cell at resolution {CELL_RESOLUTION} or finer")
    return format_cell(at(cell, CELL_RESOLUTION))
