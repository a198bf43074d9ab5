"""How a Hive is spoken to over HTTP, whoever does the waiting: addresses, headers, and what a failure of the network is."""

from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from client.call import Call
from client.failures import broke_off, failure, nobody_there
from shared.errors import HiveError
from shared.reach import is_loopback

T = TypeVar("T")
TIMEOUT: Final = httpx.Timeout(30, connect=5)
"""A stream of events says something every ten seconds, so this is for it as well."""


class Wire(msgspec.Struct, frozen=True):
    """One Hive's address, and the key to it; without one only what is public is answered."""

    url: str
    key: str | None

    def options(self) -> dict[str, Any]:
        """For an HTTP client: no redirects, which would carry the key elsewhere, and no proxy to this machine itself."""
        local = is_loopback(urlsplit(self.url).hostname or "")
        return {"timeout": TIMEOUT, "trust_env": not local, "follow_redirects": False}

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """The arguments of an HTTP client's `request`."""
        typed = {} if call.body is None else {"content-type": "application/json"}
        return {
            "method": call.method,
            "url": self.url + call.path,
            "params": call.params,
            "content": call.content,
            "headers": self.headers() | typed,
        }

    def headers(self) -> dict[str, str]:
        """What goes with every request."""
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def read(self, call: Call[T], answer: httpx.Response) -> T:
        """What was answered to a call; raises its HiveError."""
        return call.read(answer.status_code, answer.headers, answer.content, self.url)

    def refusal(self, answer: httpx.Response, content: bytes) -> HiveError:
        """What was answered instead of a stream."""
        return failure(answer.status_code, answer.headers, content, self.url)

    def failed(self, error: HiveError | httpx.TransportError) -> HiveError:
        """The error that a caller is told of: the Hive's own, or that none is there."""
        if isinstance(error, HiveError):
            return error
        never_there = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return nobody_there(self.url) if never_there else broke_off(self.url)
