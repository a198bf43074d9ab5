"""A batch's input file line by line: how its bytes are cut into lines, and what one line has to say. Pure."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from shared.errors import TooLarge

MAX_LINE: Final = 20 * 2**20
"""How many bytes one line may have: what a request with images may, sent by itself."""

MAX_CUSTOM_ID: Final = 512
BOM: Final = b"\xef\xbb\xbf"
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Flaw(msgspec.Struct, frozen=True):
    """What is wrong with a line, as OpenAI tells it; `line` is counted from 1, None where it is the whole file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Line(msgspec.Struct, frozen=True):
    """A line in order: the caller's own name for it, the model that it names, and the body of its request."""

    custom_id: str
    model: str
    body: bytes


class _Named(msgspec.Struct):
    model: str


_MODEL: Final = msgspec.json.Decoder(_Named)


class Cutter:
    """Cuts bytes into lines, however they come; holds no more than one line and one piece of a file."""

    def __init__(self, most: int = MAX_LINE) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._held = 0

    def push(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in these bytes, each with its line feed; raises TooLarge for one that never ends."""
        start = 0
        while (end := data.find(b"\n", start) + 1) > 0:
            yield self._whole(data[start:end])
            start = end
        self._hold(data[start:])

    def rest(self) -> bytes:
        """What follows the last line feed; nothing where a file ends with one."""
        return self._whole(b"")

    def _whole(self, last: bytes) -> bytes:
        self._hold(last)
        line, self._parts, self._held = b"".join(self._parts), [], 0
        return line

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._most:
            raise TooLarge(f"A line has more than {self._most} bytes.")
        self._parts.append(part)


def read(raw: bytes, endpoint: str) -> Line | Flaw:
    """What a line says, or what is wrong with it."""
    try:
        fields = _FIELDS.decode(raw.removeprefix(BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Flaw("invalid_json_line", "This line is not a JSON object.")
    custom_id, method, url = (_text(fields.get(name)) for name in ("custom_id", "method", "url"))
    for name, given in (("custom_id", custom_id), ("method", method), ("url", url)):
        if given is None:
            return Flaw("missing_required_parameter", f"{name} is missing, or is not a text.", name)
    assert custom_id is not None, "it was looked at"
    if not custom_id or len(custom_id) > MAX_CUSTOM_ID or not custom_id.isprintable():
        message = f"custom_id must have 1 to {MAX_CUSTOM_ID} characters, all of them printable."
        return Flaw("invalid_custom_id", message, "custom_id")
    if method != "POST":
        return Flaw("invalid_method", "method must be POST.", "method")
    if url != endpoint:
        return Flaw("invalid_url", f"url must be the batch's own endpoint, {endpoint}.", "url")
    body = bytes(fields.get("body", b""))
    try:
        return Line(custom_id, _MODEL.decode(body).model, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Flaw("missing_required_parameter", "body must be an object that names a model.", "body.model")


def _text(given: msgspec.Raw | None) -> str | None:
    value: Any = None
    if given is not None:
        try:
            value = msgspec.json.decode(given)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
    return value if isinstance(value, str) else None
