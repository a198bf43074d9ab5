"""One ladder under two vocabularies."""

import pytest

from shared.tiers import AGENT_NAMES, EVIDENCE, WORKER_NAMES, evidence_rank, tier_name, tier_rank


@pytest.mark.parametrize("names", [WORKER_NAMES, AGENT_NAMES])
def test_both_vocabularies_name_the_same_five_rungs(names: tuple[str, ...]) -> None:
    assert [tier_rank(name) for name in names] == [0, 1, 2, 3, 4]
    assert [tier_rank(f" {name.upper()} ") for name in names] == [0, 1, 2, 3, 4]


def test_a_rank_is_shown_in_the_workers_word() -> None:
    assert [tier_rank(tier_name(rank)) for rank in range(5)] == list(range(5))
    assert tier_name(0) == "seedling"


def test_evidence_is_ordered_from_a_claim_to_hardware() -> None:
    assert [evidence_rank(name) for name in EVIDENCE] == [0, 1, 2, 3, 4]
    assert evidence_rank(" RTT ") == 2


@pytest.mark.parametrize("name", ["", "seed", "claimed", "4"])
def test_an_unknown_tier_is_none(name: str) -> None:
    assert tier_rank(name) is None


@pytest.mark.parametrize("name", ["", "seedling", "gps"])
def test_unknown_evidence_is_none(name: str) -> None:
    assert evidence_rank(name) is None
