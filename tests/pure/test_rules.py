"""The placement rules: what each forbids, in which order, and that nothing but a named cell's widening ever yields."""

from uuid import UUID

import h3.api.basic_int as h3
import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.match.needs import Need
from coordinator.match.rules import EligibleAfter, ModelFacts, Reason, WorkerFacts, waits, why_not, widened
from coordinator.match.score import Fit, fit
from coordinator.store.rows import Kind
from shared.geo.cells import at, cell_of, is_in
from shared.geo.index import countries

ROME, BERLIN = cell_of(41.9028, 12.4964), cell_of(52.52, 13.405)
WORKER = WorkerFacts(
    pk="aa" * 32, cell=ROME, countries=frozenset({"IT"}), tier=2, evidence=1,
    models={"m": ModelFacts("00" * 32, 2048, loaded=True)}, slots=1,
)  # fmt: skip
KIND = Kind(
    id=1, model="m", region="", countries=None, cell=None, strict=False, min_tier=0, min_evidence=0, context=2048
)


WEAK = {"m": ModelFacts("00" * 32, 2048, loaded=True, weak=True)}
SEES = {"m": ModelFacts("00" * 32, 2048, loaded=True, weak=True, vision=True)}
EMBEDS = {"m": ModelFacts("00" * 32, 2048, loaded=True, tasks=frozenset({"embed"}))}
ME = UUID(int=7)


def worker(**different: object) -> WorkerFacts:
    return msgspec.structs.replace(WORKER, **different)


def kind(**different: object) -> Kind:
    return msgspec.structs.replace(KIND, **different)


def test_a_worker_that_breaks_no_rule_is_eligible_at_once() -> None:
    assert why_not(WORKER, KIND) == EligibleAfter(0)


@pytest.mark.parametrize(
    ("facts", "asked", "reason"),
    [
        ({"jobs": False}, {}, Reason.TAKES_NONE),
        ({"models": {}}, {}, Reason.MODEL),
        ({}, {"needs": Need.EMBED}, Reason.TASK),
        ({}, {"needs": Need.RANK | Need.SEEDED}, Reason.TASK),
        ({"models": EMBEDS}, {}, Reason.TASK),
        ({"models": EMBEDS}, {"needs": Need.RANK}, Reason.TASK),
        ({}, {"needs": Need.VISION}, Reason.VISION),
        ({}, {"countries": ["DE"]}, Reason.PLACE),
        ({}, {"countries": []}, Reason.PLACE),
        ({"countries": frozenset({"IT", "CH"})}, {"countries": ["IT"]}, Reason.PLACE),
        ({"countries": frozenset()}, {"countries": ["IT"]}, Reason.PLACE),
        ({}, {"cell": BERLIN}, Reason.PLACE),
        ({}, {"min_tier": 3}, Reason.TIER),
        ({}, {"min_evidence": 2}, Reason.EVIDENCE),
        ({}, {"context": 4096}, Reason.CONTEXT),
        ({"models": WEAK}, {"needs": Need.SEEDED}, Reason.VERIFIABILITY),
        ({"price_floor": 1025}, {"price": 11}, Reason.PRICE),
        ({"price_floor": 1}, {"price": 0}, Reason.PRICE),
        ({}, {"needs": Need.OWN, "owner": ME}, Reason.OWNER),
        ({"owner": UUID(int=8)}, {"needs": Need.OWN, "owner": ME}, Reason.OWNER),
        ({}, {"needs": Need.OWN}, Reason.OWNER),
    ],
)
def test_each_rule_forbids_what_it_is_for(facts: dict[str, object], asked: dict[str, object], reason: Reason) -> None:
    assert why_not(worker(**facts), kind(**asked)) is reason


def test_what_a_worker_says_of_itself_forbids_no_more_than_that() -> None:
    assert why_not(worker(models=WEAK), KIND) == EligibleAfter(0)
    assert why_not(WORKER, kind(needs=Need.SEEDED)) == EligibleAfter(0)
    assert why_not(worker(price_floor=1024), kind(price=11)) == EligibleAfter(0)
    assert why_not(worker(owner=ME), kind(needs=Need.OWN, owner=ME)) == EligibleAfter(0)
    assert why_not(worker(models=SEES), kind(needs=Need.VISION)) == EligibleAfter(0)
    assert why_not(worker(models=SEES), KIND) == EligibleAfter(0)
    assert why_not(worker(models=EMBEDS), kind(needs=Need.EMBED)) == EligibleAfter(0)
    assert why_not(worker(owner=UUID(int=8)), kind(owner=ME)) == EligibleAfter(0)


def test_how_a_worker_fits_tells_what_is_its_own_and_how_fast_it_is() -> None:
    fast = {"m": ModelFacts("00" * 32, 2048, loaded=False, loading=True, weak=True, mtps=50_000)}
    assert fit(WORKER, KIND) == Fit(0, loaded=True)
    found = fit(worker(models=fast, owner=ME), kind(owner=ME))
    assert found == Fit(0, loaded=False, own=True, loading=True, weak=True, pace=16)


def test_the_first_broken_rule_is_named_in_the_order_of_the_contract() -> None:
    facts = {"models": {}, "countries": frozenset({"US"}), "tier": 0, "evidence": 0, "price_floor": 9}
    asked = {
        "countries": ["IT"], "min_tier": 3, "min_evidence": 2, "context": 4096, "needs": Need.OWN | Need.SEEDED,
        "owner": ME, "price": 1,
    }  # fmt: skip
    large = {"m": ModelFacts("00" * 32, 4096, loaded=True, weak=True)}
    seeded = {"m": ModelFacts("00" * 32, 4096, loaded=True)}
    mended: list[tuple[str, object]] = [
        ("owner", ME), ("models", WORKER.models), ("countries", WORKER.countries), ("tier", 4), ("evidence", 4),
        ("models", large), ("models", seeded),
    ]  # fmt: skip
    found = [why_not(worker(**facts), kind(**asked))]
    for name, value in mended:
        facts[name] = value
        found.append(why_not(worker(**facts), kind(**asked)))
    assert found == [
        Reason.OWNER, Reason.MODEL, Reason.PLACE, Reason.TIER, Reason.EVIDENCE, Reason.CONTEXT, Reason.VERIFIABILITY,
        Reason.PRICE,
    ]  # fmt: skip


def test_a_named_cell_overrides_the_jurisdiction_inside_it_only() -> None:
    inside = kind(cell=ROME, countries=["DE"])
    sibling = next(cell for cell in neighbours(ROME, 6) if cell != ROME)
    assert waits(WORKER, inside) == 0
    assert waits(worker(cell=sibling), inside) is None
    assert waits(worker(cell=sibling, countries=frozenset({"DE"})), inside) == 1000


@pytest.mark.parametrize(("shared", "ms"), [(6, 1000), (5, 2000)])
def test_a_cell_widens_one_resolution_a_second_down_to_five(shared: int, ms: int) -> None:
    cousin = next(cell for cell in neighbours(ROME, shared) if at(cell, shared + 1) != at(ROME, shared + 1))
    assert waits(worker(cell=cousin), kind(cell=ROME)) == ms
    assert waits(worker(cell=cousin), kind(cell=ROME, strict=True)) is None


def test_beyond_resolution_five_nothing_widens() -> None:
    stranger = next(cell for cell in neighbours(ROME, 4) if at(cell, 5) != at(ROME, 5))
    assert waits(worker(cell=stranger), kind(cell=ROME)) is None
    assert waits(worker(cell=stranger), kind(cell=at(ROME, 5))) is None
    assert waits(worker(cell=stranger), kind(cell=at(ROME, 4))) == 0


@pytest.mark.parametrize("res", range(8))
def test_how_far_each_resolution_widens(res: int) -> None:
    steps = widened(at(ROME, res))
    assert [ms for ms, _ in steps] == [1000 * step for step in range(1, max(0, res - 5) + 1)]
    assert all(is_in(ROME, area) for _, area in steps)


places = st.builds(cell_of, st.floats(-60, 70), st.floats(-179, 179))


@given(places, places, st.integers(0, 7), st.sets(st.sampled_from(["IT", "DE", "FR", "US", "BR"])), st.booleans())
def test_no_placement_is_ever_relaxed(home: int, wanted: int, res: int, allow: set[str], strict: bool) -> None:
    facts, cell = worker(cell=home, countries=countries(home)), at(wanted, res)
    wait = waits(facts, kind(cell=cell, countries=sorted(allow), strict=strict))
    if wait == 0:
        assert is_in(home, cell)
    elif wait is not None:
        assert not strict
        assert facts.countries
        assert facts.countries <= allow
        assert is_in(home, at(cell, res - wait // 1000))
        assert res - wait // 1000 >= 5


def neighbours(cell: int, res: int) -> list[int]:
    """All cells of resolution 7 with the same parent at `res`."""
    return [int(child) for child in h3.cell_to_children(at(cell, res), 7)]
