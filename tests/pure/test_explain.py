"""Why a job waits, in words, and how far its search has come."""

from typing import Any

import msgspec
import pytest

from coordinator.api.nobody import nobody
from coordinator.dispatch.hub import Hub
from coordinator.match.explain import Facts, reason, search, would_help
from coordinator.match.needs import Need
from coordinator.match.rules import EligibleAfter, WorkerFacts, why_not
from coordinator.store.rows import KindSpec
from shared.geo.cells import at, parse_cell
from tests.pure.test_rules import worker as any_worker

ROME = parse_cell("871e8052affffff")
KIND = KindSpec(model="m", context=512)
BUSY = Facts(
    parked=False, under_way=0, at_once=None, eligible=3, here=3, free=0, rests_ms=0, reach_ms=0, avoids=0, ahead=0
)
NOBODY = "No eligible worker in EU: no worker is online."


def facts(**changed: Any) -> Facts:
    return msgspec.structs.replace(BUSY, **changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"parked": True, "under_way": 2, "at_once": 2, "eligible": 0}, "has 2 jobs of at most 2 under way"),
        ({"parked": True, "under_way": 1, "at_once": 1}, "has 1 job of at most 1 under way"),
        ({"eligible": 0, "here": 0, "rests_ms": 5}, NOBODY),
        ({"rests_ms": 400, "reach_ms": 100, "free": 1}, "declined it a moment ago; it is offered again in 400 ms"),
        ({"reach_ms": 1500, "free": 1}, "outside the cells searched now; they reach it in 1500 ms"),
        ({"here": 0}, "Each of the 3 workers that may take it is at another coordinator"),
        ({}, "Each of the 3 workers that may take it is busy; it is the next of its kind."),
        (
            {"eligible": 1, "here": 1, "ahead": 1},
            "The only worker that may take it is busy; 1 job of its kind goes before it",
        ),
        ({"avoids": 1}, "but for those that had it and lost or declined it, is busy"),
        ({"free": 1, "ahead": 12}, "A slot is free: 12 jobs of its kind go before it."),
    ],
)
def test_the_first_thing_in_the_way_is_told(changed: dict[str, Any], told: str) -> None:
    assert told in reason(facts(**changed), NOBODY)


def test_where_none_of_those_online_takes_jobs_nobody_is_told_to_link_one() -> None:
    counts = msgspec.structs.replace(Hub().counts(KIND), registered=3, online=3)
    assert nobody(counts, KIND) == "No eligible worker: no worker is online and takes jobs."
    assert nobody(counts, KIND, own=True).endswith(
        ": no worker that is linked to your account is online and takes jobs."
    )


@pytest.mark.parametrize(
    ("kind", "changed", "told"),
    [
        ({}, {"eligible": 0}, "A worker with the model m loaded and a context of 512 tokens."),
        (
            {"region": "EU", "min_tier": 2, "needs": int(Need.VISION | Need.OWN), "price": 3},
            {"eligible": 0},
            "A worker in EU, with tier navigator or higher with the model m loaded and a context of 512 tokens, that sees",
        ),
        ({"needs": int(Need.OWN)}, {"eligible": 0}, "A worker with the model m loaded and a context of 512 tokens, that is"),
        ({"needs": int(Need.EMBED | Need.SEEDED)}, {}, "A free slot at a worker that embeds with the model m loaded and a con"),
        ({"needs": int(Need.RANK)}, {"free": 1, "reach_ms": 5}, "A worker that ranks documents with"),
        ({}, {"parked": True}, "An end of one of the key's jobs"),
    ],
)  # fmt: skip
def test_what_would_help_is_told(kind: dict[str, Any], changed: dict[str, Any], told: str) -> None:
    help_ = would_help(msgspec.structs.replace(KIND, **kind), facts(**changed))
    assert help_ is not None
    assert help_.startswith(told)


@pytest.mark.parametrize("moment", [{"free": 1}, {"rests_ms": 5}])
def test_where_only_a_moment_is_missing_nothing_would_help(moment: dict[str, Any]) -> None:
    assert would_help(KIND, facts(**moment)) is None


@pytest.mark.parametrize("waited", [0, 999, 1000, 1001, 2000, 10_000])
def test_the_search_is_where_the_rules_say(waited: int) -> None:
    kind = msgspec.structs.replace(KIND, cell=ROME)
    found = search(kind, waited)
    assert found is not None
    assert [step.cell for step in found.now] == [at(ROME, res) for res in (7, 6, 5)][: 1 + min(waited // 1000, 2)]
    assert (found.next is None) is (waited >= 2000)
    for step in [*found.now, *([found.next] if found.next else [])]:
        there: WorkerFacts = msgspec.structs.replace(
            any_worker(), cell=at_the_edge(step.cell), models=any_worker().models
        )
        verdict = why_not(there, msgspec.structs.replace(kind, model=next(iter(there.models)), context=1))
        assert verdict == EligibleAfter(step.after_ms)


def at_the_edge(area: int) -> int:
    """A cell of resolution 7 in the area that is in no smaller one around Rome."""
    import h3  # noqa: PLC0415

    inner = {h3.int_to_str(at(ROME, res)) for res in (7, 6)} - {h3.int_to_str(area)}
    name = next(
        child
        for child in h3.cell_to_children(h3.int_to_str(area), 7)
        if not any(h3.cell_to_parent(child, h3.get_resolution(small)) == small for small in inner
                   if h3.get_resolution(small) > h3.get_resolution(h3.int_to_str(area)))
    )  # fmt: skip
    return int(h3.str_to_int(name))


def test_a_search_that_names_no_cell_or_is_strict_never_widens() -> None:
    assert search(KIND, 5000) is None
    strict = search(msgspec.structs.replace(KIND, cell=ROME, strict=True), 5000)
    assert strict is not None
    assert ([step.cell for step in strict.now], strict.next) == ([ROME], None)
    coarse = search(msgspec.structs.replace(KIND, cell=at(ROME, 4)), 5000)
    assert coarse is not None
    assert coarse.next is None
