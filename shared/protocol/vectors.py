"""A session with fixed keys, byte by byte: what another implementation must reproduce."""

from dataclasses import dataclass
from typing import Final

import msgspec
from nacl.bindings import crypto_scalarmult_base
from nacl.signing import SigningKey

from shared.canonical import canonical
from shared.crypto import chain_extend, chain_start
from shared.protocol.closing import Closed
from shared.protocol.coordinator_end import CoordinatorEnd
from shared.protocol.frames import Sealer
from shared.protocol.handshake import session_keys, shared_secret, transcript
from shared.protocol.messages import Capabilities, Hardware, Heartbeat, ModelOffer
from shared.protocol.worker_end import WorkerEnd

SERVER_SEED: Final = bytes(range(32))
WORKER_SEED: Final = bytes(range(32, 64))
SERVER_ENTROPY: Final = bytes(range(64, 128))
WORKER_ENTROPY: Final = bytes(range(128, 160))
HOST: Final = "hive.example"
NOW: Final = 1_800_000_000_000
JOB: Final = "00000000-4f5b-8000-8000-000000000001"
CAPABILITIES: Final = Capabilities(
    cell="851f8327fffffff",
    slots=1,
    models=[ModelOffer("hive-nano", "ab" * 32, 2048, 4_000_000)],
    hardware=Hardware("cpu", 4, 8_000_000_000, 6_000_000_000, "linux"),
    engine_build="build",
    agent="hive/0.1.0",
)


@dataclass(frozen=True)
class Vectors:
    """Everything that a session with these keys computes; keys, hashes and frames in lowercase hex."""

    inputs: dict[str, str]
    hellos: dict[str, str]
    computed: dict[str, str]


def vectors() -> Vectors:
    """One handshake and the first frame each way, made by the two ends themselves."""
    coordinator = CoordinatorEnd(SigningKey(SERVER_SEED), HOST, now=NOW, entropy=SERVER_ENTROPY)
    worker = WorkerEnd(SigningKey(WORKER_SEED), HOST, None, now=NOW, entropy=WORKER_ENTROPY)
    (challenge,) = coordinator.open()
    worker.receive(challenge, NOW)
    (answer,) = worker.answer(CAPABILITIES, [], NOW)
    coordinator.receive(answer, NOW)
    (welcome,) = coordinator.welcome(session="s1", tier=0, heartbeat_ms=5000, lease_ms=60000, resume=[], now=NOW)
    worker.receive(welcome, NOW)
    (heartbeat,) = worker.send(Heartbeat(free=1))
    hellos = {"server hello": challenge.decode(), "worker hello": answer.decode()}
    sealed = {"first frame to the worker": welcome.hex(), "first frame to the coordinator": heartbeat.hex()}
    return Vectors(_inputs(), hellos, _computed(challenge, answer) | sealed | _chain())


def _inputs() -> dict[str, str]:
    return {
        "coordinator Ed25519 seed": SERVER_SEED.hex(),
        "coordinator ephemeral X25519 secret": SERVER_ENTROPY[:32].hex(),
        "nonce": SERVER_ENTROPY[32:].hex(),
        "worker Ed25519 seed": WORKER_SEED.hex(),
        "worker ephemeral X25519 secret": WORKER_ENTROPY.hex(),
    }


def _computed(challenge: bytes, answer: bytes) -> dict[str, str]:
    hashed = transcript(_unsigned(challenge), _unsigned(answer))
    secret = shared_secret(SERVER_ENTROPY[:32], crypto_scalarmult_base(WORKER_ENTROPY).hex())
    assert not isinstance(secret, Closed)  # an honest key is never a point of low order
    keys = session_keys(secret, hashed)
    return {
        "transcript hash": hashed.hex(),
        "X25519 shared secret": secret.hex(),
        "key to the worker": keys.to_worker.hex(),
        "key to the coordinator": keys.to_coordinator.hex(),
        "frame 1 of payload `{}` under the key to the worker": Sealer(keys.to_worker).seal(b"{}").hex(),
    }


def _chain() -> dict[str, str]:
    start = chain_start(JOB, 1)
    return {
        f"token chain of job {JOB}, attempt 1, empty": start.hex(),
        "the same after tokens 5, 6, 7 from position 0": chain_extend(start, 0, [5, 6, 7]).hex(),
    }


def _unsigned(hello: bytes) -> bytes:
    body = msgspec.json.decode(hello)
    return canonical({field: value for field, value in body.items() if field != "signature"})
