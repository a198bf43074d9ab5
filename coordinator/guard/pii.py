"""The guard against personal data: addresses and numbers that name a person or an account, by form and check digits.

Each pattern begins where a run of its characters begins and repeats only single characters, so none can run away.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from coordinator.guard import pii_checks as checks
from coordinator.guard.guard import Finding, Text
from coordinator.guard.plain import pieces

_EMAIL: Final = re.compile(r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]{1,64})@([A-Za-z0-9.-]{4,253})")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}[A-Z0-9 ]{11,40}")
_CARD: Final = re.compile(
    r"(?<![\w.,-])(?:\d{14,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-])"
)
_E164: Final = re.compile(r"(?<![\w+])\+[1-9][\d ().-]{7,22}(?!\d)")
_US_PHONE: Final = re.compile(r"(?<![\d.-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}(?![\d.-]\d|\d)")
_SSN: Final = re.compile(r"(?<![\d-])(\d{3})-(\d{2})-(\d{4})(?![\d-])")
_IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:])[0-9A-Fa-f:]{6,39}(?![\w:])")
_NIR: Final = re.compile(r"(?<!\w)[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}(?!\w)")
_DNI: Final = re.compile(r"(?<![\w-])(?:[XYZ]-?\d{7}|\d{8})-?[A-HJ-NP-TV-Z](?![\w-])")
_CODICE_FISCALE: Final = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z](?!\w)")
_CPF: Final = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
_VERSION: Final = re.compile(r"(?:version|release|build|firmware|ver\.?)[ :=]{0,3}$", re.IGNORECASE)
_NOT_A_NUMBER: Final = re.compile(r"[^0-9A-Za-z]")

_NOBODYS: Final = ("example.com", "example.org", "example.net", ".example", ".test", ".invalid", ".localhost", ".local")
"""Names that RFC 2606 and its like keep for examples."""

_ROLES: Final = frozenset({"git", "hg", "svn", "noreply", "no-reply", "donotreply", "do-not-reply", "mailer-daemon"})
"""Left of the @ where nobody reads."""


class Pii:
    """Looks for e-mail addresses, accounts, cards, telephone and social security numbers and public IP addresses."""

    name = "pii"
    method = (
        "forms with check digits: e-mail, IBAN (MOD 97), payment cards (issuer and Luhn), telephone (E.164 and US), public "
        "IPv4 and IPv6, US SSN, French NIR, Spanish DNI and NIE, Italian codice fiscale, Brazilian CPF"
    )
    limits = (
        "Knows forms, not people: names, postal addresses, birthdays, national telephone numbers outside the US and "
        "numbers written in words pass; so do IPv4 addresses that look like a version. About 1 in 50 random numbers of 16 "
        "digits looks like a card. Addresses kept for examples, private networks and well-known resolvers are let through. "
        "Images are not looked at."
    )

    def check(self, texts: Sequence[Text]) -> Finding | None:
        """The first text, whoever speaks, that holds personal data."""
        for text in texts:
            for piece in pieces(text.text):
                if (kind := next(_kinds(piece), None)) is not None:
                    return Finding(text.where, kind)
        return None


def _kinds(text: str) -> Iterator[str]:
    """What kinds of personal data are in a piece of text."""
    if "@" in text and any(_is_somebody(found[1], found[2]) for found in _EMAIL.finditer(text)):
        yield "e-mail"
    if not any(char in text for char in "0123456789"):
        return
    for kind, pattern, holds in _NUMBERS:
        if any(holds(found) for found in pattern.finditer(text)):
            yield kind


def _is_somebody(local: str, domain: str) -> bool:
    labels = domain.rstrip(".-").lower().split(".")
    name = ".".join(labels)
    if len(labels) < 2 or not all(labels) or not labels[-1].isalpha() or len(labels[-1]) < 2:
        return False
    return local.lower().strip(".") not in _ROLES and not any(
        name == kept.lstrip(".") or name.endswith(kept if kept[0] == "." else f".{kept}") for kept in _NOBODYS
    )


def _bare(found: re.Match[str]) -> str:
    return _NOT_A_NUMBER.sub("", found[0])


def _iban(found: re.Match[str]) -> bool:
    """Whether the words that it begins with are an IBAN: it may be followed by other words in capitals."""
    length, text = checks.IBAN_LENGTHS.get(found[0][:2], 0), ""
    for word in found[0].split(" "):
        text += word
        if len(text) >= length:
            break
    return checks.is_iban(text)


def _e164(found: re.Match[str]) -> bool:
    digits = "".join(char for char in found[0] if char.isdecimal())
    return checks.is_phone(digits)


def _ipv4(found: re.Match[str]) -> bool:
    """Whether it is an address and not a version: of those most parts have one digit."""
    if sum(len(part) > 1 for part in found[0].split(".")) < 2:
        return False
    before = found.string[max(0, found.start() - 14) : found.start()]
    return checks.is_public_address(found[0]) and _VERSION.search(before) is None


def _ipv6(found: re.Match[str]) -> bool:
    return found[0].count(":") >= 2 and checks.is_public_address(found[0])


_NUMBERS: Final[tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...]] = (
    ("iban", _IBAN, _iban),
    ("card", _CARD, lambda found: checks.is_card(_bare(found))),
    ("phone", _E164, _e164),
    ("phone", _US_PHONE, lambda _: True),
    ("us-ssn", _SSN, lambda found: checks.is_ssn(found[1], found[2], found[3])),
    ("ip-address", _IPV4, _ipv4),
    ("ip-address", _IPV6, _ipv6),
    ("fr-nir", _NIR, lambda found: checks.is_nir(found[0].replace(" ", ""))),
    ("es-dni", _DNI, lambda found: checks.is_dni(_bare(found))),
    ("it-codice-fiscale", _CODICE_FISCALE, lambda found: checks.is_codice_fiscale(found[0])),
    ("br-cpf", _CPF, lambda found: checks.is_cpf(_bare(found))),
)
