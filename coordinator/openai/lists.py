"""Lists as OpenAI pages them: by the id of the last one seen."""

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from coordinator.api.hive import HttpRequest
from shared.errors import RequestError

_DIGITS: Final = 9


class Named(Protocol):
    """What has an id that its owner knows."""

    @property
    def id(self) -> str: ...


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's list: `last_id` is where the next page begins, if it `has_more`."""

    object: Literal["list"] = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


def limit_of(request: HttpRequest, most: int, usual: int) -> int:
    """How many a page holds: `usual`, or as asked; raises RequestError if that is not from 1 to `most`."""
    text = request.query_params.get("limit")
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and 1 <= int(text) <= most):
        raise RequestError(f"limit must be between 1 and {most}.", param="limit")
    return int(text)


def order_of(request: HttpRequest) -> Literal["asc", "desc"]:
    """By their age, which way round: the newest first, or as asked; raises RequestError."""
    match request.query_params.get("order", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
        case _:
            raise RequestError("order must be asc or desc.", param="order")


def listed(told: Sequence[Named], limit: int) -> Page:
    """A page of what was found, of which one more than `limit` says that there are more."""
    page = list(told[:limit])
    first, last = (page[0].id, page[-1].id) if page else (None, None)
    return Page(data=page, first_id=first, last_id=last, has_more=len(told) > limit)
