"""The wrapper around all routes, where a server's patience is over."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from coordinator.api.face import Face
from coordinator.api.front import Front

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "client": ("127.0.0.1", 1), "scheme": "http",
}  # fmt: skip
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize("started", [False, True])
async def test_a_request_that_is_cut_off_by_the_end_of_its_server_is_told_so(started: bool) -> None:
    sent: list[Any] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        if started:
            await send(dict(START))
        await asyncio.Event().wait()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    front = Front(app, cast("Face", None), [], cors=False)
    serving = asyncio.create_task(front(SCOPE, receive, send))
    await asyncio.sleep(0)
    serving.cancel()
    await serving
    assert sent[0]["status"] == (200 if started else 503)
    if not started:
        assert (b"retry-after", b"1") in sent[0]["headers"]
        assert "again" in msgspec.json.decode(sent[1]["body"])["error"]["message"]
