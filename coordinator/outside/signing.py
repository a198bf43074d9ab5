"""Signatures of callbacks as Standard Webhooks say. Secrets follow from the coordinator's own and are kept nowhere."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

OVERLAP: Final = timedelta(hours=24)
"""How long the secret before a rotation signs as well."""


def secrets_of(
    pepper: bytes, account_id: UUID, generation: int, rotated_at: datetime | None, now: datetime
) -> list[bytes]:
    """The secrets that an account's callbacks are signed with now, the newest first; generations count from 1."""
    both = rotated_at is not None and now < rotated_at + OVERLAP
    return [_secret(pepper, account_id, one) for one in (generation, generation - 1)[: 1 + both]]


def shown(secret: bytes) -> str:
    """A secret as its owner gives it to a library of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secret).decode()


def signed(id_: UUID, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers that name and sign a message; its id is the same however often it is sent."""
    name, seconds = f"msg_{id_.hex}", str(int(at.timestamp()))
    signatures = (_signature(secret, f"{name}.{seconds}.".encode() + body) for secret in secrets)
    return {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": " ".join(signatures)}


def _signature(secret: bytes, message: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(secret, message, "sha256")).decode()


def _secret(pepper: bytes, account_id: UUID, generation: int) -> bytes:
    message = account_id.bytes + generation.to_bytes(4, "big")
    return hashlib.blake2b(message, digest_size=32, key=pepper, person=b"hive-webhooks").digest()
