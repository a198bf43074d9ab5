"""Which requests may be answered with what was said before, and what makes two of them the same. Pure."""

import hashlib
from typing import Final

import msgspec

from coordinator.submit.request import Submission
from shared.catalogue import Entry
from shared.errors import RequestError

HEADER: Final = "x-hive-cache"
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def wish_of(header: str | None) -> bool | None:
    """What a caller says: True wants an earlier answer even where chance had a part in it, False a new one; raises
    RequestError for any other word."""
    if header is None or not header.strip():
        return None
    wish = _TRUTH.get(header.strip().lower())
    if wish is None:
        raise RequestError(f"{HEADER} must be true or false, got {header[:40]!r}.", param=HEADER)
    return wish


def may_repeat(asked: Submission, wish: bool | None) -> bool:
    """Whether the answer to a request may be given again: one text that nobody's chance has a part in, or whose caller
    says that it may. Likelihoods are not kept with a job, and who wants a job stored or told of wants one of its own."""
    request = asked.request
    alone = len(asked.requests) == 1 and asked.n == 1 and asked.attached
    own = asked.store or asked.echo is not None or asked.callback is not None
    told = request.task == "generate" and request.logprobs is None and not request.images
    certain = request.sampling.temperature == 0 or wish is True
    return alone and told and certain and not own


def key_of(asked: Submission, entry: Entry) -> bytes:
    """SHA-256 over all that the text follows from and where it may be made, whichever face asked for it: 32 bytes.

    Of a submission's terms none is in it that changes only who waits how long, and what it pays.
    """
    request = msgspec.structs.replace(asked.request, model=entry.id)
    said = entry.digest, request, asked.max_tokens, asked.seed, asked.placement
    return hashlib.sha256(_ENCODER.encode(said)).digest()
