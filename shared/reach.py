"""How to reach a Hive from this machine: at which address, and with which key."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.errors import RequestError

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Here(msgspec.Struct, frozen=True):
    """What others on this machine need of the ready file of `hive up`."""

    base_url: str
    admin_url: str
    api_key: str
    admin_key: str


class Reach(msgspec.Struct, frozen=True):
    """A Hive's address, without a slash at its end, and the key to it; None where nobody has given one."""

    url: str
    key: str | None


def running_here(home: Path) -> Here | None:
    """The swarm that `hive up` runs on this machine, whose ready file is there as long as it is up; None if none runs."""
    file = home / "up" / "ready.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Here)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as e:
        raise RequestError(f"{file} is not a ready file ({e}); remove it, or start 'hive up' again.") from e


def reach(url: str | None, environment: Mapping[str, str], home: Path) -> Reach:
    """Where the swarm is: `url`, else HIVE_BASE_URL, else the swarm that runs here, else the default; raises RequestError for
    no address and no key. The key is HIVE_API_KEY, else that of the swarm that runs here, which no other address is ever sent."""
    here = running_here(home)
    asked = url or environment.get("HIVE_BASE_URL")
    found = base_url(asked or (here.base_url if here else DEFAULT_URL))
    key = environment.get("HIVE_API_KEY", "").strip() or None
    if key is not None and not (key.isascii() and key.isprintable()):
        raise RequestError("HIVE_API_KEY is not a key; one looks like sk-hive-….")
    if key is None and here is not None and same_listener(found, here.base_url):
        key = here.api_key
    return Reach(found, key)


def base_url(text: str) -> str:
    """Where a coordinator answers HTTP, from its address as people write it, also as OpenAI's clients want it, with /v1."""
    parts = address(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError(f"{text} is no address of a Hive; it looks like https://hive.example.org")
    scheme = "http" if "//" not in text and is_loopback(parts.hostname) else parts.scheme
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{scheme}://{parts.netloc}{path}"


def address(text: str) -> SplitResult | None:
    """Its parts, https where it names no scheme; None where it is no address, or holds a name and a password, which nobody
    here would ever need."""
    try:
        parts = urlsplit(text if "//" in text else f"https://{text}")
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return None
    is_plain = parts.netloc.isprintable() and not any(letter.isspace() or letter == "@" for letter in parts.netloc)
    return parts if has_port and is_plain else None


def is_loopback(host: str) -> bool:
    """Whether this name or address is this machine by definition."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_listener(one: str, other: str) -> bool:
    """Whether two addresses are the same listener, however this machine is called in them."""
    a, b = urlsplit(one), urlsplit(other)
    both_here = is_loopback(a.hostname or "") and is_loopback(b.hostname or "")
    return one == other or (both_here and (a.scheme, a.port, a.path) == (b.scheme, b.port, b.path))
