"""Keys and signatures: Ed25519 with domain separation, HKDF, the token chain, salted and keyed hashes.

Every signature covers `hive/v1/<what>\\0` and a body, never 32 raw bytes: a Stellar signature is over a bare hash, so
nothing that Hive makes a worker sign can be a transaction.
"""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from shared.canonical import canonical


class Context(StrEnum):
    """What a signature is for; a signature made for one is worthless for another."""

    SERVER_HELLO = "server-hello"
    WORKER_HELLO = "worker-hello"
    OFFER = "offer"
    RECEIPT = "receipt"
    SHARE = "share"
    COUNTERSIGN = "countersign"
    WORKER_REQUEST = "worker-request"
    RELEASE = "release"


def public_key(key: SigningKey) -> str:
    """The public key as 64 lowercase hex digits."""
    return bytes(key.verify_key).hex()


def sign(key: SigningKey, context: Context, body: Any) -> str:
    """Ed25519 over the tagged canonical JSON of `body`, 128 hex digits; raises ValueError if it cannot be canonical."""
    return key.sign(_tagged(context, canonical(body))).signature.hex()


def verifies(pk: str, context: Context, body: Any, signature: str) -> bool:
    """Whether `signature` (lowercase hex) is by `pk` (the same) over `body` for `context`; malformed input is False."""
    try:
        VerifyKey(_from_hex(pk)).verify(_tagged(context, canonical(body)), _from_hex(signature))
    except (BadSignatureError, ValueError, TypeError, RecursionError):
        return False
    return True


def fingerprint(pk: str) -> str:
    """A public key for people: `SHA256:` and 32 hex digits in groups of four."""
    digest = hashlib.sha256(bytes.fromhex(pk)).hexdigest()[:32]
    return "SHA256:" + "-".join(digest[i : i + 4] for i in range(0, 32, 4))


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869), at most 8160 bytes."""
    prk = hmac.digest(salt, secret, "sha256")
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
        counter += 1
    return out[:length]


def salted_hash(salt: str, what: str, body: bytes) -> str:
    """HMAC-SHA-256 of `body` under `salt` (hex) for the field `what`, as hex: tells nothing without the salt."""
    return hmac.new(bytes.fromhex(salt), b"hive/v1/" + what.encode() + b"\0" + body, "sha256").hexdigest()


def sampler_seed(seed: str) -> int:
    """The 64-bit sampler seed of a seed text: the first 8 bytes of SHA-256("hive-seed" || text), big-endian."""
    return int.from_bytes(hashlib.sha256(b"hive-seed" + seed.encode()).digest()[:8], "big")


def seed_commitment(salt: str, seed: str) -> str:
    """What the receipt says of the seed: its salted hash, so that only the owner of the salt can open it."""
    return salted_hash(salt, "seed", seed.encode())


CHAIN_TAG: Final = b"hive/v1/token-chain\0"


def chain_start(job_id: str, attempt: int) -> bytes:
    """The 32-byte head of an empty token chain of one attempt."""
    return hashlib.sha256(CHAIN_TAG + f"{job_id}:{attempt}".encode()).digest()


def chain_extend(head: bytes, offset: int, ids: Sequence[int]) -> bytes:
    """The head after the tokens `ids`, the first of them at output position `offset`: one link a token, so that it does
    not matter in how many frames they came."""
    for position, token in enumerate(ids, offset):
        head = hashlib.sha256(head + position.to_bytes(4, "big") + token.to_bytes(4, "big")).digest()
    return head


def _from_hex(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if raw.hex() != text:  # capitals and blanks would give one key or signature many spellings
        raise ValueError("not lowercase hex")
    return raw


def _tagged(context: Context, body: bytes) -> bytes:
    return b"hive/v1/" + context.encode() + b"\0" + body
