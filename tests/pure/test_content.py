"""Content parts: text on lines of its own, images where they stood, and by name what is neither."""

from time import process_time
from typing import Any

import msgspec
import pytest

from coordinator.submit.body import ChatMessage, conversation
from shared.errors import RequestError
from shared.protocol.messages import Image, Message

PNG = "data:image/png;base64,QUJD"


def told(content: Any, role: str = "user") -> Message:
    (message,) = conversation([msgspec.convert({"role": role, "content": content}, ChatMessage)])
    return message


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def image(url: str = PNG) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}


def test_images_stand_where_they_stood() -> None:
    assert told([image(), text("été"), image("https://example.org/a.png"), text("b"), image()]) == Message(
        "user", "été\nb", images=[Image(0, PNG), Image(3, "https://example.org/a.png"), Image(5, PNG)]
    )
    assert told([image()]) == Message("user", "", images=[Image(0, PNG)])
    assert told([text("a"), text("b")]) == Message("user", "a\nb")
    assert told("a") == Message("user", "a")


def test_where_many_images_stand_is_known_without_reading_all_the_text_again() -> None:
    pieces = [text("x" * 4_000_000), text("y"), *[image("data:,")] * 20_000]
    began = process_time()
    message = told(pieces)
    assert process_time() - began < 1
    assert {one.at for one in message.images} == {4_000_002}


def test_an_image_may_be_a_url_alone_as_responses_have_it() -> None:
    assert told([{"type": "input_image", "image_url": PNG}]).images == [Image(0, PNG)]


@pytest.mark.parametrize(
    ("part", "param", "says"),
    [
        ({"type": "input_audio", "input_audio": {}}, "type", "audio"),
        ({"type": "file", "file": {"file_id": "x"}}, "type", "PDF"),
        ({"type": "video_url"}, "type", "videos"),
        ({"type": "hologram"}, "type", "only text and images"),
        ({"type": "text"}, "type", "only text and images"),
        ({"type": "image_url"}, "type", "only text and images"),
        (image("data:application/pdf;base64,JVBERi0="), "image_url", "PDF"),
        (image("DATA:Application/PDF;base64,JVBERi0="), "image_url", "PDF"),
    ],
)
def test_what_is_neither_text_nor_an_image_is_refused_by_name(part: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        told([text("a"), part])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", f"messages[0].content[1].{param}")


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "ftp://example.org/a.png", "javascript:0"])
def test_an_image_is_in_its_url_or_fetched_over_https(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        told([image(url)])
    assert (caught.value.code, caught.value.param) == ("invalid_request", "messages[0].content[0].image_url")


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_images_are_the_users(role: str) -> None:
    with pytest.raises(RequestError, match="of the user"):
        told([image()], role)
