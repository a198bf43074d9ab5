"""Reading bodies: JSON into structs, amounts into stroops, and in plain words what is wrong with them."""

from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from coordinator.api.errors import malformed
from shared.errors import RequestError
from shared.ids import to_stroops

Body = TypeVar("Body")

_MOST_DIGITS: Final = 40
"""Beyond these no amount can be meant, and decimals with a huge exponent are not reckoned with at all."""


def decoded(decoder: msgspec.json.Decoder[Body], raw: bytes) -> Body:
    """The body as the decoder's struct; raises RequestError with the field at fault."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise malformed(e) from e


def stroops_of(param: str, gns: Decimal) -> int:
    """An amount in GNS as stroops; raises RequestError if it is none, negative or finer than 7 decimals."""
    if not gns.is_finite() or (gns and abs(gns.adjusted()) > _MOST_DIGITS):
        raise RequestError(f"{param}: {str(gns)[:40]} is not an amount of GNS.", param=param)
    try:
        return to_stroops(gns)
    except ValueError as e:
        raise RequestError(f"{param}: {e}.", param=param) from e
