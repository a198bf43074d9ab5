"""Reading bodies: JSON into structs, amounts into stroops, and in plain words what is wrong with them."""

import asyncio
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from litestar.exceptions import InternalServerException

from coordinator.api.errors import malformed, too_large
from coordinator.api.hive import HttpRequest
from shared.errors import RequestError
from shared.ids import to_stroops

Body = TypeVar("Body")

MAX_BODY: Final = 4 * 2**20
"""How many bytes a body may have."""

MEDIA_BODY: Final = 20 * 2**20
"""The same for one that holds images."""

BODY_S: Final = 60.0
"""How long a body may take: a client that never ends its own would hold a connection and its memory for ever."""

_MOST_DIGITS: Final = 40
"""Beyond these no amount can be meant, and decimals with a huge exponent are not reckoned with at all."""


async def body_of(request: HttpRequest, within_s: float = BODY_S) -> bytes:
    """The whole body; raises RequestError if it is cut off or takes too long."""
    try:
        async with asyncio.timeout(within_s):
            return await request.body()
    except TimeoutError as e:
        raise RequestError(f"The body did not come within {within_s:g} s.") from e
    except InternalServerException as e:  # all that the framework raises here: the client hung up
        raise RequestError("The body was cut off.") from e


def check_size(size: int, *, media: bool) -> None:
    """Raises TooLarge for a body that may only be so large with images in it, and has none."""
    if size > MAX_BODY and not media:
        raise too_large()


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
