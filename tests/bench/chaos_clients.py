"""Clients of a chaos run, and what each of them wrote down: what was accepted, what it read, and how that ended."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, Final

import httpx
import msgspec

from tests.bench.chaos_stage import Stage
from tests.swarm.scripted import BERLIN, NEW_YORK, ROME

Json = dict[str, Any]
AGAIN: Final = 60
"""How often a reader of events comes back: coordinators are away for a while."""

PLACES: Final[list[dict[str, str]]] = [
    {},
    {},
    {},
    {"x-hive-jurisdiction": "EU"},
    {"x-hive-jurisdiction": "US"},
    {"x-hive-jurisdiction": "DE,IT"},
    {"x-hive-h3-cell": ROME},
    {"x-hive-h3-cell": BERLIN, "x-hive-h3-strict": "true"},
    {"x-hive-h3-cell": NEW_YORK, "x-hive-jurisdiction": "US"},
    {"x-hive-min-tier": "trusted"},
]


class Seen(msgspec.Struct):
    """One request: the job (or parent) that was accepted, the texts that were read of its choices, whether the answer came
    to its proper end, whether the client has it behind itself, and the id of the last event that it read."""

    what: str
    job_id: str = ""
    texts: dict[int, str] = {}
    whole: bool = False
    over: bool = True
    status: int = 0
    last: str = ""


class Clients:
    """So many clients that ask one thing after another, each of another coordinator, with pauses of up to `pause_s`."""

    def __init__(self, stage: Stage, random: Random, count: int, pause_s: float) -> None:
        self._stage, self._random, self._count, self._pause_s = stage, random, count, pause_s
        self._headers = {"authorization": f"Bearer {stage.api_key}"}
        self._kinds: list[Callable[[Seen, Json, Json], Awaitable[None]]] = [
            self._whole, self._streamed, self._streamed, self._several, self._left, self._job, self._cancelled,
            self._events, self._events,
        ]  # fmt: skip
        self.seen: list[Seen] = []
        self.unlike: list[str] = []
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(30, connect=5), limits=httpx.Limits(max_connections=4 * count), verify=False
        )

    async def run(self, over: asyncio.Event) -> None:
        """Asks until it is over; what is being asked then is read to its end."""
        await asyncio.gather(*(self._one(over) for _ in range(self._count)))
        await self._http.aclose()

    async def _one(self, over: asyncio.Event) -> None:
        while not over.is_set():
            places = self._random.choice(PLACES)
            prompt = f"Tell me number {self._random.getrandbits(64)}."
            body: Json = {"max_tokens": self._random.choice([12, 48, 120])}
            chat = {"model": "hive-nano", "messages": [{"role": "user", "content": prompt}], **body}
            ask = self._random.choice(self._kinds)
            if ask in (self._job, self._cancelled, self._events):
                chat = {"model_id": "hive-nano", "prompt": prompt, **body}
            seen = Seen(ask.__name__.strip("_"), over=False)
            self.seen.append(seen)
            try:
                await ask(seen, chat, {**self._headers, **places})
            except (httpx.HTTPError, TimeoutError):
                await asyncio.sleep(0.2)  # whom it asked is away
            finally:
                seen.over = True
            await asyncio.sleep(self._random.uniform(0, self._pause_s))

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._random.choice(self._stage.coordinators).front.port}{path}"

    async def _whole(self, seen: Seen, body: Json, headers: Json) -> None:
        answer = await self._http.post(self._url("/v1/chat/completions"), json=body, headers=headers)
        self._answered(seen, answer)
        if answer.status_code == 200:
            seen.texts = {c["index"]: c["message"]["content"] for c in answer.json()["choices"]}
            seen.whole = True

    async def _streamed(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._stream(seen, body, headers)

    async def _several(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._stream(seen, {**body, "n": 2}, headers)

    async def _left(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._stream(seen, body, headers, most=self._random.randrange(1, 5))

    async def _stream(self, seen: Seen, body: Json, headers: Json, most: int = 10**6) -> None:
        url = self._url("/v1/chat/completions")
        async with self._http.stream("POST", url, json={**body, "stream": True}, headers=headers) as answer:
            self._answered(seen, answer)
            async for data in _data(answer):
                if data == "[DONE]":
                    seen.whole = True
                    return
                told = json.loads(data)
                if "error" in told:
                    return
                for choice in told["choices"]:
                    index, text = choice["index"], choice["delta"].get("content") or ""
                    seen.texts[index] = seen.texts.get(index, "") + text
                    most -= bool(text)
                if most <= 0:
                    return

    async def _submitted(self, seen: Seen, body: Json, headers: Json) -> None:
        """Submits a job under a key, until somebody answers, wherever."""
        key = str(self._random.getrandbits(64))
        for _ in range(6):
            try:
                answer = await self._http.post(
                    self._url("/hive/jobs"), json=body, headers={**headers, "idempotency-key": key}, timeout=5
                )
            except httpx.HTTPError:
                continue
            if answer.status_code in (200, 201):
                job_id: str = answer.json()["job_id"]
                if seen.job_id and seen.job_id != job_id:
                    self.unlike.append(f"one key made two jobs: {seen.job_id} and {job_id}")
                again = bool(seen.job_id) or self._random.random() < 0.7
                seen.job_id, seen.status = job_id, answer.status_code
                if again:
                    break

    async def _job(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._submitted(seen, body, headers)

    async def _cancelled(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._submitted(seen, body, headers)
        await asyncio.sleep(self._random.uniform(0, 2))
        if seen.job_id:
            await self._http.delete(self._url(f"/hive/jobs/{seen.job_id}"), headers=headers)

    async def _events(self, seen: Seen, body: Json, headers: Json) -> None:
        await self._submitted(seen, body, headers)
        if not seen.job_id:
            return
        for _ in range(AGAIN):
            with contextlib.suppress(httpx.HTTPError):
                await self._followed(seen, headers)
            if seen.over:
                return
            seen.what = "events, over several connections"
            await asyncio.sleep(0.3)

    async def _followed(self, seen: Seen, headers: Json) -> None:
        """One connection of a reader of events, to whichever coordinator; it goes on after the last that it got."""
        url, after = self._url(f"/hive/jobs/{seen.job_id}/events"), {"last-event-id": seen.last} if seen.last else {}
        last = ""
        async with self._http.stream("GET", url, headers={**headers, **after}) as answer:
            async for line in answer.aiter_lines():
                last = line.removeprefix("id: ") if line.startswith("id: ") else last
                if line.startswith("data: "):
                    told, seen.last = json.loads(line.removeprefix("data: ")), last or seen.last
                    if "text" in told:
                        seen.texts[0] = seen.texts.get(0, "") + told["text"]
                    seen.whole = told.get("status") == "completed" and "result_text" in told
                    seen.over = "result_text" in told or "error" in told

    def _answered(self, seen: Seen, answer: httpx.Response) -> None:
        seen.status = answer.status_code
        seen.job_id = answer.headers.get("x-hive-job-id", "")


async def _data(answer: httpx.Response) -> AsyncIterator[str]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
