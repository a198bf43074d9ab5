"""Names with units that both sides agree on: job ids that carry their day, and amounts in stroops."""

from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cache
from typing import Final, NewType
from uuid import UUID

Stroops = NewType("Stroops", int)
"""An amount of GNS in units of 10^-7."""

DECIMALS: Final = 7
STROOPS_PER_GNS: Final = 10**DECIMALS
MAX_STROOPS: Final = 2**53 - 1
_EPOCH: Final = date(1970, 1, 1)


def new_job_id(now: datetime, entropy: bytes) -> UUID:
    """A UUID (version 8): 32 random bits, 16 bits of days since 1970 UTC, 58 random bits. `entropy` is 16 bytes."""
    day = (now.astimezone(UTC).date() - _EPOCH).days
    raw = bytearray(entropy)
    raw[4:6] = day.to_bytes(2, "big")
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))


def day_of(job_id: UUID) -> date:
    """The UTC day on which this job was made: the partition it lives in."""
    return _day(job_id.int >> 80 & 0xFFFF)


@cache
def _day(number: int) -> date:
    return _EPOCH + timedelta(days=number)


def chat_id(job_id: UUID) -> str:
    """The label of a job on the OpenAI face: `hive-` and the first 8 hex digits."""
    return f"hive-{job_id.hex[:8]}"


def to_stroops(gns: Decimal | int | float | str) -> Stroops:
    """GNS as people write it, to stroops; raises ValueError if negative, not a number, too large or finer than 7 decimals."""
    try:
        with localcontext(Context(prec=40, traps=[Inexact, InvalidOperation])):
            scaled = Decimal(str(gns)).scaleb(DECIMALS)
            stroops = int(scaled)
    except (ArithmeticError, ValueError) as e:
        raise ValueError(f"{gns} is not an amount of GNS") from e
    if stroops != scaled or not 0 <= stroops <= MAX_STROOPS:
        raise ValueError(f"{gns} is not an amount of GNS: it takes 0 or more, with at most {DECIMALS} decimals")
    return Stroops(stroops)


def to_gns(stroops: int) -> Decimal:
    """Stroops to GNS, exact."""
    return Decimal(stroops) / STROOPS_PER_GNS
