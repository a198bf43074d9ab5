"""An upstream that answers every chat at once, as OpenAI does: `python -m tests.bench.instant`, told on stdin what it says and
in how many chunks; prints its address, and serves until stdin closes."""

import asyncio
import sys
from typing import Any

import msgspec
import uvloop

END_OF_HEAD = b"\r\n\r\n"


class Instant(asyncio.Protocol):
    """One kept connection: whatever is asked, the same answer, streamed if the body says so."""

    def __init__(self, whole: bytes, streamed: bytes) -> None:
        self._whole, self._streamed = whole, streamed
        self._heard = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request that is whole."""
        self._heard += data
        while (asked := self._next()) is not None:
            self._transport.write(self._streamed if asked.get("stream") else self._whole)

    def _next(self) -> dict[str, Any] | None:
        head, found, rest = self._heard.partition(END_OF_HEAD)
        length = _length(head)
        if not found or len(rest) < length:
            return None
        self._heard = rest[length:]
        asked: dict[str, Any] = msgspec.json.decode(rest[:length]) if length else {}
        return asked


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def whole(says: str) -> bytes:
    """The answer in one piece."""
    message = {"role": "assistant", "content": says, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    counts = {"prompt_tokens": 20, "completion_tokens": 24, "total_tokens": 44}
    body = msgspec.json.encode(_named("chat.completion") | {"choices": [choice], "usage": counts})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def streamed(says: str, chunks: int) -> bytes:
    """The same in so many chunks, all of them at once."""
    size = -(-len(says) // chunks)
    deltas = [{"content": says[start : start + size]} for start in range(0, len(says), size)]
    told = [_event(delta, None) for delta in ({"role": "assistant", "content": ""}, *deltas)]
    body = b"".join([*told, _event({}, "stop"), b"data: [DONE]\n\n"])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def _event(delta: dict[str, str], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return b"data: " + msgspec.json.encode(_named("chat.completion.chunk") | {"choices": [choice]}) + b"\n\n"


def _named(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-instant", "object": kind, "created": 1_700_000_000, "model": "hive-nano"}


async def main() -> None:
    """Serves."""
    told = msgspec.json.decode(sys.stdin.readline())
    answers = whole(told["says"]), streamed(told["says"], told["chunks"])
    server = await asyncio.get_running_loop().create_server(lambda: Instant(*answers), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(msgspec.json.encode(f"http://127.0.0.1:{port}").decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    print(msgspec.json.encode("over").decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
