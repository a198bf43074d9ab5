"""What an owner writes in other words than the code needs: sizes, prices, hours."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from worker.comfort.hours import Hours

STROOPS: Final = 10_000_000
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE | re.ASCII)
_MOST_BYTES: Final = 1 << 50
_MOST_GNS: Final = 1_000_000


class Bytes(int):
    """A number of bytes, written as 6000000000, "6GB" or "512 MiB"."""


class Price(int):
    """Stroops, written in GNS: 0.5 or "0.0000001"."""


def read(kind: type, written: Any) -> Any:
    """What a setting of this kind holds, for msgspec's `dec_hook`; raises ValueError with what it should look like."""
    if isinstance(written, kind):
        return written
    if kind is Bytes:
        return _bytes(written)
    if kind is Price:
        return _price(written)
    if kind is Hours and isinstance(written, str):
        return Hours(written)
    raise ValueError(f"{written!r} is not understood")


def as_plain_integers(table: msgspec.Struct) -> None:
    """Makes a frozen table's sizes and prices what every message can hold."""
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, Bytes | Price):
            msgspec.structs.force_setattr(table, name, int(value))


def _bytes(written: Any) -> Bytes:
    match = _SIZE.fullmatch(str(written).strip())
    if match is None or isinstance(written, bool):
        raise ValueError(f'{written!r} is no size; one looks like "6GB" or "512MiB"')
    power = " kmgt".index(match[2].lower() or " ")
    found = int(Decimal(match[1]) * (1024 if match[3] else 1000) ** power)
    if found > _MOST_BYTES:
        raise ValueError(f"{written!r} is more than any machine has")
    return Bytes(found)


def _price(written: Any) -> Price:
    try:
        stroops = Decimal(str(written).strip()) * STROOPS
    except InvalidOperation:
        raise ValueError(f'{written!r} is no price in GNS; one looks like "0.5"') from None
    if isinstance(written, bool) or not (stroops.is_finite() and 0 <= stroops <= _MOST_GNS * STROOPS):
        raise ValueError(f"{written!r} is no price in GNS; it is from 0 to {_MOST_GNS}")
    return Price(-int(-stroops // 1))
