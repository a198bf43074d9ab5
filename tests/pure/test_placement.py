"""Where a job may run: the caller's words and what they mean."""

from collections.abc import Mapping

import pytest

from coordinator.submit.placement import FIELDS, Asked, Placement, asked_by_headers, in_words, placement
from shared.errors import RequestError
from shared.geo.cells import at, cell_of, format_cell
from shared.geo.jurisdiction import EU

ROME = cell_of(41.9, 12.5)


def by_headers(headers: Mapping[str, str]) -> Placement:
    return placement([asked_by_headers(headers.get)])


def test_nothing_asked_is_anywhere() -> None:
    assert by_headers({}) == Placement()
    assert in_words(Placement()) == ""


def test_all_headers_are_read() -> None:
    read = by_headers(
        {
            "x-hive-jurisdiction": "ch, eu",
            "x-hive-h3-cell": format_cell(ROME).upper(),
            "x-hive-h3-strict": "True",
            "x-hive-min-tier": "Trusted",
            "x-hive-min-evidence": "rtt",
        }
    )
    assert (read.region, read.countries, read.cell) == ("CH,EU", EU | {"CH"}, ROME)
    assert (read.strict, read.min_tier, read.min_evidence) == (True, 2, 2)


@pytest.mark.parametrize(
    ("one", "other"), [("navigator", "trusted"), ("seedling", "provisioned"), ("explorer", "observed")]
)
def test_both_vocabularies_are_one_ladder(one: str, other: str) -> None:
    assert by_headers({"x-hive-min-tier": one}) == by_headers({"x-hive-min-tier": other})


def test_a_finer_cell_is_read_at_seven_and_a_coarser_one_stays() -> None:
    assert by_headers({"x-hive-h3-cell": format_cell(at(ROME, 5))}).cell == at(ROME, 5)


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("x-hive-jurisdiction", "Atlantis", "invalid_jurisdiction"),
        ("x-hive-jurisdiction", "", "invalid_jurisdiction"),
        ("x-hive-jurisdiction", "EU,", "invalid_jurisdiction"),
        ("x-hive-jurisdiction", ",".join(["DE"] * 1000), "invalid_jurisdiction"),
        ("x-hive-h3-cell", "861e8050fffffffff", "invalid_cell"),
        ("x-hive-h3-cell", "", "invalid_cell"),
        ("x-hive-min-tier", "emperor", "invalid_tier"),
        ("x-hive-min-tier", "", "invalid_tier"),
        ("x-hive-min-evidence", "hearsay", "invalid_request"),
        ("x-hive-h3-strict", "perhaps", "invalid_request"),
        ("x-hive-delegation-cert", "e30=", "invalid_delegation"),
        ("x-hive-delegation-cert", "", "invalid_delegation"),
    ],
)
def test_a_word_that_means_nothing_is_never_ignored(header: str, value: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        by_headers({header: value})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, header)


def test_headers_and_body_may_agree_but_not_differ() -> None:
    headers = asked_by_headers({"x-hive-jurisdiction": "EU", "x-hive-min-tier": "trusted"}.get)
    assert placement([headers, Asked(FIELDS, jurisdiction="eu", tier="navigator")]).region == "EU"
    for body in (Asked(FIELDS, jurisdiction="US"), Asked(FIELDS, tier="seedling")):
        with pytest.raises(RequestError, match="disagree"):
            placement([headers, body])


def test_a_constraint_is_said_in_words() -> None:
    read = by_headers({"x-hive-jurisdiction": "EU", "x-hive-min-tier": "trusted"})
    assert in_words(read) == " in EU, with tier navigator or higher"
