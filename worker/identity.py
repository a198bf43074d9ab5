"""Who this worker is: one Ed25519 key, made once, in HIVE_HOME/identity.json."""

from pathlib import Path
from typing import Final

import msgspec
from nacl.signing import SigningKey

from shared.crypto import public_key
from shared.errors import HiveError
from shared.files import make_private, read_private

FILE: Final = "identity.json"


class IdentityError(HiveError):
    """The identity file cannot be used; the message says what to do."""

    code = "identity"
    retryable = False


class _File(msgspec.Struct, frozen=True, rename="camel"):
    """identity.json: both keys as 64 hex digits, the time of its making in ms since 1970 UTC."""

    pk: str
    sk: str
    created_at: int


class Identity(msgspec.Struct, frozen=True):
    """The worker's key; `pk` is its public half in hex, `created_at` is in ms since 1970 UTC."""

    pk: str
    key: SigningKey
    created_at: int

    def __repr__(self) -> str:
        return f"Identity({self.pk})"


def identity(home: Path, *, now: int, entropy: bytes) -> Identity:
    """This home's identity, made from 32 bytes of `entropy` where there is none; raises IdentityError.

    Two processes that start at once get the same one.
    """
    file = home / FILE
    if not file.exists():
        _make(file, SigningKey(entropy), now)
    return existing_identity(home)


def existing_identity(home: Path) -> Identity:
    """This home's identity; raises IdentityError if there is none, others may read it, or it is damaged."""
    file = home / FILE
    try:
        found = msgspec.json.decode(read_private(file), type=_File)
        key = SigningKey(bytes.fromhex(found.sk))
    except FileNotFoundError as error:
        raise IdentityError(f"there is no identity in {home} yet; `hive worker join` makes one") from error
    except PermissionError as error:
        raise IdentityError(str(error)) from error
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise IdentityError(f"{file} is damaged; put back a copy of it, or move it away to start anew") from error
    if public_key(key) != found.pk:
        raise IdentityError(f"the two keys in {file} are not a pair; put back a copy of it, or move it away")
    return Identity(found.pk, key, found.created_at)


def _make(file: Path, key: SigningKey, now: int) -> None:
    """Writes the file; where another process was first, its file stays."""
    make_private(file, msgspec.json.format(msgspec.json.encode(_File(public_key(key), bytes(key).hex(), now))))
