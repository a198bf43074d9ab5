"""A signed release: which files it is made of, by their digests, and who says so."""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from nacl.signing import SigningKey

from shared.crypto import Context, fingerprint, public_key, sign, verifies
from shared.errors import HiveError
from shared.protocol.bodies import Count, Hex32, Hex64

MANIFEST: Final = "release.json"
MOST_BYTES: Final = 256 << 10
PROJECT: Final = "hive_swarm"
RELEASE_KEY: Final = ""
"""The fingerprint of the key that Hive's makers sign releases with; there is none yet, so the owner names whom to trust."""

_FILE: Final = r"^[A-Za-z0-9_]{1,100}-[A-Za-z0-9.+!_]{1,60}(-[A-Za-z0-9._]{1,120}){3}\.whl\Z"
_PIN: Final = re.compile(r"[0-9a-f]{64}|SHA256:([0-9a-f]{4}-){7}[0-9a-f]{4}")
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


class ReleaseError(HiveError):
    """The release cannot be trusted or does not fit; the message says why and what to do."""

    code = "release"
    retryable = False


class ReleaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel beside the manifest: its plain name, size in bytes and SHA-256 in hex."""

    name: Annotated[str, msgspec.Meta(pattern=_FILE)]
    size: Annotated[int, msgspec.Meta(gt=0, le=1 << 30)]
    sha256: Hex32


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: `version` is three numbers, `protocols` are those that its workers speak, `released_at` is in ms
    since 1970 UTC, and `key` is the public key that signs."""

    hive_release: Literal[1]
    version: Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}(\.\d{1,6}){2}\Z")]
    protocols: Annotated[list[Count], msgspec.Meta(min_length=1, max_length=20)]
    files: Annotated[list[ReleaseFile], msgspec.Meta(min_length=1, max_length=100)]
    released_at: Count
    key: Hex32


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    release: Release
    signature: Hex64


def signed(key: SigningKey, release: Release) -> bytes:
    """The manifest's file; the release is said to be by this key."""
    release = msgspec.structs.replace(release, key=public_key(key))
    signature = sign(key, Context.RELEASE, msgspec.to_builtins(release))
    return msgspec.json.format(msgspec.json.encode(_Signed(release, signature)), indent=2) + b"\n"


def trusted(manifest: bytes, pin: str) -> Release:
    """The release of a manifest that the pinned key (hex, or its fingerprint) signed; raises ReleaseError."""
    try:
        found = msgspec.json.decode(manifest, type=_Signed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{MANIFEST} is no release manifest, or is cut off; try again, or ask its maker") from error
    key = found.release.key
    if pin not in (key, fingerprint(key)):
        raise ReleaseError(
            f"the release is signed by {fingerprint(key)}, not by the key that you trust ({_shown(pin)}); do not install it"
        )
    if not verifies(key, Context.RELEASE, msgspec.to_builtins(found.release), found.signature):
        raise ReleaseError("the release's signature is wrong, so somebody has changed it; do not install it")
    if len({file.name for file in found.release.files}) != len(found.release.files):
        raise ReleaseError("the release names a file twice; ask its maker for another one")
    return found.release


def is_pin(text: str) -> bool:
    """Whether this can name a release key: 64 hex digits, or a whole fingerprint."""
    return _PIN.fullmatch(text) is not None


def newer(release: str, installed: str, *, force: bool) -> None:
    """Raises ReleaseError where a release is not newer than what is installed, unless it is forced."""
    if force or _numbers(release) > _numbers(installed):
        return
    if release == installed:
        raise ReleaseError(f"Hive {installed} is installed already; --force installs it again")
    raise ReleaseError(f"Hive {release} is older than the {installed} that is installed; --force goes back to it")


def chosen(release: Release, tags: Iterable[str]) -> ReleaseFile:
    """Hive's own wheel for a machine that takes these tags, the best first (such as `py3-none-any`); raises ReleaseError."""
    best = {tag: place for place, tag in reversed(list(enumerate(tags)))}
    fitting = [
        (min(best[tag] for tag in fits), file)
        for file in release.files
        if file.name.startswith(f"{PROJECT}-{release.version}-") and (fits := _tags(file.name) & best.keys())
    ]
    if not fitting:
        raise ReleaseError(f"Hive {release.version} has no wheel for this system and Python; ask its maker for one")
    return min(fitting, key=lambda found: found[0])[1]


def _tags(name: str) -> set[str]:
    """The tags of a wheel's name: each part may list several with points."""
    pythons, abis, systems = (part.split(".") for part in name.removesuffix(".whl").split("-")[-3:])
    return {f"{python}-{abi}-{system}" for python in pythons for abi in abis for system in systems}


def _numbers(version: str) -> tuple[int, ...]:
    """Three numbers; what stands behind them, as in 0.2.0.dev1, does not count."""
    found = _VERSION.match(version)
    return tuple(int(number) for number in found.groups()) if found else (0, 0, 0)


def _shown(pin: str) -> str:
    return pin if pin.startswith("SHA256:") else fingerprint(pin)
