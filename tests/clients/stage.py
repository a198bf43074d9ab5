"""The stage behind a scenario: a whole coordinator whose worker does what the scenario's program asks for, line by line."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from coordinator.answer.streamed import Streamed
from shared.protocol.messages import Accept, Failed, Heartbeat, Logprob, Offer, Tokens
from tests.clients.lossy import losing
from tests.support_wait import eventually
from tests.swarm.scripted import ROME, ScriptedWorker
from tests.swarm.whole import Swarm, coordinating

Json = dict[str, Any]
SLOTS: Final = 2
BEAT_S: Final = 5
PATIENCE_S: Final = 30


class Act(msgspec.Struct, frozen=True):
    """What is done with one request: a text in frames of `chunk` tokens, and how it ends. A `late` one waits before it says
    anything."""

    text: str = "The capital is Rome."
    chunk: int = 4
    then: str = "done"
    late: bool = False


class Stage:
    """One worker with two slots on a coordinator of its own; a request that no act was named for is done as the last."""

    def __init__(self, swarm: Swarm, stack: AsyncExitStack) -> None:
        self.swarm = swarm
        self.worker = swarm.worker(cell=ROME, slots=SLOTS, script=self._perform)
        self._stack = stack
        self._acts: deque[Act] = deque([Act()])
        self._offers: asyncio.Queue[tuple[Offer, int]] = asyncio.Queue()
        self._held = asyncio.Event()
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @property
    def environment(self) -> dict[str, str]:
        """Where a client finds Hive, and its key."""
        return {"HIVE_URL": self.swarm.base_url, "HIVE_KEY": self.swarm.api_key}

    async def answer(self, asked: Json) -> Json:
        """Does what a line of the program asks for; the same names as in `scenarios/cases.py`."""
        async with asyncio.timeout(PATIENCE_S):
            match asked["ask"]:
                case "says":
                    how = asked["chunk"], asked["then"], asked["late"]
                    self._acts = deque(Act(text, *how) for text in asked["texts"])
                    self._offers, self._held = asyncio.Queue(), asyncio.Event()
                    return {}
                case "offered":
                    offer, said = await self._offers.get()
                    return {**msgspec.to_builtins(offer.body), "said": said}
                case "none_offered":
                    return {"none": self._offers.empty()}
                case "waiting":
                    return {"job_id": await self._waiting()}
                case "thinks":
                    known = self.swarm.hive.vocabularies["hive-nano"]
                    known.format = msgspec.structs.replace(known.format, reasoning=("<think>", "</think>"))
                    return {}
                case "guards":
                    catalogue: Any = self.swarm.hive.catalogue
                    catalogue["hive-nano"] = msgspec.structs.replace(catalogue["hive-nano"], guard=True)
                    return {}
                case "goes_on":
                    asyncio.get_running_loop().call_later(asked["after_s"], self._held.set)
                    return {}
                case "told_of_silence":
                    self._tell_of_silence(asked["after_s"])
                    return {}
                case "cancelled":
                    await self._cancelled[asked["job_id"]].wait()
                    return await self._job(asked["job_id"])
                case "job":
                    return await self._job(asked["job_id"])
                case "key":
                    return {"key": await self._key(asked["terms"])}
                case "losing":
                    return {"url": await self._stack.enter_async_context(losing(self.swarm.base_url, asked["how"]))}
                case unknown:
                    raise AssertionError(f"the stage knows nothing of {unknown!r}")

    def is_free(self) -> bool:
        """Whether the coordinator counts no attempt on the worker."""
        return self.swarm.hive.hub.attempts.taken(self.worker.pk) == 0

    async def _perform(self, worker: ScriptedWorker, offer: Offer) -> None:
        act = self._acts.popleft() if len(self._acts) > 1 else self._acts[0]
        body, held = offer.body, self._held
        worker.says = act.text
        ids, texts = worker.answer(body)
        done = worker.result(body, ids, "".join(texts))
        await worker.send(Accept(body.job_id, body.attempt))
        if act.late:
            self._offers.put_nowait((offer, len(ids)))
            await held.wait()
        for start in range(0, len(ids), act.chunk):
            piece, said = ids[start : start + act.chunk], "".join(texts[start : start + act.chunk])
            offset = len(body.resume_ids) + start
            await worker.send(Tokens(body.job_id, body.attempt, offset, piece, said, _told(offer, piece)))
        if not act.late:
            self._offers.put_nowait((offer, len(ids)))
        if act.then == "failed":
            await worker.send(
                Failed(body.job_id, body.attempt, "engine_failed", "the engine has ended", retryable=False)
            )
            return
        if act.then == "held":
            await held.wait()
        await worker.send(done)

    def _tell_of_silence(self, after_s: float) -> None:
        """Streams tell of a silence after this time, not after ten seconds."""
        terms: Any = Streamed.__init__.__kwdefaults__
        self._stack.callback(terms.update, silence_s=terms["silence_s"])
        terms["silence_s"] = after_s

    async def live(self) -> None:
        """What a worker does besides work, for ever: it beats, and takes note of what it is told to stop."""
        while True:
            await self.worker.send(Heartbeat(SLOTS))
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    self._cancelled[(await self.worker.cancels.get()).job_id].set()

    async def _key(self, terms: Json) -> str:
        bearer = {"authorization": f"Bearer {self.swarm.admin_key}"}
        async with httpx.AsyncClient(base_url=self.swarm.admin_url, headers=bearer) as admin:
            made = (await admin.post("/admin/keys", json=terms)).raise_for_status()
        return str(made.json()["key"])

    async def _job(self, job_id: str) -> Json:
        async with self.swarm.client() as http:
            return await self.swarm.ended(http, job_id)

    async def _waiting(self) -> str:
        async with self.swarm.client() as http:

            async def look() -> str | None:
                listed: list[Json] = (await http.get("/hive/jobs", params={"status": "pending"})).json()["data"]
                return str(listed[0]["id"]) if listed else None

            return await eventually(look, PATIENCE_S, "a job that waits")


def _told(offer: Offer, ids: list[int]) -> list[Logprob]:
    """Made-up likelihoods, each the token's id in thousandths, with one alternative where some are asked for."""
    if offer.body.logprobs is None:
        return []
    top = offer.body.logprobs > 0
    return [Logprob(-1000 * id_, [(id_, -1000 * id_)] if top else []) for id_ in ids]


@asynccontextmanager
async def staged(database_url: str, folder: Path) -> AsyncIterator[Stage]:
    """A stage whose worker is connected; when the block ends, no slot of it may be taken and the books must balance."""
    async with coordinating(database_url, folder) as swarm, AsyncExitStack() as stack:
        stage = Stage(swarm, stack)
        await stack.enter_async_context(stage.worker.connected(swarm.url))
        living = asyncio.create_task(stage.live())
        stack.callback(living.cancel)
        yield stage

        async def is_free() -> bool:
            return stage.is_free()

        await eventually(is_free, PATIENCE_S, "both slots free again")
