"""The images of a request: fetched where a message only names them, once it is known that somebody may see them."""

from collections.abc import Iterator, Sequence

import msgspec

from coordinator.outside.http import Outside
from coordinator.outside.images import images_of
from coordinator.submit.request import JobRequest


async def with_images(requests: Sequence[JobRequest], outside: Outside) -> list[JobRequest]:
    """The requests with every image in them as a data URL of what its bytes are; raises RequestError for what is none,
    cannot be fetched or is too much."""
    urls = [image.url for request in requests for image in request.images]
    if not urls:
        return list(requests)
    found = (image.data_url for image in await images_of(urls, outside))
    return [_holding(request, found) for request in requests]


def _holding(request: JobRequest, found: Iterator[str]) -> JobRequest:
    messages = [
        msgspec.structs.replace(
            message, images=[msgspec.structs.replace(image, url=next(found)) for image in message.images]
        )
        for message in request.messages or []
    ]
    return msgspec.structs.replace(request, messages=messages) if request.images else request
