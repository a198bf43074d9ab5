"""A client that reads one streamed chat and notes when each piece of it came."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

QUESTION = "Explain H3 geospatial indexing in one paragraph."
LIMIT = 1 << 20


@dataclass
class Told:
    """What a client got: the job and the worker of its head, pieces of text with when (monotonic ns) each came."""

    job: str = ""
    worker: str = ""
    texts: list[str] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    left_at: int = 0
    whole: bool = False

    def gap_ms(self) -> float:
        """The longest time between two pieces."""
        return max((b - a for a, b in zip(self.at, self.at[1:], strict=False)), default=0) / 1e6


async def read(base_url: str, key: str, max_tokens: int, *, pieces: int = 1 << 30, told: Told | None = None) -> Told:
    """Reads until the end, or breaks the connection once so many pieces came."""
    told = told or Told()
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=LIMIT)
    messages = [{"role": "user", "content": QUESTION}]
    body = msgspec.json.encode({"model": "hive-nano", "messages": messages, "max_tokens": max_tokens, "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    try:
        _note_head(told, await reader.readuntil(b"\r\n\r\n"))
        async for line in reader:
            if line.startswith(b"data: {") and (text := _text(line)):
                told.at.append(time.monotonic_ns())
                told.texts.append(text)
                if len(told.texts) >= pieces:
                    told.left_at = time.monotonic_ns()
                    writer.transport.abort()
                    return told
            elif line.startswith(b"data: [DONE]"):
                told.whole = True
                break
    finally:
        writer.close()
    return told


def _note_head(told: Told, head: bytes) -> None:
    lines = [line.partition(b": ") for line in head.split(b"\r\n")]
    named = {name.lower(): value.decode() for name, _, value in lines}
    told.job, told.worker = named.get(b"x-hive-job-id", ""), named.get(b"x-hive-worker", "")


def _text(line: bytes) -> str:
    choices = msgspec.json.decode(line.removeprefix(b"data: ")).get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")
