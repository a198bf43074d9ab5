"""A worker with a key of its own that speaks the real protocol over a real websocket and says what a test tells it to."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from nacl.signing import SigningKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from coordinator.dispatch.waiting import wait_at_most
from shared.crypto import Context, chain_extend, chain_start, public_key, seed_commitment, verifies
from shared.protocol.messages import (
    SUBPROTOCOL,
    Accept,
    Ack,
    Cancel,
    Capabilities,
    Done,
    Hardware,
    Heartbeat,
    Held,
    Logprob,
    ModelOffer,
    Offer,
    OfferBody,
    Share,
    Standing,
    ToCoordinator,
    Tokens,
    ToWorker,
    Wanted,
    Welcome,
)
from shared.protocol.worker_end import ChallengeReceived, Closed, MessageReceived, Welcomed, WorkerEnd
from shared.receipt import SAMPLER, VERSION, FinishReason, Receipt, share_of, sign_receipt, sign_share
from shared.shares import nothing_of
from shared.text import Deltas, prompt_hash, result_hash
from tests.swarm.letters import Tokeniser, made_of, tokens_in

ROME: Final = "871e8052affffff"
BERLIN: Final = "871f1d489ffffff"
NEW_YORK: Final = "872a1072cffffff"


Script = Callable[["ScriptedWorker", Offer], Awaitable[None]]


async def speak(worker: "ScriptedWorker", offer: Offer) -> None:
    """What an honest worker does: accepts, streams what it has to say in chunks, and signs for it."""
    await worker.send(Accept(offer.body.job_id, offer.body.attempt))
    if offer.body.task != "generate":
        if worker.gate is not None:
            await worker.gate.wait()
        await worker.send(worker.result(offer.body, [], made_of(offer.body)))
        return
    ids, texts = worker.answer(offer.body)
    offset = len(offer.body.resume_ids)
    for start in range(0, len(ids), worker.chunk):
        frame = ids[start : start + worker.chunk], "".join(texts[start : start + worker.chunk])
        told = [Logprob(-1000 * token, [(token, -1000 * token)]) for token in frame[0]]
        logprobs = [] if offer.body.logprobs is None else told if offer.body.logprobs else [Logprob(-1) for _ in told]
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, offset + start, *frame, logprobs))
        if worker.gate is not None:
            await worker.gate.wait()
    await worker.send(worker.result(offer.body, ids, "".join(texts)))


class ScriptedWorker:
    """One connection of one worker. `says` is the whole answer to everything; `gate`, if set, is waited for after each
    frame of tokens; `script` decides what is done with an offer."""

    def __init__(
        self,
        *,
        key: SigningKey | None = None,
        cell: str = ROME,
        model: ModelOffer,
        tokeniser: Tokeniser,
        slots: int = 4,
        says: str = "Hello from a script.",
        chunk: int = 8,
        script: Script = speak,
        gate: asyncio.Event | None = None,
        **capabilities: object,
    ) -> None:
        self.key = key or SigningKey(os.urandom(32))
        self.pk = public_key(self.key)
        self.says, self.chunk, self.script, self.gate = says, chunk, script, gate
        self.capabilities = Capabilities(
            cell=cell,
            slots=slots,
            models=[model],
            hardware=Hardware("script", 1, 1 << 30, 1 << 30, "test"),
            engine_build="scripted-1",
            agent="tests",
        )
        self.capabilities = msgspec.structs.replace(self.capabilities, **capabilities)
        self.tokeniser, self.verifiability = tokeniser, model.verifiability
        self.welcome: Welcome | None = None
        self.closed: Closed | None = None
        self.welcomed, self.gone = asyncio.Event(), asyncio.Event()
        self.offers: asyncio.Queue[Offer] = asyncio.Queue()
        self.acks: asyncio.Queue[Ack] = asyncio.Queue()
        self.cancels: asyncio.Queue[Cancel] = asyncio.Queue()
        self.standings: asyncio.Queue[Standing] = asyncio.Queue()
        self.wanted: asyncio.Queue[Wanted] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: ClientConnection | None = None
        self._end: WorkerEnd | None = None

    @contextlib.asynccontextmanager
    async def connected(
        self, url: str, held: Sequence[Held] = (), *, refused: bool = False
    ) -> AsyncIterator["ScriptedWorker"]:
        """Connects to `ws://…/hive/worker`, is welcomed (or, as told, refused), and stays until the block ends."""
        self.closed, self.welcome = None, None
        self.welcomed.clear()
        self.gone.clear()
        async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=1 << 20) as socket:
            host = urlsplit(url).netloc
            self._socket = socket
            self._end = WorkerEnd(self.key, host, None, now=self.now_ms(), entropy=os.urandom(32))
            living = {asyncio.create_task(self._listen(socket, self._end, list(held)))}
            try:
                await self.welcomed.wait()
                assert (self.welcome is None) is refused, self.closed
                living.add(asyncio.create_task(self._beat()))
                yield self
            finally:
                living |= self._tasks
                for task in living:
                    task.cancel()
                await asyncio.gather(*living, return_exceptions=True)

    def now_ms(self) -> int:
        """This worker's clock, which a test may put wrong."""
        return now_ms()

    @property
    def close_number(self) -> int | None:
        """The code of the websocket's close frame, once `gone`."""
        assert self._socket is not None
        return self._socket.close_code

    async def send(self, message: ToCoordinator) -> None:
        """Says something, if there still is somebody to hear it."""
        assert self._socket is not None
        assert self._end is not None
        with contextlib.suppress(ConnectionClosed):
            for frame in self._end.send(message):
                await self._socket.send(frame)

    async def send_raw(self, data: bytes | str) -> None:
        """Sends what no honest worker would."""
        assert self._socket is not None
        await self._socket.send(data)

    def seal(self, message: ToCoordinator) -> list[bytes]:
        """The frames of a message, for tests that tamper with them."""
        assert self._end is not None
        return self._end.send(message)

    def cut(self) -> None:
        """The connection breaks without a word, as by kill -9."""
        assert self._socket is not None
        self._socket.transport.abort()

    def answer(self, body: OfferBody) -> tuple[list[int], list[str]]:
        """This attempt's own ids and the text that each makes certain: the answer from where the offer resumes."""
        whole = self.tokeniser.tokenise(self.says, special=False)[: body.max_tokens]
        deltas = Deltas(self.tokeniser, body.stop)
        for token in body.resume_ids:
            deltas.push(token)
        ids: list[int] = []
        texts: list[str] = []
        for token in whole[len(body.resume_ids) :]:
            if deltas.stopped:
                break
            ids.append(token)
            texts.append(deltas.push(token))
        if texts:
            texts[-1] += deltas.flush()
        return ids, texts

    def result(self, body: OfferBody, ids: Sequence[int], text: str, **different: object) -> Done:
        """A signed result; `different` changes fields of the receipt before it is signed."""
        full = body.task == "generate" and len(body.resume_ids) + len(ids) >= body.max_tokens
        finish: FinishReason = "length" if full and not any(stop in self.says for stop in body.stop) else "stop"
        head = chain_extend(chain_start(body.job_id, body.attempt), len(body.resume_ids), ids)
        receipt = Receipt(
            version=VERSION,
            job_id=body.job_id,
            attempt=body.attempt,
            model_digest=body.model_digest,
            engine_build="scripted-1",
            sampler=SAMPLER,
            seed_commitment=seed_commitment(body.salt, body.seed),
            prompt_hash=prompt_hash(body),
            result_hash=result_hash(body.salt, text),
            chain_head=head.hex(),
            tokens_in=tokens_in(body, self.tokeniser),
            tokens_out=len(ids),
            finish_reason=finish,
            started_at=self.now_ms() - 20,
            finished_at=self.now_ms(),
            cell=body.cell,
            jurisdictions=list(body.jurisdictions),
            evidence=body.evidence,
            verifiability=self.verifiability,
            geo_digest=body.geo_digest,
            worker_pk=self.pk,
        )
        receipt = msgspec.structs.replace(receipt, **different)
        signature = sign_receipt(self.key, receipt)
        return Done(msgspec.to_builtins(receipt), signature, list(ids), text, prefill_ms=5, decode_ms=10 * len(ids))

    def share(self, body: OfferBody, ids: Sequence[int], **different: object) -> Share:
        """What this worker signs for of an attempt that it lost; `different` changes fields before it is signed."""
        weak = self.verifiability == "weak"
        made = share_of(nothing_of(body, engine_build="scripted-1", weak=weak), ids)
        made = msgspec.structs.replace(made, **different)
        return Share(msgspec.to_builtins(made), sign_share(self.key, made))

    async def _beat(self) -> None:
        """Says now and then that it is there: on a slow machine a test may last for longer than a silent worker does."""
        while self.welcome is not None and not self.gone.is_set():
            await wait_at_most(self.gone, self.welcome.heartbeat_ms / 1000)
            await self.send(Heartbeat(self.capabilities.slots))

    async def _listen(self, socket: ClientConnection, end: WorkerEnd, held: list[Held]) -> None:
        try:
            async for data in socket:
                for event in end.receive(data, self.now_ms()):
                    await self._event(socket, end, event, held)
        except ConnectionClosed:
            pass  # however it ended: `gone` and `closed` tell
        finally:
            self.gone.set()
            self.welcomed.set()

    async def _event(
        self,
        socket: ClientConnection,
        end: WorkerEnd,
        event: ChallengeReceived | Welcomed | MessageReceived | Closed,
        held: list[Held],
    ) -> None:
        match event:
            case ChallengeReceived():
                self.server_pk = event.server_pk
                for frame in end.answer(self.capabilities, held, self.now_ms()):
                    await socket.send(frame)
            case Welcomed():
                self.welcome = event.welcome
                self.welcomed.set()
            case MessageReceived():
                self._heard(event.message)
            case Closed():
                self.closed = event

    def _heard(self, message: ToWorker) -> None:
        match message:
            case Offer():
                assert verifies(self.server_pk, Context.OFFER, msgspec.to_builtins(message.body), message.signature), (
                    "an offer must be signed"
                )
                self.offers.put_nowait(message)
                task = asyncio.create_task(self._run(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Ack():
                self.acks.put_nowait(message)
            case Cancel():
                self.cancels.put_nowait(message)
            case Standing():
                self.standings.put_nowait(message)
            case Wanted():
                self.wanted.put_nowait(message)
            case _:
                pass  # a pong, a drain: nothing to do

    async def _run(self, offer: Offer) -> None:
        await self.script(self, offer)


def now_ms() -> int:
    """This machine's clock in ms."""
    return time.time_ns() // 1_000_000
