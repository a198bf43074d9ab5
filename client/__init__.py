"""A small typed client for the routes of Hive that no OpenAI SDK has: `client.Hive` and `client.AsyncHive`.

For chat use the official `openai` package with a Hive's address and `/v1`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client.hive import AsyncHive, Hive
    from client.shapes.jobs import NewJob

__all__ = ["AsyncHive", "Hive", "NewJob"]


def __getattr__(name: str) -> Any:
    """The public names, loaded when one is asked for: a command's help should not wait for an HTTP library."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from client import hive  # noqa: PLC0415 - see above
    from client.shapes import jobs  # noqa: PLC0415 - see above

    return getattr(jobs if name == "NewJob" else hive, name)
