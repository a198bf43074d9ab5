"""A form with a file in it, read as it comes: its fields are kept, the file's bytes are handed on and never held. Pure."""

from collections.abc import Iterator
from typing import Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from shared.errors import RequestError

FILE: Final = "file"
MAX_FIELD: Final = 4096
MAX_PARTS: Final = 32
MAX_NAME: Final = 512


class Upload:
    """One form: `fields` by their names, and the `filename` that its file came with, as far as they have come."""

    def __init__(self, content_type: str) -> None:
        """Raises RequestError for a body that is no form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind.lower() != "multipart/form-data" or not boundary or len(boundary) > MAX_FIELD:
            raise RequestError("The body must be multipart/form-data, with a file and its purpose.")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS)
        self._segment: MultipartSegment | None = None
        self._value = bytearray()

    def push(self, data: bytes) -> Iterator[bytes]:
        """The file's bytes among these; raises RequestError for what is no form."""
        try:
            for part in self._parser.parse(data) if data else ():
                yield from self._take(part)
        except MultipartError as e:
            raise RequestError("The body is not a form of parts as multipart/form-data has them.") from e

    def end(self) -> None:
        """The body has ended; raises RequestError where the form had not, or had no file."""
        try:
            self._parser.close()
        except MultipartError as e:
            raise RequestError("The form in the body has no end.") from e
        if self.filename is None:
            raise RequestError("file is missing.", param=FILE)

    def _take(self, part: MultipartSegment | bytes | bytearray | None) -> Iterator[bytes]:
        if isinstance(part, MultipartSegment):
            self._begin(part)
        elif part is None:
            self._end_part()
        elif self._segment is not None and self._segment.name == FILE:
            yield bytes(part)
        else:
            self._value += part
            if len(self._value) > MAX_FIELD:
                raise RequestError(f"A field of the form has more than {MAX_FIELD} bytes.")

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        if segment.name == FILE:
            if self.filename is not None:
                raise RequestError("One file is uploaded at a time.", param=FILE)
            name = (segment.filename or "upload").replace("\0", "")
            self.filename = name.encode(errors="replace").decode()[:MAX_NAME]

    def _end_part(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None and segment.name != FILE:
            self.fields[segment.name or ""] = self._value.decode(errors="replace")
        self._value.clear()
