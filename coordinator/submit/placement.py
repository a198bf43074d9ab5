"""Where a job may run: the caller's words for place, tier and evidence, read once and never relaxed."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol, TypeVar

import msgspec

from shared.errors import RequestError
from shared.geo.cells import InvalidCell, format_cell, parse_cell
from shared.geo.jurisdiction import NO_GROUPS, Groups, InvalidJurisdiction, parse_jurisdiction, region_key
from shared.tiers import AGENT_NAMES, EVIDENCE, WORKER_NAMES, evidence_rank, tier_rank

HEADERS: Final = {
    "jurisdiction": "x-hive-jurisdiction",
    "cell": "x-hive-h3-cell",
    "strict": "x-hive-h3-strict",
    "tier": "x-hive-min-tier",
    "evidence": "x-hive-min-evidence",
    "certificate": "x-hive-delegation-cert",
    "verifiability": "x-hive-verifiability",
    "owner": "x-hive-owner",
}
FIELDS: Final = {
    "jurisdiction": "jurisdiction",
    "cell": "h3_cell",
    "strict": "strict_cell",
    "tier": "min_trust_tier",
    "evidence": "min_evidence",
    "certificate": "delegation_cert",
    "verifiability": "verifiability",
    "owner": "owner",
}
MAX_JURISDICTION: Final = 2000
"""Characters of a jurisdiction: every country there is, twice over."""
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}

Value = TypeVar("Value")


class Asked(msgspec.Struct, frozen=True):
    """The caller's own words, from headers or from a body; `names` says what each is called there, for messages."""

    names: Mapping[str, str]
    jurisdiction: str | None = None
    cell: str | None = None
    strict: bool | str | None = None
    tier: str | None = None
    evidence: str | None = None
    certificate: str | None = None
    verifiability: str | None = None
    owner: str | None = None


class Placement(msgspec.Struct, frozen=True):
    """What the words mean: `region` is the jurisdiction's canonical key ("" for none), `countries` its ISO codes (None:
    any), `cell` an H3 index of resolution 0 to 7, tier and evidence ranks 0 to 4; `seeded` wants a worker whose tokens can be
    replayed, `own` one of the caller's own."""

    region: str = ""
    countries: frozenset[str] | None = None
    cell: int | None = None
    strict: bool = False
    min_tier: int = 0
    min_evidence: int = 0
    seeded: bool = False
    own: bool = False


def asked_by_headers(header: Callable[[str], str | None]) -> Asked:
    """What the placement headers of a request say; `header` looks one up by its lowercase name."""
    return Asked(names=HEADERS, **{field: header(name) for field, name in HEADERS.items()})


def placement(asked: list[Asked], groups: Groups = NO_GROUPS) -> Placement:
    """The placement that headers and body ask for together; `groups` are the operator's own jurisdictions.

    Raises RequestError for a word that means nothing (`invalid_jurisdiction`, `invalid_cell`, `invalid_tier`,
    `invalid_delegation`, `invalid_request`) and for headers and body that disagree: neither is relaxed in silence.
    """
    for source in asked:
        _refuse_certificate(source)
    region, countries = _agreed(asked, "jurisdiction", partial(_jurisdiction, groups)) or ("", None)
    return Placement(
        region=region,
        countries=countries,
        cell=_agreed(asked, "cell", _cell),
        strict=_agreed(asked, "strict", _strict) or False,
        min_tier=_agreed(asked, "tier", _tier) or 0,
        min_evidence=_agreed(asked, "evidence", _evidence) or 0,
        seeded=_agreed(asked, "verifiability", _verifiability) or False,
        own=_agreed(asked, "owner", _owner) or False,
    )


class Asking(Protocol):
    """What a placement and a kind of jobs both say."""

    @property
    def region(self) -> str: ...
    @property
    def cell(self) -> int | None: ...
    @property
    def min_tier(self) -> int: ...
    @property
    def min_evidence(self) -> int: ...


def in_words(where: Asking) -> str:
    """The placement as a clause for people: ` in EU, with tier navigator or higher`; empty without any constraint."""
    parts = [
        f"in cell {format_cell(where.cell)}" if where.cell is not None else "",
        f"in {where.region}" if where.region else "",
        f"with tier {WORKER_NAMES[where.min_tier]} or higher" if where.min_tier else "",
        f"with evidence {EVIDENCE[where.min_evidence]} or better" if where.min_evidence else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f" {said}" if said else ""


def _agreed(asked: list[Asked], field: str, read: Callable[[str, str], Value]) -> Value | None:
    found: list[Value] = []
    for source in asked:
        text = getattr(source, field)
        if text is not None:
            found.append(read(str(text), source.names[field]))
    if any(value != found[0] for value in found):
        raise RequestError(f"{HEADERS[field]} and {FIELDS[field]} disagree.", param=FIELDS[field])
    return found[0] if found else None


def _jurisdiction(groups: Groups, text: str, name: str) -> tuple[str, frozenset[str]]:
    if len(text) > MAX_JURISDICTION:
        message = f"A jurisdiction is named in up to {MAX_JURISDICTION} characters."
        raise RequestError(message, code="invalid_jurisdiction", param=name)
    try:
        countries = parse_jurisdiction(text, groups)
    except InvalidJurisdiction as e:
        known = ", ".join(["EU", "EEA", "GDPR", *sorted(groups)])
        message = f"{text[:100]!r} is not a jurisdiction: it takes ISO 3166-1 alpha-2 codes and the groups {known}."
        raise RequestError(message, code="invalid_jurisdiction", param=name) from e
    return region_key(countries), countries


def _cell(text: str, name: str) -> int:
    try:
        return parse_cell(text)
    except InvalidCell as e:
        raise RequestError(f"{text[:100]!r} is not an H3 cell.", code="invalid_cell", param=name) from e


def _strict(text: str, name: str) -> bool:
    truth = _TRUTH.get(text.strip().lower())
    if truth is None:
        raise RequestError(f"{name} takes true or false, got {text[:100]!r}.", param=name)
    return truth


def _tier(text: str, name: str) -> int:
    rank = tier_rank(text)
    if rank is None:
        known = ", ".join(dict.fromkeys(WORKER_NAMES + AGENT_NAMES))
        raise RequestError(f"{text[:100]!r} is not a tier: one of {known}.", code="invalid_tier", param=name)
    return rank


def _evidence(text: str, name: str) -> int:
    rank = evidence_rank(text)
    if rank is None:
        raise RequestError(f"{text[:100]!r} is not evidence for a place: one of {', '.join(EVIDENCE)}.", param=name)
    return rank


def _verifiability(text: str, name: str) -> bool:
    if text.strip().lower() not in ("seeded", "weak"):
        message = f"{name} takes seeded (every token can be replayed) or weak (any worker), got {text[:100]!r}."
        raise RequestError(message, param=name)
    return text.strip().lower() == "seeded"


def _owner(text: str, name: str) -> bool:
    if text.strip().lower() != "me":
        raise RequestError(f"{name} takes only me: workers that are linked to your account.", param=name)
    return True


def _refuse_certificate(source: Asked) -> None:
    if source.certificate is not None:
        raise RequestError(
            "Delegation certificates are not accepted by this service yet.",
            code="invalid_delegation",
            param=source.names["certificate"],
        )
