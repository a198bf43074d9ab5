"""API keys as callers send them: where they stand in a request, how they look, and the hash by which one is known."""

import hashlib
from collections.abc import Callable
from typing import Final

from shared.errors import Forbidden, Unauthorized

PREFIX: Final = "sk-hive-"
SCOPES: Final = ("inference", "jobs", "read")
_SHOWN: Final = len(PREFIX) + 6
_SCHEMES: Final = ("bearer ", "token ")


def new_secret(entropy: bytes) -> str:
    """A new key from 32 random bytes; it is shown once and never kept."""
    return PREFIX + entropy.hex()


def shown_prefix(secret: str) -> str:
    """The start of a key, by which people tell theirs apart."""
    return secret[:_SHOWN]


def key_hash(secret: str, pepper: bytes) -> str:
    """The keyed hash under which a key is stored, 64 hex digits: worthless without the coordinator's pepper."""
    return hashlib.blake2b(secret.encode(), digest_size=32, key=pepper, person=b"hive-api-key").hexdigest()


def sent_secret(header: Callable[[str], str | None]) -> str | None:
    """The key in `Authorization: Bearer KEY` or `Token KEY`, else in `x-api-key`; None without one."""
    authorization = header("authorization") or ""
    for scheme in _SCHEMES:
        if authorization[: len(scheme)].lower() == scheme:
            return authorization[len(scheme) :].strip() or None
    return (header("x-api-key") or "").strip() or None


def scopes_for(method: str, path: str) -> tuple[str, ...]:
    """The scopes of which a key must have one for a request: which models there are and what itself may do is told to every
    key; `jobs` submits and cancels what `read` may only look at, and signs for it; `inference` asks for answers and reads
    those again."""
    if method == "GET" and not path.startswith("/hive/webhook-secret"):
        if path.startswith(("/v1/model", "/model", "/hive/key")):
            return SCOPES
        return ("jobs", "read") if path.startswith("/hive/") else ("inference", "read")
    return ("jobs",) if path.startswith("/hive/") else ("inference",)


def refuse_scope(scopes: list[str] | None, method: str, path: str) -> None:
    """Raise Forbidden `scope_not_allowed` if a key with these scopes (None: all) may not do this."""
    wanted = scopes_for(method, path)
    if scopes is not None and not set(scopes) & set(wanted):
        has = ", ".join(scopes)
        raise Forbidden(f"This key is for {has} only; this takes {' or '.join(wanted)}.", code="scope_not_allowed")


def unauthorized(secret: str | None, *, openai: bool, expired: bool = False) -> Unauthorized:
    """What a caller without a good key is told; the OpenAI face calls it `invalid_api_key`."""
    if expired:
        message = "The API key has expired; ask for a new one."
    elif secret:
        message = "The API key is not valid."
    else:
        message = "An API key is missing: send Authorization: Bearer KEY."
    return Unauthorized(message, code="invalid_api_key" if openai else None)
