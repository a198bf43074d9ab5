"""Two ends of one session, and bare peers that can say anything, in any phase, correctly sealed."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from nacl.signing import SigningKey

from shared.canonical import canonical
from shared.crypto import public_key
from shared.protocol.closing import Closed
from shared.protocol.coordinator_end import CoordinatorEnd, HelloReceived
from shared.protocol.frames import Sealer
from shared.protocol.handshake import (
    Keys,
    hear,
    make_answer,
    make_challenge,
    session_keys,
    shared_secret,
    transcript,
)
from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    Capabilities,
    CloseCode,
    Decline,
    Done,
    Drain,
    Failed,
    Hardware,
    Heartbeat,
    Held,
    Inventory,
    Leave,
    ModelOffer,
    Offer,
    OfferBody,
    Pong,
    Progress,
    Refused,
    Sampling,
    ServerHello,
    Share,
    Standing,
    Tokens,
    Unsigned,
    Wanted,
    Welcome,
    WorkerHello,
)
from shared.protocol.phases import Phase
from shared.protocol.worker_end import ChallengeReceived, Welcomed, WorkerEnd

HOST: Final = "hive.example"
NOW: Final = 1_790_000_000_000
SERVER: Final = SigningKey(b"s" * 32)
WORKER: Final = SigningKey(b"w" * 32)
JOB: Final = "0d5c3a52-4f5b-8000-8000-000000000001"
CAPABILITIES: Final = Capabilities(
    cell="851f8327fffffff",
    slots=1,
    models=[ModelOffer("hive-nano", "ab" * 32, 2048, 4_000_000)],
    hardware=Hardware("cpu", 4, 8_000_000_000, 6_000_000_000, "linux"),
    engine_build="build",
    agent="hive/0.1.0",
)
BODY: Final = OfferBody(
    job_id=JOB, attempt=1, worker_pk=public_key(WORKER), model_id="hive-nano", model_digest="ab" * 32, max_tokens=5,
    sampling=Sampling(), stop=["\n"], seed="7", salt="cd" * 32, price=100, scope="scope", cell="85",
    jurisdictions=["DE"], evidence="claimed", geo_digest="ef" * 32, expires_at=NOW, prompt="Grüezi",
)  # fmt: skip
_PLAIN: Final[list[msgspec.Struct]] = [
    make_challenge(SERVER, HOST, ephemeral=b"e" * 32, nonce=b"n" * 32, now=NOW),
    WorkerHello(1, public_key(WORKER), "12" * 32, NOW, CAPABILITIES, [], "34" * 64),
]
_TO_WORKER: Final[list[msgspec.Struct]] = [
    Welcome("s1", 0, NOW, 5000, 60000, []), Refused(CloseCode.REVOKED, "no"), Offer(BODY, "00" * 64),
    Cancel(JOB, 1, "reader left"), Ack(JOB, 1, "accepted"), Pong(NOW), Drain(1000),
    Standing(NOW, 1, 2, 3, 4, 5, [Unsigned(JOB, 1, 2, "ab" * 32, 9)]), Wanted("hive-nano", "ab" * 32, 5_784_896),
]  # fmt: skip
_TO_COORDINATOR: Final[list[msgspec.Struct]] = [
    Heartbeat(1, [Held(JOB, 1, "running", 3)]), Inventory(CAPABILITIES), Accept(JOB, 1), Decline(JOB, 1, "busy"),
    Progress(JOB, 1, "prefill", 1, 2), Tokens(JOB, 1, 0, [1, 2], "hé"), Failed(JOB, 1, "engine", "broke", True),
    Done({"version": 1}, "00" * 64, [1, 2], "hé", 1, 2), Share({"version": 1}, "00" * 64),
    Leave(),
]  # fmt: skip
EXAMPLES: Final[dict[type[msgspec.Struct], msgspec.Struct]] = {
    type(message): message for message in [*_PLAIN, *_TO_WORKER, *_TO_COORDINATOR]
}


def coordinator_end(salt: int = 0) -> CoordinatorEnd:
    """A coordinator's end; another `salt` is another connection."""
    return CoordinatorEnd(SERVER, HOST, now=NOW, entropy=bytes([1 + salt]) * 32 + bytes([2 + salt]) * 32)


def worker_end(salt: int = 0, *, host: str = HOST, pinned: str | None = None) -> WorkerEnd:
    """A worker's end; another `salt` is another connection."""
    return WorkerEnd(WORKER, host, pinned, now=NOW, entropy=bytes([3 + salt]) * 32)


@dataclass
class Pair:
    """Both ends, and every websocket message that has gone each way."""

    coordinator: CoordinatorEnd = field(default_factory=coordinator_end)
    worker: WorkerEnd = field(default_factory=worker_end)
    to_worker: list[bytes] = field(default_factory=list)
    to_coordinator: list[bytes] = field(default_factory=list)

    def down(self, messages: list[bytes]) -> list[Any]:
        """Carries what the coordinator says; the worker's events."""
        self.to_worker += messages
        return [event for message in messages for event in self.worker.receive(message, NOW)]

    def up(self, messages: list[bytes]) -> list[Any]:
        """Carries what the worker says; the coordinator's events."""
        self.to_coordinator += messages
        return [event for message in messages for event in self.coordinator.receive(message, NOW)]

    def welcome(self) -> list[bytes]:
        """What the coordinator says to open the session."""
        return self.coordinator.welcome(
            session="s1", tier=0, heartbeat_ms=5000, lease_ms=60000, resume=[], now=NOW
        )  # fmt: skip


def opened(salt: int = 0) -> Pair:
    """A session that has come to the phase open."""
    pair = Pair(coordinator_end(salt), worker_end(salt))
    (challenged,) = pair.down(pair.coordinator.open())
    assert isinstance(challenged, ChallengeReceived)
    (hello,) = pair.up(pair.worker.answer(CAPABILITIES, [], NOW))
    assert isinstance(hello, HelloReceived)
    (welcomed,) = pair.down(pair.welcome())
    assert isinstance(welcomed, Welcomed)
    return pair


def secret(mine: bytes, peer: str) -> bytes:
    """The shared secret with an honest peer."""
    found = shared_secret(mine, peer)
    assert isinstance(found, bytes)
    return found


def coordinator_in(phase: Phase) -> tuple[CoordinatorEnd, Sealer]:
    """A coordinator's end brought to `phase` by a bare worker, and that worker's sealer (of no use before answered)."""
    end = coordinator_end()
    keys = Keys(b"0" * 32, b"0" * 32)
    if phase is Phase.START:
        return end, Sealer(keys.to_coordinator)
    (challenge,) = end.open()
    if phase is not Phase.CHALLENGED:
        heard = hear(challenge, ServerHello)
        assert not isinstance(heard, Closed)
        answer, hashed = make_answer(WORKER, heard, ephemeral=b"x" * 32, now=NOW, capabilities=CAPABILITIES, resume=[])
        keys = session_keys(secret(b"x" * 32, heard.message.ephemeral_pk), hashed)
        assert end.receive(msgspec.json.encode(answer), NOW) == [HelloReceived(answer)]
    if phase is Phase.OPEN:
        end.welcome(session="s1", tier=0, heartbeat_ms=1, lease_ms=1, resume=[], now=NOW)
    if phase is Phase.CLOSED:
        end.refuse(CloseCode.RESTART, "bye")
    return end, Sealer(keys.to_coordinator)


def worker_in(phase: Phase) -> tuple[WorkerEnd, Sealer]:
    """A worker's end brought to `phase` by a bare coordinator, and that coordinator's sealer."""
    end = worker_end()
    challenge = make_challenge(SERVER, HOST, ephemeral=b"y" * 32, nonce=b"n" * 32, now=NOW)
    sealer = Sealer(b"0" * 32)
    if phase is Phase.START:
        return end, sealer
    (event,) = end.receive(msgspec.json.encode(challenge), NOW)
    assert isinstance(event, ChallengeReceived)
    if phase is not Phase.CHALLENGED:
        (answer,) = end.answer(CAPABILITIES, [], NOW)
        sealer = Sealer(_to_worker(challenge, answer))
    if phase is Phase.OPEN:
        (event,) = end.receive(sealer.seal(msgspec.json.encode(EXAMPLES[Welcome])), NOW)
        assert event == Welcomed(EXAMPLES[Welcome])  # type: ignore[arg-type]
    if phase is Phase.CLOSED:
        (event,) = end.receive(sealer.seal(msgspec.json.encode(EXAMPLES[Refused])), NOW)
        assert event == Closed(CloseCode.REVOKED, "no")
    return end, sealer


def _to_worker(challenge: ServerHello, answer: bytes) -> bytes:
    heard = hear(answer, WorkerHello)
    assert not isinstance(heard, Closed)
    said = msgspec.to_builtins(msgspec.structs.replace(challenge, signature=""))
    hashed = transcript(canonical(said), heard.canonical)
    return session_keys(secret(b"y" * 32, heard.message.ephemeral_pk), hashed).to_worker
