"""One request to Hive as a value, and what is read from its answer: pure, for whoever sends it in whatever way."""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec

from client.failures import failure, unreadable
from shared.errors import RequestError

T = TypeVar("T")
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class Call(msgspec.Struct, Generic[T], frozen=True):
    """A request: sending a `safe` one twice has the effect of sending it once. `query` leaves out what is None."""

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, object] = {}
    body: msgspec.Struct | None = None
    safe: bool = True

    @property
    def content(self) -> bytes | None:
        """The body as JSON; raises RequestError for text that is none."""
        try:
            return None if self.body is None else _ENCODER.encode(self.body)
        except UnicodeEncodeError as e:
            raise RequestError("What is sent is not UTF-8 text.") from e

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters as text."""
        return {name: str(value) for name, value in self.query.items() if value is not None}

    def read(self, status: int, headers: Mapping[str, str], content: bytes, url: str) -> T:
        """The answer; raises the HiveError that it tells of, or one that says that it is none of Hive's."""
        if not 200 <= status < 300:
            raise failure(status, headers, content, url)
        try:
            return msgspec.json.decode(content, type=self.answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            why = str(e) if isinstance(e, msgspec.ValidationError) else ""
            raise unreadable(url, status, headers, why) from e
