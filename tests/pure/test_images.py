"""The images that messages name: taken out of data URLs, or fetched; neither too many, too large nor anything else."""

import asyncio
import base64

import pytest

from coordinator.outside import images
from coordinator.outside.addresses import NOTHING_ALLOWED, allowed
from coordinator.outside.http import Outside
from coordinator.outside.images import MOST_IMAGES, image_of, images_of
from coordinator.outside.outcome import Room
from shared.errors import RequestError
from tests.support_outside import Heard, Names, Say, answering, other_side, png

PNG = png(640, 480)
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
NOWHERE = Outside(NOTHING_ALLOWED, Names())


def written(data: bytes, said: str = "image/png") -> str:
    return f"data:{said};base64,{base64.b64encode(data).decode()}"


async def test_data_urls_and_fetched_images_come_in_the_order_of_their_urls() -> None:
    first_may_answer = asyncio.Event()

    async def late(heard: Heard, say: Say) -> None:
        await first_may_answer.wait()
        await answering(200, PNG, content_type="text/html")(heard, say)

    async def early(heard: Heard, say: Say) -> None:
        first_may_answer.set()
        await answering(200, GIF)(heard, say)

    async with other_side() as other:
        other.scripts |= {"/late": late, "/early": early}
        base = f"http://127.0.0.1:{other.port}"
        urls = [f"{base}/late", written(GIF), f"{base}/early", f"{base}/late"]
        found = await images_of(urls, Outside(allowed([f"127.0.0.1:{other.port}"])))
        assert [image.media_type for image in found] == ["image/png", "image/gif", "image/gif", "image/png"]
        assert [image.data for image in found] == [PNG, GIF, GIF, PNG]
        assert other.connections == 2


async def test_an_image_is_what_its_bytes_are_whatever_was_said_of_it() -> None:
    (found,) = await images_of([written(GIF, "image/png;name=x")], NOWHERE)
    assert found.data_url == written(GIF, "image/gif")
    spaced = written(PNG)[:60] + "\n  " + written(PNG)[60:]
    assert (await images_of([spaced.replace("data:", "DATA:")], NOWHERE))[0].data == PNG


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (written(b"%PDF-1.7"), "no PNG, JPEG, WebP or GIF"),
        (written(b"<svg/>", "image/svg+xml"), "no PNG, JPEG, WebP or GIF"),
        (written(b""), "no PNG, JPEG, WebP or GIF"),
        ("data:image/png," + "%89PNG", "base64"),
        ("data:image/png;base64,a*b", "damaged"),
        (written(png(100_000, 100_000)), "100000 × 100000 pixels"),
        ("https://localhost/a.png", "not public"),
        ("http://8.8.8.8/a.png", "https"),
        ("file:///etc/passwd", "https://"),
        ("attachment://a.png", "https://"),
        ("", "https://"),
    ],
)
async def test_what_is_no_image_that_may_be_had_is_refused_with_its_place(url: str, says: str) -> None:
    with pytest.raises(RequestError, match=says) as raised:
        await images_of([written(GIF), url], NOWHERE, "messages[0].content[1]")
    assert raised.value.param == "messages[0].content[1]"
    assert len(raised.value.message) < 500


async def test_a_fetched_image_that_is_none_is_refused() -> None:
    async with other_side() as other:
        other.scripts["/page"] = answering(200, b"<html>", content_type="image/png")
        calling = Outside(allowed([f"127.0.0.1:{other.port}"]))
        for path, says in (("/page", "no PNG"), ("/gone", "status 404")):
            with pytest.raises(RequestError, match=says):
                await images_of([f"http://127.0.0.1:{other.port}{path}"], calling)


async def test_all_images_of_a_request_share_one_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    large = [written(PNG + bytes([n]) * 400) for n in range(3)]
    await images_of(large[:2], NOWHERE)
    with pytest.raises(RequestError, match="more than the 1000 bytes"):
        await images_of(large, NOWHERE)


async def test_there_is_a_limit_to_their_number() -> None:
    await images_of([written(GIF)] * MOST_IMAGES, NOWHERE)
    with pytest.raises(RequestError, match="up to 16 images"):
        await images_of([written(GIF)] * (MOST_IMAGES + 1), NOWHERE)


async def test_a_size_is_believed_before_anything_is_unpacked() -> None:
    with pytest.raises(RequestError, match="bytes"):
        await image_of("data:image/png;base64," + "A" * 4000, NOWHERE, Room(2900))
