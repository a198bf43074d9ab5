"""Which models are short, and who is asked to load them."""

from pathlib import Path
from typing import Any

import msgspec

from coordinator.match.needs import Need
from coordinator.match.rules import ModelFacts
from coordinator.match.wanted import HANDFUL, REST_MS, Hand, short_of, whom
from coordinator.store.rows import KindSpec
from shared.catalogue import Entry
from tests.pure.test_rules import WORKER

ENTRY = Entry(
    id="big", digest="ab" * 32, path=Path("big.gguf"), context=8192, size_bytes=800, price_in=1, price_out=1, owned_by="",
    created=0, quantization="", architecture="", licence="", note="",
)  # fmt: skip
KIND = KindSpec(model="big", context=4096)
NOW = 10 * REST_MS


def hand(pk: str, *, free: int = 1, asked_at: int = 0, **facts: Any) -> Hand:
    usual = {"pk": pk, "memory": 1000, "models": {}}
    return Hand(msgspec.structs.replace(WORKER, **usual | facts), free, asked_at)


def has(**state: bool) -> dict[str, ModelFacts]:
    return {"big": msgspec.structs.replace(ModelFacts("ab" * 32, 8192, loaded=False), **state)}


def test_a_model_is_short_while_more_jobs_wait_than_slots_have_it_warm() -> None:
    warm, loading, cold = (
        hand("a", models=has(loaded=True)),
        hand("b", models=has(loading=True)),
        hand("c", models=has()),
    )
    assert short_of([(KIND, 1)], [warm]) == {}
    assert short_of([(KIND, 2)], [warm, loading]) == {}
    assert short_of([(KIND, 2)], [warm, cold]) == {"big": [KIND]}
    assert short_of([(KIND, 1)], [msgspec.structs.replace(warm, free=0)]) == {"big": [KIND]}
    assert short_of([(KIND, 1)], []) == {"big": [KIND]}
    elsewhere = KindSpec(model="big", context=4096, countries=("DE",))
    assert short_of([(KIND, 1), (elsewhere, 1)], [warm]) == {"big": [elsewhere]}


def test_who_could_serve_it_is_asked_and_who_has_the_file_first() -> None:
    asked = whom([KIND], ENTRY, [hand("b", free=2), hand("a"), hand("d", models=has()), hand("c")], NOW, 0)
    assert asked == ["d", "b", "a", "c"]


def test_nobody_is_asked_who_cannot_or_would_not_get_such_jobs() -> None:
    hands = [
        hand("small", memory=999),
        hand("warm", models=has(loaded=True)),
        hand("loading", models=has(loading=True)),
        hand("busy", free=0),
        hand("asked", asked_at=NOW - REST_MS + 1),
        hand("paused", jobs=False),
        hand("elsewhere", countries=frozenset({"US"})),
        hand("dear", price_floor=5),
    ]
    kinds = [KindSpec(model="big", context=4096, countries=("IT",))]
    assert whom(kinds, ENTRY, hands, NOW, 0) == []
    assert whom(kinds, ENTRY, [*hands, hand("rested", asked_at=NOW - REST_MS)], NOW, 0) == ["rested"]
    embedder = {"big": ModelFacts("ab" * 32, 8192, loaded=False, tasks=frozenset({"embed"}))}
    assert whom([KIND], ENTRY, [hand("a", models=embedder)], NOW, 0) == []
    own = [KindSpec(model="big", context=4096, needs=int(Need.OWN))]
    assert whom(own, ENTRY, [hand("a")], NOW, 0) == []


def test_a_model_is_fetched_for_any_task_and_never_for_images() -> None:
    ranks = KindSpec(model="big", context=4096, needs=int(Need.RANK))
    sees = KindSpec(model="big", context=4096, needs=int(Need.VISION))
    assert whom([ranks], ENTRY, [hand("a")], NOW, 0) == ["a"]
    assert whom([ranks], ENTRY, [hand("a", models=has())], NOW, 0) == []
    assert whom([sees], ENTRY, [hand("a"), hand("b", models=has())], NOW, 0) == []


def test_never_more_than_a_handful_within_a_minute() -> None:
    many = [hand(str(n)) for n in range(20)]
    assert len(whom([KIND], ENTRY, many, NOW, 0)) == HANDFUL
    assert len(whom([KIND], ENTRY, many, NOW, HANDFUL - 1)) == 1
    assert whom([KIND], ENTRY, many, NOW, HANDFUL + 1) == []
