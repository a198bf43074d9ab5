"""The small decisions of dispatch: whose host it is, what a worker may say, how fast, and what an offer holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from nacl.signing import SigningKey

from coordinator.dispatch import inbox
from coordinator.dispatch.admission import Place, Refusal, facts_of, fault_of, place_of, public_of
from coordinator.dispatch.attempts import Attempt
from coordinator.dispatch.joining import is_ours
from coordinator.dispatch.judging import speed
from coordinator.dispatch.offer import body_of, is_weak, price_of, signed
from coordinator.dispatch.session import MAX_QUEUED_BYTES, Bucket, Session
from coordinator.dispatch.state import Dispatch
from coordinator.match.rules import ModelFacts
from coordinator.store.rows import Claimed
from coordinator.submit.request import JobRequest
from shared.catalogue import Entry
from shared.crypto import Context, public_key, verifies
from shared.protocol.closing import Closed
from shared.protocol.messages import (
    Cancel,
    Capabilities,
    CloseCode,
    Gpu,
    Hardware,
    Heartbeat,
    Message,
    ModelOffer,
    Pong,
)
from tests.pure.protocol_pair import opened
from tests.pure.test_assign import job

DIGEST = "ab" * 32
ENTRY = Entry(
    id="m", digest=DIGEST, path=Path("m.gguf"), context=2048, size_bytes=1, price_in=1, price_out=1, owned_by="",
    created=0, quantization="", architecture="", licence="", note="",
)  # fmt: skip
SAID = Capabilities(
    cell="871e8052affffff", slots=2, models=[ModelOffer("m", DIGEST, 8192, 1, loaded=True)],
    hardware=Hardware("c", 1, 1, 1, "o"), engine_build="e", agent="a",
)  # fmt: skip


def claimed(hold: int = 101) -> Claimed:
    request = msgspec.json.encode(JobRequest(model="m", messages=[Message("user", "hi")], stop=["x"]))
    return msgspec.structs.replace(job(), request=request, hold=hold, max_tokens=9)


@pytest.mark.parametrize(
    ("host", "public_host", "ours"),
    [
        ("127.0.0.1:8080", "", True),
        ("[::1]:8080", "", True),
        ("localhost:80", "", True),
        ("hive.example", "hive.example", True),
        ("hive.example:443", "hive.example", True),
        ("HIVE.example:443", "hive.example", True),
        ("evil.example", "hive.example", False),
        ("evil.example", "", False),
        ("10.0.0.1:80", "", False),
        ("", "", False),
    ],
)
def test_only_our_own_names_are_answered_for(host: str, public_host: str, ours: bool) -> None:
    assert is_ours(host, public_host) is ours


def test_facts_are_what_the_catalogue_and_the_limits_leave_of_what_was_said() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    assert place.countries == {"IT"}
    models = [*SAID.models, ModelOffer("m2", DIGEST, 1, 1), ModelOffer("m", "00" * 32, 1, 1)]
    said = msgspec.structs.replace(SAID, slots=10**9, models=models)
    facts = facts_of("aa" * 32, place, said, tier=1, evidence=0, catalogue={"m": ENTRY})
    assert (facts.slots, list(facts.models), facts.models["m"].context) == (64, ["m"], 2048)
    assert public_of(facts, "@x").cell == "841e805ffffffff"


@pytest.mark.parametrize("cell", ["", "zz", "841e805ffffffff", "0" * 15, "x" * 200])
def test_a_place_that_is_none_is_refused(cell: str) -> None:
    assert isinstance(place_of(msgspec.structs.replace(SAID, cell=cell)), Refusal)


@pytest.mark.parametrize("fault", [{"slots": 0}, {"handle": "x" * 41}, {"handle": "a\nb"}])
def test_other_faults_have_a_reason(fault: dict[str, object]) -> None:
    assert isinstance(fault_of(msgspec.structs.replace(SAID, **fault)), Refusal)
    assert fault_of(SAID) is None


def test_an_offer_says_the_terms_and_is_signed() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    facts = facts_of("aa" * 32, place, SAID, tier=1, evidence=0, catalogue={"m": ENTRY})
    key, one = SigningKey(b"\1" * 32), claimed()
    offer = signed(key, body_of(one, 3, facts, {"m": ENTRY}, resume_ids=[5], geo_digest="ef" * 32, expires_at=99))
    body = offer.body
    assert verifies(public_key(key), Context.OFFER, msgspec.to_builtins(body), offer.signature)
    assert (body.job_id, body.attempt, body.worker_pk, body.model_digest) == (str(one.id), 3, "aa" * 32, DIGEST)
    assert (body.cell, body.jurisdictions, body.evidence) == ("841e805ffffffff", ["IT"], "claimed")
    assert (body.stop, body.resume_ids, body.max_tokens, body.price) == (["x"], [5], 9, price_of(one))
    other = msgspec.structs.replace(one, account_id=UUID(int=2))
    assert body_of(other, 3, facts, {"m": ENTRY}, resume_ids=[], geo_digest="", expires_at=0).scope != body.scope


def test_an_offer_carries_all_that_the_request_asks() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    facts = facts_of("aa" * 32, place, SAID, tier=1, evidence=0, catalogue={"m": ENTRY})
    asked: dict[str, Any] = {
        "tools": "[{}]", "tool_choice": '"auto"', "parallel_tool_calls": False, "response_format": "{}",
        "logit_bias": {"5": 1}, "logprobs": 0, "fresh": True,
    }  # fmt: skip
    request = JobRequest(model="m", prompt="hi", **asked)
    one = msgspec.structs.replace(claimed(), request=msgspec.json.encode(request))
    body = body_of(one, 1, facts, {"m": ENTRY}, resume_ids=[], geo_digest="", expires_at=0)
    assert {name: getattr(body, name) for name in asked} == asked


def test_facts_tell_what_a_worker_says_of_its_engine_its_price_and_its_memory() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    weak = ModelOffer("m", DIGEST, 8192, 1, verifiability="weak", loading=True, mtps=7)
    gpus = [Gpu("g", "cuda", 30, 1), Gpu("g", "cuda", 30, 1)]
    said = msgspec.structs.replace(SAID, models=[weak], price_floor=5, hardware=Hardware("c", 1, 50, 1, "o", gpus))
    facts = facts_of("aa" * 32, place, said, tier=1, evidence=0, catalogue={"m": ENTRY}, owner=UUID(int=3))
    assert facts.models["m"] == ModelFacts(DIGEST, 2048, loaded=False, loading=True, weak=True, mtps=7)
    assert (facts.price_floor, facts.memory, facts.owner) == (5, 60, UUID(int=3))
    assert is_weak(facts, "m")
    assert not is_weak(facts, "other")


def test_an_offer_can_be_made_though_the_worker_has_dropped_the_model_meanwhile() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    none = msgspec.structs.replace(SAID, models=[])
    facts = facts_of("aa" * 32, place, none, tier=1, evidence=0, catalogue={"m": ENTRY})
    assert body_of(claimed(), 1, facts, {"m": ENTRY}, resume_ids=[], geo_digest="", expires_at=0).model_digest == DIGEST


@pytest.mark.parametrize(("hold", "price"), [(0, 0), (100, 60), (10_000, 6_000)])
def test_the_price_is_the_workers_part_of_the_hold(hold: int, price: int) -> None:
    assert price_of(claimed(hold)) == price


def test_a_bucket_lets_its_rate_through_and_no_more() -> None:
    bucket = Bucket(10, now=0)
    assert sum(bucket.take(0) for _ in range(50)) == 20
    assert sum(bucket.take(500) for _ in range(50)) == 5


@pytest.mark.parametrize(
    ("tokens", "prefill", "decode", "expected"), [(11, 5, 100, 100.0), (1, 50, 0, 20.0), (0, 1, 0, 0.0)]
)
def test_speed_is_of_decoding(tokens: int, prefill: int, decode: int, expected: float) -> None:
    assert speed(tokens, prefill, decode) == expected


class SlowLine:
    """A way to a worker that takes nothing."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.ended: list[Closed] = []

    def say(self, frames: Sequence[bytes]) -> int:
        """All of it waits."""
        self.said += frames
        return sum(map(len, self.said))

    def end(self, why: Closed) -> None:
        """Closed."""
        self.ended.append(why)


def test_a_reader_that_is_too_slow_is_told_nothing_more() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    facts = facts_of("aa" * 32, place, SAID, tier=1, evidence=0, catalogue={"m": ENTRY})
    session = Session(opened().coordinator, facts, public_of(facts, None), 0)
    session.send(Pong(1))
    line = SlowLine()
    session.open(line)
    assert len(line.said) == 1
    session.push([b"x" * (MAX_QUEUED_BYTES + 1)])
    session.send(Cancel("00000000-0000-4000-8000-000000000000", 1, "late"))
    assert session.closing is not None
    assert session.closing.code is CloseCode.OVERLOAD
    assert len(line.said) == 2
    assert line.ended == [session.closing]


def test_every_second_heartbeat_is_answered_from_the_first_on_whatever_the_clock_says() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    facts = facts_of("aa" * 32, place, SAID, tier=1, evidence=0, catalogue={"m": ENTRY})
    session = Session(opened().coordinator, facts, public_of(facts, None), 0)
    answered = []
    for now in (3_900, 8_900, 2_000, 2_100, 7_000):
        before = len(session.early)
        inbox.take(cast(Dispatch, None), session, Heartbeat(1), now)
        answered.append(len(session.early) > before)
        assert session.heard_at == now
    assert answered == [True, False, True, False, True]


def test_saying_the_same_again_is_no_progress() -> None:
    place = place_of(SAID)
    assert isinstance(place, Place)
    facts = facts_of("aa" * 32, place, SAID, tier=1, evidence=0, catalogue={"m": ENTRY})
    body = body_of(claimed(), 1, facts, {"m": ENTRY}, resume_ids=[], geo_digest="", expires_at=0)
    attempt = Attempt(claimed(), signed(SigningKey(b"k" * 32), body), 0, 0, 1)
    attempt.advance((1, 0), 10)
    attempt.advance((1, 0), 20)
    assert attempt.progress_at == 10
    attempt.advance((1, 64), 30)
    attempt.advance((2, 1), 40)
    attempt.advance((1, 128), 50)
    attempt.advance((2, 1), 60)
    assert attempt.progress_at == 40
