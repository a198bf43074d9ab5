"""What the parts of a message's content are: text, images where they stand in it, and what is refused by name. Pure."""

from collections.abc import Sequence
from typing import Final, Protocol

from shared.errors import RequestError
from shared.protocol.messages import Image

_TEXT: Final = frozenset({"text", "input_text", "output_text"})
_IMAGE: Final = frozenset({"image_url", "input_image"})
_PDF: Final = "data:application/pdf"
_REFUSED: Final = {
    "file": "files such as PDFs are not read by this Hive: send their text",
    "input_file": "files such as PDFs are not read by this Hive: send their text",
    "input_audio": "audio is not heard by this Hive",
    "video_url": "videos are not seen by this Hive",
}


class Part(Protocol):
    """A part as callers write it."""

    @property
    def type(self) -> str: ...

    @property
    def text(self) -> str | None: ...

    @property
    def image(self) -> str | None:
        """The URL of its image."""


def content_of(content: str | Sequence[Part] | None, where: str) -> tuple[str | None, list[Image]]:
    """The text of a content, its parts on lines of their own, and the images that stand in it; raises RequestError
    `unsupported_parameter` for what is neither."""
    if content is None or isinstance(content, str):
        return content, []
    lines: list[str] = []
    images: list[Image] = []
    said = 0
    for i, part in enumerate(content):
        at = f"{where}.content[{i}]"
        if part.type in _TEXT and part.text is not None:
            said += len(part.text) + bool(lines)
            lines.append(part.text)
        elif part.type in _IMAGE and part.image is not None:
            _check_url(part.image, at)
            images.append(Image(said, part.image))
        else:
            why = _REFUSED.get(part.type, "only text and images are read by this Hive")
            raise RequestError(f"{at}: {why}.", code="unsupported_parameter", param=f"{at}.type")
    return "\n".join(lines), images


def _check_url(url: str, where: str) -> None:
    if url[: len(_PDF)].lower() == _PDF:
        message = f"{where}: {_REFUSED['file']}."
        raise RequestError(message, code="unsupported_parameter", param=f"{where}.image_url")
    if url.partition(":")[0].lower() not in ("data", "https", "http"):
        raise RequestError(f"{where}.image_url must be a data URL or begin with https://.", param=f"{where}.image_url")
