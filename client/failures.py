"""What went wrong, as the one tree of errors: what a Hive answered, and that none did."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from client.printed import printable
from shared import errors
from shared.errors import HiveError, RequestError, Unavailable


class Unreachable(Unavailable):
    """No answer came: `sent` says whether the request may have arrived all the same."""

    code = "unreachable"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Told(msgspec.Struct, frozen=True):
    """What a Hive says of a failure."""

    message: str
    code: str | None = None
    param: str | None = None
    details: dict[str, Any] | None = None


class _Body(msgspec.Struct, frozen=True):
    error: Told


_KINDS: Final = {
    kind.status: kind
    for kind in reversed([one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, HiveError)])
}


def kind_of(status: int) -> type[HiveError]:
    """The error with this status; of those that have none, below 500 the request is at fault."""
    return _KINDS.get(status, RequestError if status < 500 else HiveError)


def failure(status: int, headers: Mapping[str, str], content: bytes, url: str) -> HiveError:
    """The error that an answer tells of; `headers` by their lowercase names."""
    try:
        told = msgspec.json.decode(content, type=_Body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return unreadable(url, status, headers)
    return told_as(
        kind_of(status),
        told,
        retry_after_s=_seconds(headers.get("retry-after")),
        dispatched=headers.get("x-should-retry") == "false",
        request_id=headers.get("x-request-id"),
    )


def told_as(kind: type[HiveError], told: Told, **more: Any) -> HiveError:
    """The error of this kind that says what was told."""
    return kind(printable(told.message), code=told.code, param=told.param, details=told.details, **more)


def nobody_there(url: str) -> Unreachable:
    """The error for an address where nothing listens."""
    message = f"No Hive answers at {url}; start one with 'hive up', or say where one is with HIVE_BASE_URL."
    return Unreachable(message, sent=False)


def broke_off(url: str) -> Unreachable:
    """The error for a connection that ended before its answer did."""
    return Unreachable(f"The Hive at {url} broke off; ask again in a moment.", sent=True)


def unreadable(url: str, status: int, headers: Mapping[str, str], why: str = "") -> HiveError:
    """The error for an answer that is none of Hive's: a proxy's page, another server's word, another version's shape."""
    reason = f" ({printable(why)})" if why else ""
    message = f"{url} answered {status} with something that this client does not read{reason}; is it a Hive of its age?"
    return kind_of(status if status >= 400 else 500)(
        message,
        code="unreadable_answer",
        retry_after_s=_seconds(headers.get("retry-after")),
        request_id=headers.get("x-request-id"),
    )


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 7 else None
