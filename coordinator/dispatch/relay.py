"""From workers to readers: every job's log, who reads it, and what happens when the last reader leaves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from uuid import UUID

import msgspec

from coordinator.dispatch.between import Said
from coordinator.dispatch.channel import Channel, Ended, JobEvent, Status, Token, WorkerPublic
from coordinator.dispatch.followers import Followers
from coordinator.dispatch.mirror import Mirror
from coordinator.queue.lifecycle import State
from coordinator.settle.partial import Made
from coordinator.store.rows import JobView
from shared.errors import Unavailable
from shared.protocol.messages import Logprob

__all__ = ["Ended", "GoingAway", "JobEvent", "Reader", "Relay", "Status", "Token", "WorkerPublic"]


class GoingAway(Unavailable):
    """This coordinator stops: the job goes on or is cancelled, but nobody tells of it here any more."""

    code = "restarting"


class Reader:
    """One reader of a job's events, from the first on; ends after `Ended`, or raises GoingAway once the relay has stopped."""

    def __init__(self, relay: "Relay", channel: Channel, *, attached: bool) -> None:
        self.job_id = channel.job_id
        self.attached = attached
        self.position = 0
        self.news = asyncio.Event()
        self._relay = relay
        self._channel = channel

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> JobEvent:
        while (event := self.next_event()) is None:
            if self.ended:
                raise StopAsyncIteration
            self.check()
            self.news.clear()
            await self.news.wait()
        return event

    @property
    def ended(self) -> bool:
        """Whether the job's last event is there."""
        return self._channel.ended

    @property
    def ids(self) -> list[int]:
        """The tokens that were relayed so far."""
        return self._channel.ids

    def check(self) -> None:
        """Raises GoingAway once the relay has stopped."""
        if self._relay.stopped:
            raise GoingAway("The coordinator restarts; ask again in a moment.", retry_after_s=1)

    def next_event(self) -> JobEvent | None:
        """The next event if it is there already, without waiting."""
        if self.position >= len(self._channel.events):
            return None
        event = self._channel.events[self.position]
        self.position += 1
        self._relay.was_read(self.job_id, self.position)
        return event

    def close(self) -> None:
        """Stops reading; where the last attached reader of an unfinished job leaves, the job is cancelled."""
        self._relay.leave(self)


class Relay:
    """The logs of all jobs that are read or computed here. All of it runs on the event loop's thread. `followers` read them
    at other coordinators: `changed` is called when the log of such a job has grown."""

    def __init__(
        self, cancel: Callable[[UUID, str], Awaitable[bool]], changed: Callable[[UUID], None] | None = None
    ) -> None:
        self._cancel = cancel
        self._changed = changed
        self._numbers = count(1)
        self._channels: dict[UUID, Channel] = {}
        self._mirrors: dict[UUID, Mirror] = {}
        self._opened: set[UUID] = set()
        self.followers = Followers()
        self._readers: dict[UUID, set[Reader]] = {}
        self._read: dict[UUID, int] = {}
        self._abandoned: dict[UUID, int] = {}
        self.abandoned = asyncio.Event()
        self.stopped = False

    def stop(self) -> None:
        """Sends every reader away."""
        self.stopped = True
        for job_id in self._readers:
            self._tell(job_id)

    def open(self, job_id: UUID, *, attached: bool) -> Reader:
        """A reader of this job; open it before the job is submitted, or look into the database afterwards: what ended
        before is not told again. Close it when reading ends, however it ends."""
        reader = Reader(self, self.channel(job_id), attached=attached)
        self._readers.setdefault(job_id, set()).add(reader)
        self._opened.add(job_id)
        return reader

    def take_opened(self) -> set[UUID]:
        """The jobs that somebody began to read since this was last asked."""
        opened, self._opened = self._opened, set()
        return opened

    async def cancel(self, job_id: UUID, reason: str) -> bool:
        """Cancels a job, frees its slot and tells its readers; False if it had ended, or never was. Raises Away."""
        return await self._cancel(job_id, reason)

    def leave(self, reader: Reader) -> None:
        """See `Reader.close`."""
        readers = self._readers.get(reader.job_id, set())
        if reader not in readers:
            return
        readers.discard(reader)
        if reader.attached and not self.is_attached(reader.job_id) and not self.channel(reader.job_id).ended:
            self.abandon(reader.job_id)
        if not readers:
            del self._readers[reader.job_id]
            self._tidy(reader.job_id)

    def abandon(self, job_id: UUID, tries: int = 0) -> None:
        """Nobody wants this job any more; `tries` counts how often it was not there to be cancelled."""
        self._abandoned[job_id] = tries
        self.abandoned.set()

    def take_abandoned(self) -> dict[UUID, int]:
        """The jobs to cancel since this was last asked, each with its tries."""
        left, self._abandoned = self._abandoned, {}
        self.abandoned.clear()
        return left

    def is_read(self, job_id: UUID) -> bool:
        """Whether anybody reads this job now."""
        return job_id in self._readers

    def is_wanted(self, job_id: UUID) -> bool:
        """The same, here or at another coordinator."""
        return self.is_read(job_id) or job_id in self.followers

    def is_attached(self, job_id: UUID) -> bool:
        """Whether somebody reads this job for whom it is done."""
        return any(reader.attached for reader in self._readers.get(job_id, ()))

    def followed(self) -> tuple[list[UUID], list[UUID]]:
        """The jobs that are read now: those with an attached reader, and the others."""
        attached = [job_id for job_id in self._readers if self.is_attached(job_id)]
        return attached, [job_id for job_id in self._readers if not self.is_attached(job_id)]

    def awaited(self) -> list[UUID]:
        """The jobs that have not ended and that somebody waits for here for whom they are done."""
        return [job_id for job_id in self._readers if self.is_attached(job_id) and not self._channels[job_id].ended]

    def unread(self) -> list[UUID]:
        """The jobs whose logs are kept though nobody reads them now."""
        return [job_id for job_id in self._channels if job_id not in self._readers]

    def was_read(self, job_id: UUID, position: int) -> None:
        """Somebody has read the job's events up to this position."""
        self._read[job_id] = max(self._read.get(job_id, 0), position)

    def channel(self, job_id: UUID) -> Channel:
        """The job's log, made if it is new."""
        if job_id not in self._channels:
            self._channels[job_id] = Channel(job_id, next(self._numbers))
        return self._channels[job_id]

    def known(self, job_id: UUID) -> Channel | None:
        """The job's log, if there is one here."""
        return self._channels.get(job_id)

    def mirror(self, job_id: UUID) -> Mirror | None:
        """What was heard of the job from another coordinator, if the log here comes from there."""
        return self._mirrors.get(job_id)

    def hear(self, said: Said) -> bool:
        """Takes what another coordinator says of a job that is read here; whether it has to be asked for what came before,
        which was not missing until now."""
        channel = self.channel(said.job)
        mirror = self._mirrors.setdefault(said.job, Mirror(channel))
        known, lacked = len(channel.events), mirror.lacks
        mirror.hear(said)
        if len(channel.events) > known:
            self._tell(said.job)
        return mirror.lacks and not lacked

    def ids_of(self, job_id: UUID) -> list[int]:
        """The ids that were relayed of the job so far."""
        return list(self._channels[job_id].ids) if job_id in self._channels else []

    def carry(self, job_id: UUID, ids: Sequence[int], text: str) -> None:
        """All that earlier attempts made of a job, at whichever coordinator: what of it is not in the log here follows."""
        channel = self.channel(job_id)
        channel.append(ids[len(channel.ids) :], text[channel.chars :])
        self._tell(job_id)

    def made(self, job_ids: Iterable[UUID]) -> dict[UUID, Made]:
        """What was made so far of those of these jobs that are computed here, or heard of from where they are."""
        known = [id_ for id_ in job_ids if id_ in self._channels and self._channels[id_].attempt]
        return {id_: self._made(id_) for id_ in known}

    def _made(self, job_id: UUID) -> Made:
        return msgspec.structs.replace(self._channels[job_id].made, hearsay=job_id in self._mirrors)

    def assigned(self, job_id: UUID, attempt: int, worker: WorkerPublic, held: int = 0) -> None:
        """An attempt begins here (see `Channel.assigned`)."""
        self._mirrors.pop(job_id, None)
        self.channel(job_id).assigned(attempt, worker, held)
        self._tell(job_id)

    def status(self, job_id: UUID, state: State, worker: WorkerPublic | None = None) -> None:
        """The job is in this state now."""
        self.channel(job_id).status(state, worker)
        self._tell(job_id)

    def tokens(
        self, job_id: UUID, attempt: int, offset: int, ids: Sequence[int], text: str, logprobs: Sequence[Logprob] = ()
    ) -> bool:
        """Takes a worker's frame; whether it brought anything new (see `Channel.tokens`)."""
        fresh = self.channel(job_id).tokens(attempt, offset, ids, text, logprobs)
        if fresh:
            self._tell(job_id)
        return fresh

    def complete(self, job_id: UUID, ids: Sequence[int], text: str) -> None:
        """Brings what of a checked result was not relayed yet."""
        self.channel(job_id).complete(ids, text)
        self._tell(job_id)

    def rewind(self, job_id: UUID) -> bool:
        """Takes back what the current attempt sent; False if somebody has read of it."""
        return self.channel(job_id).rewind(self._read.get(job_id, 0))

    def end(self, view: JobView) -> None:
        """The job has ended, in the database too: its readers are told, and its log is kept for them alone."""
        if view.id in self._channels:
            self._channels[view.id].end(view)
            self._tell(view.id)
            self._tidy(view.id)

    def forget(self, job_ids: Iterable[UUID]) -> None:
        """These jobs are no longer computed here: their logs go, unless somebody reads them."""
        for job_id in job_ids:
            if job_id not in self._readers:
                self._channels.pop(job_id, None)
                self._mirrors.pop(job_id, None)
                self._read.pop(job_id, None)

    def _tell(self, job_id: UUID) -> None:
        for reader in self._readers.get(job_id, ()):
            reader.news.set()
        if self._changed is not None and job_id in self.followers:
            self._changed(job_id)

    def _tidy(self, job_id: UUID) -> None:
        channel = self._channels.get(job_id)
        if channel is not None and (channel.ended or channel.attempt == 0 or job_id in self._mirrors):
            self.forget([job_id])
