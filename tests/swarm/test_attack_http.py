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
    with monkeypatch.context() as soon:
        soon.setattr(wire, "HEAD_S", 0.05)
        assert await spoken(swarm, begun) == b""
    assert b" 200 OK" in await spoken(swarm, begun + b"a\r\nconnection: close\r\n\r\n")


async def test_a_connection_goes_on_after_head(swarm: Swarm) -> None:
    for path in ("/health", "/nope", "/v1/models/x"):
        heard = await spoken(swarm, f"HEAD {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode(), LAST)
        assert heard.count(b"HTTP/1.1 ") == 2
        assert heard.endswith(b"}")


WEBSOCKET = b"host: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"


@pytest.mark.parametrize(
    "request_", [b"POST /v1/chat/completions", b"POST /hive/worker", b"DELETE /health", b"PUT /nope"]
)
async def test_what_cannot_become_a_websocket_is_told_so_at_once(swarm: Swarm, request_: bytes) -> None:
    for body in (b"\r\n", b"content-length: 2\r\n\r\n{}", b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
        refused = shape_of(await spoken(swarm, request_ + b" HTTP/1.1\r\n" + WEBSOCKET + body))
        assert "websocket" in refused["message"]


@pytest.mark.parametrize("path", [b"/health", b"/v1/models", b"/nope", b"/hive/worker"])
async def test_a_handshake_where_there_is_no_websocket_ends(swarm: Swarm, path: bytes) -> None:
    for more in (b"", b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"):
        heard = await spoken(swarm, b"GET " + path + b" HTTP/1.1\r\n" + WEBSOCKET + more + b"\r\n")
        assert heard.startswith(b"HTTP/1.1 4"), heard


@pytest.mark.parametrize("cut", [0, 40, 200, 260, 300])
async def test_an_offer_of_http_2_is_declined_and_the_request_answered(swarm: Swarm, cut: int) -> None:
    """As the client of Java sends it, unless it is told otherwise."""
    asked = msgspec.json.encode({"model": "hive-nano", "prompt": "Hello"})
    offer = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABk\r\nupgrade: h2c\r\n"
    named = f"authorization: Bearer {swarm.api_key}\r\ncontent-length: {len(asked)}\r\n\r\n".encode()
    whole = b"POST /v1/utils/token_counter HTTP/1.1\r\nhost: h\r\n" + offer + named + asked
    heard = await spoken(
        swarm, whole[:cut], whole[cut:], b"GET /health HTTP/1.1\r\nhost: h\r\n" + offer + b"\r\n", LAST
    )
    assert heard.count(b"HTTP/1.1 200 OK") == 3, heard
    assert b"request_tokens" in heard or b"total_tokens" in heard


def test_of_a_declined_offer_nothing_is_left() -> None:
    head = [(b"host", b"h"), (b"connection", b"close, Upgrade"), (b"upgrade", b"h2c"), (b"http2-settings", b"A")]
    assert wire.without_offer(b"GET / HTTP/1.1", head) == b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
    assert wire.without_offer(b"GET / HTTP/1.1", [(b"connection", b"upgrade")]) == b"GET / HTTP/1.1\r\n\r\n"


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
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=headers, timeout=30) as admin:
        for body in bodies:
            answer = await admin.post("/admin/keys", json=body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(body)))
