"""A failure in the chat: one sentence, and what a person there can do about it. Pure."""

from typing import Final

from client.printed import printable
from shared.errors import HiveError

_WAYS_OUT: Final = {
    "context_length_exceeded": "/new begins anew, /undo takes back the last question.",
    "no_workers": "/place any widens the search, /model shows who serves what.",
    "model_loading": "/retry asks again in a moment.",
    "invalid_model": "/model shows what there is.",
    "model_not_allowed": "/model shows what this key may use.",
    "invalid_jurisdiction": "/place sets another.",
    "invalid_cell": "/place any forgets it.",
    "rate_limit_exceeded": "/retry asks again.",
    "queue_full": "/retry asks again.",
    "unreachable": "/retry asks again.",
    "restarting": "/retry asks again.",
    "job_failed": "/retry asks again.",
    "job_timeout": "/retry asks again.",
    "internal_error": "/retry asks again.",
    "unreadable_answer": "/retry asks again.",
}


def told(error: HiveError) -> str:
    """The error for a person in the chat."""
    wait = f" In {error.retry_after_s} s it may go." if error.retry_after_s else ""
    way_out = _WAYS_OUT.get(error.code, "")
    return printable(f"{error.message}{wait} {way_out}".strip())
