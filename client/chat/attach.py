"""Files that go into a conversation: text within a limit, pictures as data URLs for models that see them."""

import base64
from pathlib import Path
from typing import Final

from client.chat.conversation import Attachment, Image, Text
from client.given import MOST_TEXT
from client.shapes.swarm import Model
from shared.errors import RequestError
from shared.words import size

MOST_IMAGE: Final = 10 * 1000 * 1000
PICTURES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


def attachment(file: Path, model: Model | None) -> Attachment:
    """The file for a question to this model (None: one that nobody knows); raises RequestError with what is wrong with it."""
    mime = PICTURES.get(file.suffix.lower())
    if mime is None:
        return Text(file.name, _text(_content(file, MOST_TEXT, "text"), file))
    if model is not None and not sees(model):
        raise RequestError(f"{model.id} does not see pictures; /model (or --model) chooses one that does.")
    encoded = base64.b64encode(_content(file, MOST_IMAGE, "a picture")).decode()
    return Image(file.name, f"data:{mime};base64,{encoded}")


def sees(model: Model) -> bool:
    """Whether a model reads pictures."""
    return "image" in model.input_modalities


def _content(file: Path, most: int, what: str) -> bytes:
    if not file.is_file():
        raise RequestError(f"There is no file {file}.")
    found = file.stat().st_size
    if found > most:
        raise RequestError(f"{file.name} has {size(found)}; at most {size(most)} of {what} go into a question.")
    return file.read_bytes()


def _text(content: bytes, file: Path) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as e:
        raise RequestError(
            f"{file.name} is neither UTF-8 text nor a picture ({', '.join(PICTURES)}); turn it into one of these first."
        ) from e
    if "\0" in text:
        raise RequestError(f"{file.name} holds zero bytes, so it is no text.")
    return text
