"""What `x-hive-jurisdiction` means: ISO 3166-1 alpha-2 codes and groups of them, as a set of countries.

Codes are read literally: "FR" is metropolitan France, "NO" is Norway without Svalbard, "FI" is Finland without Åland,
because the others have codes of their own. The groups hold them where the law does: EU with its outermost regions
(GF, GP, MF, MQ, RE, YT, and inside PT and ES the Azores, Madeira and the Canaries) and Åland; not Greenland, the
Faroes, Gibraltar, the Channel Islands, Man or the overseas countries. Areas that several claim are in no single code.
"""

from collections.abc import Mapping
from typing import Final


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


# All 249 officially assigned codes, and XK, which the EU and most registries use for Kosovo.
COUNTRIES: Final[frozenset[str]] = _codes(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """
)
EU: Final[frozenset[str]] = _codes(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK AX GF GP MF MQ RE YT"
)
EEA: Final[frozenset[str]] = EU | {"IS", "LI", "NO"}
GDPR: Final[frozenset[str]] = EEA | {"CH", "GB"}
GROUPS: Final[Mapping[str, frozenset[str]]] = {"EU": EU, "EEA": EEA, "GDPR": GDPR}
Groups = Mapping[str, frozenset[str]]
"""Countries by the name of their group."""
NO_GROUPS: Final[Groups] = {}
_LONGEST_QUOTE: Final = 32


class InvalidJurisdiction(ValueError):
    """A part of the text is neither a country's code nor a group's name; the message names the part."""


def parse_jurisdiction(text: str, groups: Groups = NO_GROUPS) -> frozenset[str]:
    """Read a comma list of codes and groups as the union of their countries; InvalidJurisdiction names a wrong part.

    Case and spaces do not matter. `groups` are the operator's own, named in capitals; a code or a built-in group wins
    over one of the same name.
    """
    return frozenset().union(*(_countries_of(part, groups) for part in text.split(",")))


def checked_groups(groups: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Read the operator's groups, each a comma list of codes and built-in groups.

    InvalidJurisdiction where one takes a name that is already a country or a group, or lists something unknown.
    """
    named = {name.strip().upper(): listed for name, listed in groups.items()}
    for name in named:
        if not name or "," in name or name in COUNTRIES or name in GROUPS:
            raise InvalidJurisdiction(f"a group cannot be called {name!r}")
    return {name: parse_jurisdiction(listed) for name, listed in named.items()}


def allowed(cell_countries: frozenset[str], allow: frozenset[str]) -> bool:
    """Tell whether a cell may serve: it touches some country, and only allowed ones. A cell at sea never may."""
    return bool(cell_countries) and cell_countries <= allow


def region_key(countries: frozenset[str]) -> str:
    """Name a set of countries shortly, the same for the same set however it was asked for: "EU", "CH,EU", "DE,FR".

    The widest built-in group inside the set stands for its members. An operator's group is never named, so that a key
    kept in a row means the same after the operator changes the group. parse_jurisdiction reads a key back to its set.
    """
    for name, members in sorted(GROUPS.items(), key=lambda group: -len(group[1])):
        if members <= countries:
            return ",".join(sorted({name, *(countries - members)}))
    return ",".join(sorted(countries))


def _countries_of(part: str, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    name = part.strip().upper()
    if name in COUNTRIES:
        return frozenset({name})
    if name in GROUPS:
        return GROUPS[name]
    if name in groups:
        return groups[name]
    quoted = part.strip()[:_LONGEST_QUOTE]
    raise InvalidJurisdiction(f"unknown country or group {quoted!r}" if quoted else "an empty country or group")
