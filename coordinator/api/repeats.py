"""What makes two requests the same one, sent again."""

import hashlib
from typing import Final

import msgspec

from coordinator.api.hive import HttpRequest
from coordinator.submit.placement import HEADERS
from shared.errors import RequestError

MAX_IDEMPOTENCY_KEY: Final = 255


def body_hash(request: HttpRequest, raw: bytes) -> str:
    """What makes two requests the same: the path, where and by whom they may be answered, and the body's bytes, as SHA-256
    in hex."""
    path = request.scope["path"].rstrip("/").removeprefix("/v1")
    placed = [request.headers.get(name) for name in HEADERS.values()]
    return hashlib.sha256(msgspec.json.encode([path, *placed]) + b"\0" + raw).hexdigest()


def idempotency_key(request: HttpRequest, in_body: str | None = None) -> str | None:
    """The caller's `Idempotency-Key`, by header or body; RequestError if it is no key."""
    key = request.headers.get("idempotency-key") or in_body or None
    if key is not None and (len(key) > MAX_IDEMPOTENCY_KEY or not key.isprintable()):
        message = f"An idempotency key has at most {MAX_IDEMPOTENCY_KEY} characters, all of them printable."
        raise RequestError(message, param="idempotency_key")
    return key
