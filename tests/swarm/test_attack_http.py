"""A client that means harm: whatever it sends is answered in the one shape, and nothing of it is our fault."""

import asyncio
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from coordinator.api import wire
from tests.swarm.whole import Json, Swarm

LAST = b"GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


async def spoken(swarm: Swarm, *said: bytes) -> bytes:
    """All that is answered to these bytes until the other side closes."""
    at = urlsplit(swarm.base_url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        for part in said:
            writer.write(part)
        heard = b""
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                heard += chunk
        return heard
    except ConnectionResetError:
        return heard
    finally:
        writer.close()


def shape_of(answer: bytes) -> Json:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-request-id: req_" in head
    error: Json = msgspec.json.decode(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


NO_HTTP = [
    b"FOO / HTTP/1.1\r\nhost: h\r\n\r\n",
    b"\x16\x03\x01\x02\x00" * 20,
    b"GET /health HTTP/1.1\r\nhost: h\r\nx-a: a\0b\r\n\r\n",
    b"POST /hive/jobs HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /hive/jobs HTTP/1.1\r\nhost: h\r\ncontent-length: -5\r\n\r\n",
]


async def test_what_is_no_http_is_told_so_in_the_one_shape(swarm: Swarm) -> None:
    for said in NO_HTTP:
        assert shape_of(await spoken(swarm, said))["code"] == "invalid_request"


async def test_a_head_has_an_end(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = b"GET /health HTTP/1.1\r\nhost: h\r\nx: "
    refused = await spoken(swarm, begun, b"a" * (wire.MAX_HEAD + 1))
    assert "larger than" in shape_of(refused)["message"]
    monkeypatch.setattr(wire, "HEAD_S", 0.05)
    assert await spoken(swarm, begun) == b""
    assert b" 200 OK" in await spoken(swarm, begun + b"a\r\nconnection: close\r\n\r\n")


async def test_a_connection_goes_on_after_head(swarm: Swarm) -> None:
    for path in ("/health", "/nope", "/v1/models/x"):
        heard = await spoken(swarm, f"HEAD {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode(), LAST)
        assert heard.count(b"HTTP/1.1 ") == 2
        assert heard.endswith(b"}")


async def test_a_page_has_a_size(swarm: Swarm) -> None:
    async with swarm.client() as http:
        for limit in ("0", "101", "000001999", "000001" + "9" * 5000, "-1", "\N{SUPERSCRIPT TWO}", ""):
            answer = await http.get("/hive/jobs", params={"limit": limit})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


async def test_what_is_wrong_is_quoted_in_part(swarm: Swarm) -> None:
    async with swarm.client() as http:
        odd = await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "x", "priority": "a" * 70_000})
        put = await http.put("/v1/models/" + "a" * 9_000)
    assert (odd.status_code, odd.json()["error"]["param"], put.status_code) == (400, "priority", 405)
    assert all(len(answer.json()["error"]["message"]) < 500 for answer in (odd, put))


async def test_a_key_is_named_in_print(swarm: Swarm) -> None:
    headers = {"authorization": f"Bearer {swarm.admin_key}"}
    bodies: list[Json] = [{"name": "\0"}, {"models": ["\0"]}, {"plan": "\0"}, {"name": "a" * 1000}]
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=headers) as admin:
        for body in bodies:
            answer = await admin.post("/admin/keys", json=body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(body)))
