"""Which offers are taken, and what is free afterwards."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from shared.crypto import Context, public_key, sign
from shared.protocol.messages import Message, Offer, OfferBody, Sampling
from worker.comfort.policy import Wishes, pattern
from worker.slots import Slots, Terms, refusal

SERVER, WORKER = SigningKey(b"s" * 32), SigningKey(b"w" * 32)
DIGEST = "aa" * 32
TERMS = Terms(public_key(WORKER), public_key(SERVER), 1000, {"nano": DIGEST}, True)
REFUSING = msgspec.structs.replace(TERMS, wishes=Wishes(refuse=(pattern("X"),)))
KEY = ("job", 1)


def offer(key: SigningKey = SERVER, **changed: Any) -> Offer:
    fields: dict[str, Any] = {
        "job_id": "job", "attempt": 1, "worker_pk": public_key(WORKER), "model_id": "nano", "model_digest": DIGEST,
        "max_tokens": 1, "sampling": Sampling(), "stop": [], "seed": "s", "salt": "ab" * 32, "price": 0, "scope": "",
        "cell": "", "jurisdictions": [], "evidence": "claimed", "geo_digest": "", "expires_at": 1001,
        "messages": [Message("user", "x")],
    }  # fmt: skip
    body = OfferBody(**{**fields, **changed})
    return Offer(body, sign(key, Context.OFFER, msgspec.to_builtins(body)))


def test_a_right_offer_is_taken() -> None:
    assert refusal(offer(), Slots(1), TERMS) is None
    assert refusal(offer(messages=None, prompt="x"), Slots(1), TERMS) is None
    assert refusal(offer(task="embed", messages=None, inputs=["a"]), Slots(1), TERMS) is None
    assert refusal(offer(task="rank", messages=None, inputs=["q", "a"]), Slots(1), TERMS) is None


@pytest.mark.parametrize(
    ("wrong", "slots", "terms", "reason"),
    [
        (offer(worker_pk="00" * 32), Slots(1), TERMS, "for another worker"),
        (offer(WORKER), Slots(1), TERMS, "bad signature"),
        (msgspec.structs.replace(offer(), signature="00" * 64), Slots(1), TERMS, "bad signature"),
        (offer(expires_at=1000), Slots(1), TERMS, "expired"),
        (offer(), Slots(1), msgspec.structs.replace(TERMS, open=False), "takes no work now"),
        (offer(model_id="big"), Slots(1), TERMS, "unknown model"),
        (offer(model_digest="bb" * 32), Slots(1), TERMS, "unknown model"),
        (offer(prompt="both"), Slots(1), TERMS, "neither messages nor a prompt, or both"),
        (offer(task="embed", inputs=["a"]), Slots(1), TERMS, "a prompt for a task that has none"),
        (offer(task="embed", messages=None), Slots(1), TERMS, "no texts"),
        (offer(task="rank", messages=None, inputs=["query"]), Slots(1), TERMS, "no texts"),
        (offer(task="rank", messages=None, inputs=["q", "X"]), Slots(1), REFUSING, "policy"),
        (offer(), Slots(1), msgspec.structs.replace(TERMS, wishes=Wishes(price_floor=1)), "price"),
        (offer(), Slots(1), REFUSING, "policy"),
        (offer(), Slots(1, frozenset({("other", 1)})), TERMS, "no free slot"),
        (offer(), Slots(2, frozenset({KEY})), TERMS, "no free slot"),
    ],
)
def test_a_wrong_one_is_declined_with_its_reason(wrong: Offer, slots: Slots, terms: Terms, reason: str) -> None:
    assert refusal(wrong, slots, terms) == reason


def test_any_change_of_a_signed_offer_breaks_it() -> None:
    body = msgspec.structs.replace(offer().body, max_tokens=2)
    assert refusal(Offer(body, offer().signature), Slots(1), TERMS) == "bad signature"


def test_a_slot_is_taken_once() -> None:
    slots = Slots(1).with_attempt(KEY)
    assert slots.free == 0
    with pytest.raises(ValueError, match="no slot"):
        slots.with_attempt(("other", 1))
    assert slots.without(KEY) == slots.without(KEY).without(KEY) == Slots(1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40))
def test_never_more_run_than_there_are_slots(steps: list[tuple[bool, int]]) -> None:
    slots = Slots(3)
    for takes, number in steps:
        key = (str(number), 1)
        if not takes:
            slots = slots.without(key)
        elif slots.free and key not in slots.running:
            slots = slots.with_attempt(key)
        assert 0 <= slots.free <= 3
        assert slots.free + len(slots.running) == 3
