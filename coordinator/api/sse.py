"""What every stream of server-sent events has in common."""

from typing import Final

SILENCE_S: Final = 10.0
"""After this long without a word a comment goes out that keeps the connection alive."""

KEEP_ALIVE: Final = b": keep-alive\n\n"

HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
