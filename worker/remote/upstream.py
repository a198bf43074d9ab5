"""What an owner says of a server on their own machine whose models this worker may offer: `[[worker.openai]]`."""

import ipaddress
import ssl
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.errors import HiveError

MOST_NAME: Final = 200
_PORTS: Final = {"http": 80, "https": 443}


class UpstreamFailed(HiveError):
    """The upstream did not do what it was asked; the message is a sentence of ours, never the upstream's words, which may
    quote a prompt. `code` is the one that the coordinator is told."""

    code = "engine_crashed"


class Origin(msgspec.Struct, frozen=True):
    """Where a server listens: `prefix` is the path before `/models` and the like."""

    host: str
    port: int
    tls: bool
    prefix: str

    @property
    def root(self) -> str:
        """The path before the server's own calls, which are not under /v1."""
        return self.prefix.removesuffix("/v1")

    @property
    def name(self) -> str:
        """How a Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """How its certificate is checked; None without TLS."""
        return ssl.create_default_context() if self.tls else None


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One server: `models` is the upstream's name of each model by its id here, `vocabulary` the GGUF file by model id
    where it is not the model's own; `slots` requests at once; `context` in tokens (0: as the upstream tells). `vision`
    names those of its models that see images, where the server does not say so itself (Ollama, llama-server and LM Studio
    do).

    It must be at a loopback or private address, unless the owner says `anywhere`: prompts are for this place alone.
    """

    url: str
    models: dict[str, str]
    key: str = ""
    vocabulary: dict[str, str] = {}
    slots: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    anywhere: bool = False
    vision: list[str] = []

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec reports with the place in the settings."""
        host = _parts(self.url).hostname or ""
        if not self.anywhere and not is_near(host):
            raise ValueError(
                f"{host} is no loopback or private address, and prompts may only be answered where this worker says that "
                "it is: give its address in your network, or set anywhere = true"
            )
        if _parts(self.url).scheme == "http" and not is_near(host):
            raise ValueError(f"{host} is not in your network, so its url must begin with https://")
        if not self.models:
            raise ValueError('name at least one model of it: models = {"ID HERE" = "NAME THERE"}')
        for name in self.models.values():
            if not name or len(name) > MOST_NAME or not name.isprintable():
                raise ValueError(f"a model's name there takes 1 to {MOST_NAME} printable characters")
        for stray in sorted(set(self.vocabulary) - set(self.models)):
            raise ValueError(f"a vocabulary is given for {stray}, which is not among its models")
        for stray in sorted(set(self.vision) - set(self.models)):
            raise ValueError(f"{stray} is said to see images and is not among its models")
        if self.key and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ValueError("its key takes ASCII characters without spaces")

    def __repr__(self) -> str:
        """Without the key: a repr ends in logs and tracebacks."""
        return f"Upstream({self.url!r}, {self.models!r}, slots={self.slots})"

    @property
    def origin(self) -> Origin:
        """Where it listens."""
        parts = _parts(self.url)
        port = parts.port or _PORTS[parts.scheme]
        return Origin(parts.hostname or "", port, parts.scheme == "https", parts.path.rstrip("/"))


def is_near(host: str) -> bool:
    """Whether a host is, by its address alone, this machine or one in its own network."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (address.is_private or address.is_loopback) and not address.is_unspecified


def _parts(url: str) -> SplitResult:
    """The parts of a url that can be one of a server; raises ValueError."""
    problem = f"{url.rpartition('@')[2][:MOST_NAME]!r} is no server's url; it looks like http://127.0.0.1:11434/v1"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _PORTS and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ValueError(problem) from error
    if not fits or parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(problem)
    if parts.username or parts.password:
        raise ValueError('a url holds no password here: give the key as key = "…"')
    return parts
