"""Does a signed share stand: is it what went out of the attempt, signed in time, and for the first time? Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from coordinator.store.shares import Found
from coordinator.verify.checks import MAX_BUILD
from shared.protocol.messages import Share
from shared.receipt import ShareReceipt, share_signed

TOO_LATE = "it was not signed in time"
UNKNOWN = "nothing of it waits for this worker's signature"


class Answer(msgspec.Struct, frozen=True):
    """What a worker is told of a share, and why."""

    verdict: Literal["accepted", "duplicate", "late", "rejected"]
    reason: str = ""


def read_share(said: Share) -> ShareReceipt | None:
    """The receipt inside the message, None if it is not one."""
    try:
        return msgspec.convert(said.receipt, ShareReceipt)
    except msgspec.ValidationError:
        return None


def forged(share: ShareReceipt, signature: str, worker_pk: str) -> str:
    """Why nobody has to look at a share at all: it is not this worker's own word; "" if it is."""
    if share.worker_pk != worker_pk:
        return "it is another worker's"
    return "" if share_signed(share, signature) else "the signature does not fit the share"


def answer(share: ShareReceipt, found: Found | None, now: datetime) -> Answer:
    """What becomes of a share that its worker has signed. Another than what went out is rejected whenever it comes: of two
    signed heads of one attempt one is a lie."""
    if found is None:
        return Answer("late", UNKNOWN)
    if faults := list(_unlike(share, found.share)):
        return Answer("rejected", "; ".join(faults)[:200])
    if found.state != "unsigned":
        return Answer("late", TOO_LATE) if found.forfeited else Answer("duplicate")
    return Answer("accepted") if now < found.sign_until else Answer("late", TOO_LATE)


def _unlike(share: ShareReceipt, gone_out: ShareReceipt) -> Iterator[str]:
    for name in ShareReceipt.__struct_fields__:
        if name != "engine_build" and getattr(share, name) != getattr(gone_out, name):
            yield f"{name} is not that of what went out"
    if len(share.engine_build) > MAX_BUILD or not share.engine_build.isprintable():
        yield f"engine_build takes up to {MAX_BUILD} printable characters"
