"""Where a job's end is to be told: the address that a caller names, checked as far as it can be before it is looked up."""

from typing import Any, Literal

import msgspec

from coordinator.outside.addresses import NOTHING_ALLOWED, Allowed
from coordinator.outside.targets import BadUrlError, refused_at_once, target_of
from shared.errors import RequestError

Shape = Literal["hive", "thehive"]
"""How the end is told: as the job's JSON, or as thehive tells of a task."""


class Callback(msgspec.Struct, frozen=True):
    """A URL to tell of a job's end, and its host, by which deliveries take turns."""

    url: str
    host: str
    shape: Shape


def callback_of(url: Any, shape: Shape, allow: Allowed = NOTHING_ALLOWED) -> Callback | None:
    """The callback that a body asks for, None for none; raises RequestError `invalid_callback_url` for what is no URL, and
    for a literal address that is not public."""
    if url is None or url == "":
        return None
    try:
        target = target_of(url if isinstance(url, str) else "")
    except BadUrlError as e:
        raise _invalid(str(e)) from None
    if why := refused_at_once(target, allow):
        raise _invalid(why)
    return Callback(url, target.host, shape)


def _invalid(why: str) -> RequestError:
    return RequestError(f"callback_url {why}.", code="invalid_callback_url", param="callback_url")
