"""The images that messages name: in the message itself as a data URL, or fetched over https; looked at, never decoded."""

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from coordinator.outside.http import Outside
from coordinator.outside.outcome import Room, UnreachedError
from coordinator.outside.picture import kind_of
from shared.errors import RequestError

MOST_IMAGES: Final = 16
MOST_BYTES: Final = 20 * 2**20
"""All images of one request together."""
MOST_PIXELS: Final = 50_000_000
WITHIN_S: Final = 20.0
REDIRECTS: Final = 3
SHOWN: Final = 200

_DATA: Final = re.compile(r"data:", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")


class Image(msgspec.Struct, frozen=True):
    """An image as it came; `media_type` is what its bytes are, whatever was said of them."""

    media_type: str
    data: bytes

    @property
    def data_url(self) -> str:
        """The image as a URL that holds it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


async def images_of(urls: Sequence[str], outside: Outside, param: str = "messages") -> list[Image]:
    """The images of one request, in the order of their URLs, all within 20 s; raises RequestError for what is none."""
    if len(urls) > MOST_IMAGES:
        raise RequestError(f"A request takes up to {MOST_IMAGES} images, not {len(urls)}.", param=param)
    room, unique = Room(MOST_BYTES), list(dict.fromkeys(urls))
    try:
        async with asyncio.TaskGroup() as tasks:
            getting = [tasks.create_task(image_of(url, outside, room, param)) for url in unique]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    found = dict(zip(unique, (task.result() for task in getting), strict=True))
    return [found[url] for url in urls]


async def image_of(url: str, outside: Outside, room: Room, param: str = "messages") -> Image:
    """The image that a URL holds or names; raises RequestError where there is none, or more of it than there is room for."""
    named = "The image" if _DATA.match(url) else f"The image {url[:SHOWN]!r}"
    try:
        data = _written(url, room) if _DATA.match(url) else await outside.fetch(url, room, WITHIN_S, REDIRECTS)
    except UnreachedError as e:
        raise RequestError(f"{named} {e}.", param=param) from None
    kind = kind_of(data)
    if kind is None:
        raise RequestError(f"{named} is no PNG, JPEG, WebP or GIF.", param=param)
    if kind.width * kind.height > MOST_PIXELS:
        size = f"{kind.width} × {kind.height}"
        raise RequestError(f"{named} has {size} pixels; up to {MOST_PIXELS} are taken.", param=param)
    return Image(kind.media_type, data)


def _written(url: str, room: Room) -> bytes:
    """What a data URL holds; raises UnreachedError."""
    head, _, encoded = url.partition(",")
    if not head.lower().endswith(";base64"):
        raise UnreachedError("is a data URL that is not in base64")
    room.take(len(encoded) * 3 // 4)
    try:
        return base64.b64decode(_SPACE.sub("", encoded), validate=True)
    except binascii.Error:
        raise UnreachedError("is a data URL whose base64 is damaged") from None
