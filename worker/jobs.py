"""The attempts of this worker: taken, run, delivered, cancelled, resumed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, assert_never

import structlog
from nacl.signing import SigningKey

from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    Decline,
    Done,
    Failed,
    Held,
    Offer,
    ToCoordinator,
    Unsigned,
    Verdict,
)
from worker.attempt import Attempt
from worker.outbox import Key, Outbox, OutboxFullError
from worker.served import Served
from worker.shares import Shares
from worker.slots import Slots, Terms, refusal

AGAIN_S: Final = 10.0
HELLO_HELD: Final = 64
_LOG: Final = structlog.get_logger("worker.jobs")


class Jobs:
    """Offers in, results out. `say` sends a message and tells whether there was a session to send it in; `changed` is
    called after each change; `clock` gives ms since 1970 UTC; `use` has a model in memory, or tells that it cannot be.
    Attempts run as tasks of `group`."""

    def __init__(
        self,
        served: Mapping[str, Served],
        outbox: Outbox,
        key: SigningKey,
        *,
        slots: int,
        say: Callable[[ToCoordinator], bool],
        changed: Callable[[], None],
        clock: Callable[[], int],
        use: Callable[[str], bool] = lambda _: True,
        shares: Shares | None = None,
    ) -> None:
        self._use, self._shares = use, shares
        self._served, self._outbox, self._key = served, outbox, key
        self._say, self._changed, self._clock = say, changed, clock
        self._running: dict[Key, tuple[Attempt, asyncio.Task[None]]] = {}
        self._unsaid: list[Failed] = []
        self._sent: dict[Key, float] = {}
        self._unable: set[Key] = set()
        self.slots = Slots(slots)
        self.done = self.tokens = 0

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each model that is served, by id."""
        return {name: served.model.digest for name, served in self._served.items()}

    @property
    def models(self) -> set[str]:
        """The models that running attempts need, from the moment that their offers were accepted."""
        return {attempt.offer.model_id for attempt, _ in self._running.values()}

    @property
    def waiting(self) -> int:
        """How many results are not acknowledged yet."""
        return len(self._outbox.keys())

    @property
    def room(self) -> bool:
        """Whether another result could be kept."""
        return not self._outbox.full

    def running(self) -> list[Held]:
        """The attempts that run, as a heartbeat lists them."""
        return [attempt.held() for attempt, _ in self._running.values()]

    def held(self) -> list[Held]:
        """The attempts that a hello lists: those that run, then the oldest results, 64 at most."""
        return [*self.running(), *self._outbox.held()][:HELLO_HELD]

    def offered(self, offer: Offer, terms: Terms, group: asyncio.TaskGroup) -> None:
        """Takes the offer or declines it."""
        body = offer.body
        reason = refusal(offer, self.slots, terms)
        if reason is None and not self._use(body.model_id):
            reason = "this model cannot be had now"
        if reason is not None:
            _LOG.info("declined", job=body.job_id, attempt=body.attempt, reason=reason)
            self._say(Decline(body.job_id, body.attempt, reason))
            return
        keep = None if self._shares is None else self._shares.begin
        attempt = Attempt(body, self._key, say=self._say, clock=self._clock, keep=keep)
        self.slots = self.slots.with_attempt(attempt.key)
        self._say(Accept(body.job_id, body.attempt))
        task = group.create_task(self._work(attempt, self._served[body.model_id]))
        task.add_done_callback(lambda _: self._over(attempt.key))
        self._running[attempt.key] = (attempt, task)
        self._changed()

    def cancel(self, message: Cancel) -> None:
        """Stops an attempt; nothing more is said of it."""
        self._drop((message.job_id, message.attempt))

    def cancel_all(self) -> None:
        """Stops every attempt."""
        for key in list(self._running):
            self._drop(key)

    def cut(self, reason: str) -> None:
        """Gives up every attempt, each as a failure after which another worker may go on."""
        for (job_id, number), (_, task) in list(self._running.items()):
            if task.cancel():
                self._tell_failure(
                    Failed(job_id, number, "paused", f"the machine's owner needs it: {reason}"[:200], True)
                )

    def acknowledged(self, ack: Ack) -> None:
        """Forgets a result, or a share, that the coordinator has dealt with. Of an attempt whose result came too late a share may
        be asked for yet."""
        key = (ack.job_id, ack.attempt)
        self._sent.pop(key, None)
        if self._shares is not None and ack.verdict != "late":
            self._shares.remove(key)
        if self._outbox.remove(key) and ack.verdict != "accepted":
            _LOG.warning("result_not_paid", job=key[0], attempt=key[1], verdict=ack.verdict, reason=ack.reason)
        self._changed()

    def resumed(self, verdicts: list[Verdict]) -> None:
        """A session is open again: does what was decided about each held attempt, and says what could not be said."""
        self._sent.clear()
        for verdict in verdicts:
            self._resume((verdict.job_id, verdict.attempt), verdict)
        unsaid, self._unsaid = self._unsaid, []
        for failed in unsaid:
            self._tell_failure(failed)

    def deliver(self, now: float) -> None:
        """Sends again what was not acknowledged for 10 s: the other side may have failed to keep it. `now` is the
        event loop's time."""
        for key in self._outbox.keys()[:HELLO_HELD]:
            if now - self._sent.get(key, now - AGAIN_S) >= AGAIN_S:
                self._send(key, now)

    async def sign(self, asked: list[Unsigned]) -> None:
        """Signs for those shares of lost attempts whose tokens were made here, and sends them."""
        for one in asked:
            key = (one.job_id, one.attempt)
            if self._shares is None or key in self._unable:
                continue
            share = await asyncio.to_thread(self._shares.signed, one, self._key)
            if share is None:
                self._unable.add(key)
                _LOG.warning("share_not_signed", job=key[0], attempt=key[1], reason="its tokens are not here")
            elif self._say(share):
                _LOG.info("share_signed", job=key[0], attempt=key[1], tokens=one.tokens)

    async def _work(self, attempt: Attempt, served: Served) -> None:
        """Runs an attempt to its end; a result is on disk before it is sent and before the slot is free."""
        result = await attempt.run(served.engine)
        job_id, number = attempt.key
        match result:
            case Done():
                await self._finished(attempt.key, result)
            case Failed():
                self._tell_failure(result)
                _LOG.warning("failed", job=job_id, attempt=number, code=result.code)
            case _:
                assert_never(result)

    async def _finished(self, key: Key, result: Done) -> None:
        """Keeps and sends a result; one that cannot be kept is given up, for it could be lost, or said twice."""
        job_id, number = key
        try:
            await asyncio.to_thread(self._outbox.put, result)
        except (OSError, OutboxFullError) as error:
            _LOG.error("result_not_kept", job=job_id, attempt=number, reason=str(error))
            self._tell_failure(Failed(job_id, number, "outbox", "the result could not be kept on disk", True))
            return
        self.done += 1
        self.tokens += len(result.ids)
        self._send(key, asyncio.get_running_loop().time())
        _LOG.info("done", job=job_id, attempt=number, tokens=len(result.ids), decode_ms=result.decode_ms)

    def _resume(self, key: Key, verdict: Verdict) -> None:
        match verdict.verdict:
            case "abandon":
                self._drop(key)
                self._outbox.remove(key)
            case "continue" | "deliver":
                if key in self._running:
                    for frame in self._running[key][0].frames:
                        self._say(frame)
                else:
                    self._send(key, asyncio.get_running_loop().time())
            case _:
                assert_never(verdict.verdict)

    def _send(self, key: Key, now: float) -> None:
        done = self._outbox.get(key)
        if done is not None and self._say(done):
            self._sent[key] = now

    def _tell_failure(self, failed: Failed) -> None:
        if not self._say(failed):
            self._unsaid.append(failed)

    def _drop(self, key: Key) -> None:
        if key in self._running:
            _LOG.info("stopped", job=key[0], attempt=key[1])
            self._running[key][1].cancel()

    def _over(self, key: Key) -> None:
        self.slots = self.slots.without(key)
        self._running.pop(key, None)
        self._changed()
