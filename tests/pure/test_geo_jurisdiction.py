"""Reading x-hive-jurisdiction, deciding by it, and naming a set of countries."""

from random import Random

import pytest
from hypothesis import given, strategies as st

from shared.geo.jurisdiction import (
    COUNTRIES,
    EEA,
    EU,
    GDPR,
    GROUPS,
    InvalidJurisdiction,
    allowed,
    checked_groups,
    parse_jurisdiction,
    region_key,
)

SETS = st.one_of(
    st.frozensets(st.sampled_from(sorted(COUNTRIES)), min_size=1),
    st.builds(lambda group, more: GROUPS[group] | more, st.sampled_from(sorted(GROUPS)),
              st.frozensets(st.sampled_from(sorted(COUNTRIES)), max_size=4)),
)  # fmt: skip


def test_there_are_249_official_codes_and_kosovo() -> None:
    assert len(COUNTRIES) == 250
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)


def test_the_groups_hold_whom_the_contract_says() -> None:
    assert len(EU) == 27 + 7
    assert {"GF", "GP", "MF", "MQ", "RE", "YT", "AX"} <= EU
    assert not EU & {
        "GB",
        "CH",
        "NO",
        "GL",
        "FO",
        "GI",
        "JE",
        "GG",
        "IM",
        "NC",
        "PF",
        "BL",
        "PM",
        "AW",
        "CW",
        "SX",
        "BQ",
    }
    assert {"IS", "LI", "NO"} == EEA - EU
    assert "SJ" not in EEA
    assert {"CH", "GB"} == GDPR - EEA
    assert GDPR <= COUNTRIES


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("DE", {"DE"}),
        ("de", {"DE"}),
        (" de , Fr ", {"DE", "FR"}),
        ("eu", EU),
        ("EU,CH", EU | {"CH"}),
        ("GDPR,eea", GDPR),
    ],
)
def test_case_and_spaces_do_not_matter_and_a_list_is_a_union(text: str, wanted: set[str]) -> None:
    assert parse_jurisdiction(text) == wanted


@pytest.mark.parametrize(
    ("text", "named"),
    [("", "empty"), ("DE,", "empty"), (",", "empty"), ("DE,,FR", "empty"), ("ZZ", "'ZZ'"), ("DE,Europe", "'Europe'"),
     ("UK", "'UK'"), ("DE;FR", "'DE;FR'"), ("E U", "'E U'")],
)  # fmt: skip
def test_a_wrong_part_is_named(text: str, named: str) -> None:
    with pytest.raises(InvalidJurisdiction, match=named):
        parse_jurisdiction(text)


def test_a_long_wrong_part_is_cut() -> None:
    with pytest.raises(InvalidJurisdiction) as caught:
        parse_jurisdiction("x" * 10_000)
    assert len(str(caught.value)) < 100


def test_operators_add_groups() -> None:
    groups = checked_groups({"dach": "DE, AT, CH", "FIVE": "EU,US"})
    assert parse_jurisdiction("Dach", groups) == {"DE", "AT", "CH"}
    assert parse_jurisdiction("five,dach", groups) == EU | {"US", "CH"}
    with pytest.raises(InvalidJurisdiction, match="dach"):
        parse_jurisdiction("dach")


@pytest.mark.parametrize("groups", [{"EU": "US"}, {"de": "US"}, {"": "US"}, {"A,B": "US"}, {"mine": "nowhere"}])
def test_an_operators_group_cannot_redefine_a_name_or_hold_nonsense(groups: dict[str, str]) -> None:
    with pytest.raises(InvalidJurisdiction):
        checked_groups(groups)


@pytest.mark.parametrize(
    ("cell", "allow", "fits"),
    [({"IT"}, "EU", True), ({"CH", "DE", "FR"}, "EU", False),
     ({"CH", "DE", "FR"}, "GDPR", True), ({"GB", "IE"}, "IE", False),
     ({"RE"}, "EU", True), ({"RE"}, "FR", False),
     ({"SJ"}, "EEA", False), ({"CY", "TR"}, "EU", False), (set(), "GDPR", False)],
)  # fmt: skip
def test_a_cell_fits_iff_it_touches_land_and_all_of_it_is_allowed(cell: set[str], allow: str, fits: bool) -> None:
    assert allowed(frozenset(cell), parse_jurisdiction(allow)) is fits


@given(SETS, SETS)
def test_allowing_more_never_forbids(cell: frozenset[str], allow: frozenset[str]) -> None:
    assert not allowed(cell, allow) or allowed(cell, allow | {"US"})
    assert allowed(cell, allow | cell)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("eu", "EU"),
        ("FR,de,FR", "DE,FR"),
        ("EU,DE", "EU"),
        ("CH,EU", "CH,EU"),
        ("EEA,CH,GB", "GDPR"),
        ("EU,IS,LI,NO", "EEA"),
    ],
)
def test_a_key_is_the_shortest_common_name(text: str, key: str) -> None:
    assert region_key(parse_jurisdiction(text)) == key


@given(SETS, st.randoms(use_true_random=False))
def test_the_same_set_has_the_same_key_which_reads_back(wanted: frozenset[str], order: Random) -> None:
    spelled = sorted(wanted)
    order.shuffle(spelled)
    assert region_key(parse_jurisdiction(",".join(spelled).lower())) == region_key(wanted)
    assert parse_jurisdiction(region_key(wanted)) == wanted
