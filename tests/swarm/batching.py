"""What tests of files and batches share: input files, batches at their end, and what their files say."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from openai import AsyncOpenAI
from openai.types import Batch

from tests.support_wait import eventually

MODEL: Final = "hive-nano"
CHAT: Final = "/v1/chat/completions"
ENDED: Final = {"completed", "failed", "expired", "cancelled"}
Json = dict[str, Any]


def chat(text: str = "What is the capital of Italy?", **different: Any) -> Json:
    """The body of a chat."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **different}


def jsonl(bodies: Sequence[Json], url: str = CHAT) -> bytes:
    """An input file whose lines are named by their places, from 1 on."""
    return b"".join(
        msgspec.json.encode({"custom_id": f"line-{n}", "method": "POST", "url": url, "body": body}) + b"\n"
        for n, body in enumerate(bodies, 1)
    )


async def begun(client: AsyncOpenAI, data: bytes, url: Any = CHAT, **different: Any) -> Batch:
    """A batch of these lines."""
    file = await client.files.create(file=("input.jsonl", data), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=url, completion_window="24h", **different
    )  # fmt: skip


async def ended(client: AsyncOpenAI, batch: Batch, seconds: float = 60) -> Batch:
    """The batch at its end."""

    async def look() -> Batch | None:
        found = await client.batches.retrieve(batch.id)
        return found if found.status in ENDED else None

    return await eventually(look, seconds, f"the end of {batch.id}")


async def lines(client: AsyncOpenAI, file_id: str | None) -> dict[str, Json]:
    """What a batch's file says, by the lines' names; each is there once."""
    if file_id is None:
        return {}
    content = await client.files.content(file_id)
    told = [msgspec.json.decode(line) for line in content.text.splitlines()]
    by_name = {line["custom_id"]: line for line in told}
    assert len(by_name) == len(told), "a line is told of once"
    return by_name
