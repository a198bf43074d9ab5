"""Getting a signed release and installing it into this Python: nothing is looked for and nothing done unasked."""

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from shared.reach import is_loopback
from shared.release import MANIFEST, MOST_BYTES, RELEASE_KEY, ReleaseError, ReleaseFile, is_pin
from worker.settings import FILE as CONFIG

PROJECT: Final = "hive-swarm"
PATIENCE_S: Final = 30.0
INSTALL_S: Final = 600.0
HOPS: Final = 5
CHECKOUT: Final = "this Hive runs from a checkout; update it there: git pull && make install"
Progress = Callable[[int], None]


class Wanted(msgspec.Struct, frozen=True):
    """Where releases are, and whose: a folder or an address, and a key in hex or its fingerprint."""

    source: str
    key: str


def wanted(home: Path, environment: Mapping[str, str], source: str | None, key: str | None) -> Wanted:
    """What the flags say, else HIVE_RELEASE_FROM and HIVE_RELEASE_KEY, else [release] in config.toml, else what is built
    in; raises ReleaseError where one is missing."""
    table = _table(home / CONFIG)
    key = key or environment.get("HIVE_RELEASE_KEY") or table.get("key") or RELEASE_KEY
    source = source or environment.get("HIVE_RELEASE_FROM") or table.get("from")
    if not key:
        raise ReleaseError(
            "no release key is pinned, so no release can be trusted; get its fingerprint from who runs your swarm, and "
            "give it with --key SHA256:… or as key in [release] of config.toml"
        )
    if not is_pin(key):
        raise ReleaseError("--key takes 64 hex digits, or a fingerprint such as SHA256:0123-4567-… in full")
    if not source:
        raise ReleaseError("say where the release is: --from with an https address or a folder")
    return Wanted(source, key)


def installed() -> str:
    """The version of this Hive; raises ReleaseError where it is a checkout, or not installed at all."""
    try:
        found = distribution(PROJECT)
    except PackageNotFoundError as error:
        raise ReleaseError(CHECKOUT) from error
    direct: dict[str, Any] = msgspec.json.decode(found.read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        raise ReleaseError(CHECKOUT)
    return found.version


def manifest(source: str) -> bytes:
    """The manifest in a folder or at an address; raises ReleaseError."""
    with _opened(source, MANIFEST) as chunks:
        content = b""
        for chunk in chunks:
            content += chunk
            if len(content) > MOST_BYTES:
                raise ReleaseError(f"{MANIFEST} at {source} is far too large; is the address right?")
    return content


def fetch(source: str, file: ReleaseFile, folder: Path, progress: Progress = lambda _: None) -> Path:
    """Puts a file of a trusted release into `folder`, checked against its size and digest; raises ReleaseError."""
    target, hasher, size = folder / file.name, hashlib.sha256(), 0
    with _opened(source, file.name) as chunks, target.open("wb") as out:
        for chunk in chunks:
            size += len(chunk)
            if size > file.size:
                break
            hasher.update(chunk)
            out.write(chunk)
            progress(size)
    if size < file.size:
        raise ReleaseError(f"{file.name} ended after {size} of {file.size} bytes; try again")
    if size > file.size or hasher.hexdigest() != file.sha256:
        raise ReleaseError(
            f"{file.name} is not the file that was signed, so somebody has changed it; nothing was installed"
        )
    return target


def install(wheel: Path, python: Path = Path(sys.executable)) -> None:
    """Installs a wheel, once pip has said that all it needs is here: no index is asked. Raises ReleaseError."""
    pip = [str(python), "-m", "pip", "install", "--no-index", "--no-input", "--disable-pip-version-check", "--quiet"]
    if problem := _pip([*pip, "--dry-run", str(wheel)]):
        raise ReleaseError(
            f"nothing was installed, since pip says: {problem}; where it needs other packages than are here, install Hive anew"
        )
    if problem := _pip([*pip, "--no-deps", "--force-reinstall", str(wheel)]):
        raise ReleaseError(f"pip could not install {wheel.name}: {problem}; run this again once that is put right")


def _pip(words: list[str]) -> str | None:
    """Runs pip as if nobody had configured it; the last line that it said, if it failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    try:
        told = subprocess.run(
            words, env={**environment, "PIP_CONFIG_FILE": os.devnull}, capture_output=True, text=True, errors="replace",
            timeout=INSTALL_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it did not end within {INSTALL_S:.0f} s"
    if told.returncode == 0:
        return None
    lines = [line.removeprefix("ERROR: ") for line in told.stderr.splitlines() if line.strip()]
    return (lines or [f"exit code {told.returncode}"])[-1].rstrip(".")


@contextmanager
def _opened(source: str, name: str) -> Iterator[Iterator[bytes]]:
    if "://" not in source:
        folder = Path(source).expanduser()
        with (folder if folder.name == name else folder / name).open("rb") as file:
            yield iter(lambda: file.read(1 << 20), b"")
        return
    url = f"{source.removesuffix(MANIFEST).rstrip('/')}/{name}"
    try:
        with httpx.Client(timeout=PATIENCE_S) as asking, _answer(asking, url) as answer:
            yield answer.iter_raw(1 << 20)
    except httpx.HTTPError as error:
        raise ReleaseError(f"{url} cannot be read ({type(error).__name__}); is the machine online?") from error


@contextmanager
def _answer(asking: httpx.Client, url: str) -> Iterator[httpx.Response]:
    """The answer after a few redirections, each to an address that is allowed; compression is not asked for."""
    for _ in range(HOPS):
        _allowed(url)
        request = asking.build_request("GET", url, headers={"accept-encoding": "identity"})
        answer = asking.send(request, stream=True)
        try:
            if answer.next_request is None:
                if answer.status_code != httpx.codes.OK:
                    raise ReleaseError(f"{url} answers with {answer.status_code}; is that where the release is?")
                yield answer
                return
            url = str(answer.next_request.url)
        finally:
            answer.close()
    raise ReleaseError(f"{url} is redirected again and again; is the address right?")


def _allowed(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ReleaseError(
            f"{url} is not read: a release comes from an https address, this machine itself, or a folder"
        )


def _table(file: Path) -> dict[str, str]:
    """[release] of config.toml, where it has one that is right."""
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("release", {})
        return msgspec.convert(table, dict[str, str])
    except FileNotFoundError:
        return {}
    except (ValueError, msgspec.ValidationError) as error:
        raise ReleaseError(f"[release] in {file} is wrong: {error}") from error
