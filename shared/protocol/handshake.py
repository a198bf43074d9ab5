"""The two plain hellos: who is there, proven by signatures over both, and the session keys that only the two share."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import msgspec
import nacl.exceptions
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.signing import SigningKey

from shared.canonical import canonical
from shared.crypto import Context, fingerprint, hkdf, public_key, sign, verifies
from shared.protocol.closing import Closed, closed
from shared.protocol.messages import VERSION, Capabilities, CloseCode, Held, ServerHello, WorkerHello
from shared.protocol.phases import name

MAX_HELLO: Final = 16 << 10
MAX_SKEW_MS: Final = 120_000
STEP_MS: Final = 10_000
KEY_INFO: Final = b"hive/v1/session-keys"
KEY_BYTES: Final = 32
_LAST_MS: Final = 253_402_300_799_000

Hello = TypeVar("Hello", ServerHello, WorkerHello)


@dataclass(frozen=True)
class Heard(Generic[Hello]):
    """A hello from the other side: as a struct, and as the JSON object it was, unknown fields included, unsigned."""

    message: Hello
    body: Mapping[str, Any]
    canonical: bytes


@dataclass(frozen=True)
class Keys:
    """The 32-byte frame keys of one session, one for each direction."""

    to_worker: bytes
    to_coordinator: bytes


def make_challenge(key: SigningKey, host: str, *, ephemeral: bytes, nonce: bytes, now: int) -> ServerHello:
    """The signed challenge; `ephemeral` (secret) and `nonce` are 32 random bytes, `now` is in ms."""
    pk = crypto_scalarmult_base(ephemeral).hex()
    hello = ServerHello(VERSION, host, public_key(key), pk, nonce.hex(), now)
    return msgspec.structs.replace(hello, signature=sign(key, Context.SERVER_HELLO, msgspec.to_builtins(hello)))


def make_answer(
    key: SigningKey, challenge: Heard[ServerHello], *, ephemeral: bytes, now: int, capabilities: Capabilities,
    resume: list[Held],
) -> tuple[WorkerHello, bytes]:  # fmt: skip
    """The signed answer and the transcript hash; `ephemeral` (secret) is 32 random bytes, `now` is in ms."""
    pk = crypto_scalarmult_base(ephemeral).hex()
    hello = WorkerHello(VERSION, public_key(key), pk, now, capabilities, resume)
    hashed = transcript(challenge.canonical, canonical(msgspec.to_builtins(hello)))
    signature = sign(key, Context.WORKER_HELLO, _signed(hashed))
    return msgspec.structs.replace(hello, signature=signature), hashed


def encode(hello: ServerHello | WorkerHello) -> bytes:
    """A hello as it is sent; raises ValueError if it is over 16 KiB."""
    raw = msgspec.json.encode(hello)
    if len(raw) > MAX_HELLO:
        raise ValueError(
            f"a hello of {len(raw)} bytes is over {MAX_HELLO}: send a part of the models, then an inventory"
        )
    return raw


def hear(data: bytes | str, kind: type[Hello]) -> Heard[Hello] | Closed:
    """The hello in a websocket message, its shape and version checked, its signature not yet."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > MAX_HELLO:
            return closed(CloseCode.TOO_LARGE, f"a hello is larger than {MAX_HELLO} bytes")
        body = msgspec.json.decode(raw)
        if not isinstance(body, dict) or body.get("type") != name(kind):
            return closed(CloseCode.PROTOCOL, f"the first message is not a {name(kind)}")
        if type(version := body.get("version")) is int and version != VERSION:
            return _upgrade(version)
        message = msgspec.convert(body, kind)
        body.pop("signature", None)
        return Heard(message, body, canonical(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return closed(CloseCode.PROTOCOL, f"the {name(kind)} message is malformed")


def check_challenge(heard: Heard[ServerHello], *, host: str, pinned: str | None, now: int) -> Closed | None:
    """Why a worker that asked for `host` must not answer this challenge; None if it may. `now` is in ms."""
    hello = heard.message
    if hello.host != host:
        return closed(CloseCode.UNAUTHENTICATED, f"asked for {host}, but a coordinator of another host answered")
    if pinned is not None and hello.server_pk != pinned:
        found = fingerprint(hello.server_pk)
        return closed(CloseCode.UNAUTHENTICATED, f"the coordinator's key is not the pinned one but {found}")
    if not verifies(hello.server_pk, Context.SERVER_HELLO, heard.body, hello.signature):
        return closed(CloseCode.UNAUTHENTICATED, "the coordinator's signature is wrong")
    return _skew(now - hello.time, hello.time)


def check_answer(heard: Heard[WorkerHello], hashed: bytes, *, now: int) -> Closed | None:
    """Why a coordinator must not open this session; None if it may. `hashed` is the transcript hash, `now` is in ms."""
    hello = heard.message
    if skewed := _skew(hello.time - now, now):
        return skewed
    if not verifies(hello.worker_pk, Context.WORKER_HELLO, _signed(hashed), hello.signature):
        return closed(CloseCode.UNAUTHENTICATED, "the worker's signature is wrong")
    return None


def transcript(challenge: bytes, answer: bytes) -> bytes:
    """SHA-256 over the canonical JSON of both hellos, each without its signature."""
    return hashlib.sha256(challenge + answer).digest()


def shared_secret(ephemeral: bytes, peer: str) -> bytes | Closed:
    """X25519 of one's own ephemeral secret and the peer's ephemeral key (hex); a point of low order is refused."""
    try:
        return crypto_scalarmult(ephemeral, bytes.fromhex(peer))
    except nacl.exceptions.RuntimeError:
        return closed(CloseCode.UNAUTHENTICATED, "the ephemeral key is a point of low order")


def session_keys(secret: bytes, hashed: bytes) -> Keys:
    """The frame keys: HKDF-SHA-256 over the shared secret, salted with the transcript hash."""
    keys = hkdf(secret, hashed, KEY_INFO, 2 * KEY_BYTES)
    return Keys(to_worker=keys[:KEY_BYTES], to_coordinator=keys[KEY_BYTES:])


def in_time(since: int, now: int) -> Closed | None:
    """Refuses a step of the handshake that took more than 10 s; both are in ms."""
    return closed(CloseCode.SILENT, "the handshake took too long") if now - since > STEP_MS else None


def _signed(hashed: bytes) -> dict[str, str]:
    return {"transcript": hashed.hex()}


def _upgrade(version: int) -> Closed:
    spoken = f"the other side speaks version {str(version)[:8]}, this one {VERSION}"
    return closed(CloseCode.UPGRADE, f"please upgrade: hive worker update ({spoken})")


def _skew(ahead: int, coordinator: int) -> Closed | None:
    if abs(ahead) <= MAX_SKEW_MS:
        return None
    clock = datetime.fromtimestamp(min(coordinator, _LAST_MS) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    side = "ahead" if ahead > 0 else "behind"
    reason = f"the worker's clock is {abs(ahead) // 1000} s {side}: the coordinator's time is {clock}"
    return closed(CloseCode.UNAUTHENTICATED, reason)
