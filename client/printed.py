"""What others wrote, made fit for a terminal, and the words in which people are told of money and places."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from shared.ids import to_stroops
from shared.words import gns

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_CONTROLS: Final = dict.fromkeys(code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t")


def printable(text: str) -> str:
    """The text without control characters: a worker's words must not move the cursor or speak to the terminal."""
    return text.translate(_CONTROLS)


def amount(number: Decimal) -> str:
    """An amount for people: "0.001 GNS"."""
    return f"{gns(to_stroops(number))} GNS"


def place(countries: Iterable[str], cell: str | None) -> str:
    """Where something is: "IT, cell 841e805ffffffff"; empty if nobody knows."""
    named = "/".join(countries)
    return printable(", ".join(part for part in (named, f"cell {cell}" if cell else "") if part))


def json_text(value: Any) -> str:
    """The value as JSON in one line, amounts as numbers."""
    return _ENCODER.encode(value).decode()
