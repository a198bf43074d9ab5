"""Who is there: live sessions, registered workers, which kinds of jobs wait, and how they fit each other."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec

from coordinator.dispatch.attempts import Attempts
from coordinator.dispatch.elsewhere import Elsewhere
from coordinator.dispatch.session import Session
from coordinator.match.counts import Counts, counted
from coordinator.match.free import Free
from coordinator.match.roster import Fits, Roster
from coordinator.match.rules import Reason, WorkerFacts, why_not
from coordinator.match.score import Bench, fit
from coordinator.match.served import Served
from coordinator.queue.floors import Floors
from coordinator.queue.order import Order
from coordinator.store.rows import Kind, KindSpec, NewJob
from shared.protocol.messages import CloseCode

MAX_CACHED_KINDS: Final = 4096
MANY_KINDS: Final = 64
MAX_MISSED: Final = 100
MISSED_MS: Final = 60_000


class Hub:
    """The live state of one coordinator, on the event loop's thread. The register does not know yet of those that `left`,
    with the sessions of these numbers."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.served = Served()
        self.elsewhere = Elsewhere()
        self.attempts = Attempts()
        self.order, self.floors = Order(), Floors()
        self.work = asyncio.Event()
        self.arrived = asyncio.Event()
        self.left: dict[str, int] = {}
        self._missed: dict[KindSpec, int] = {}
        self._registered: dict[str, WorkerFacts] = {}
        self._owners: set[UUID] = set()
        self._struck: set[str] = set()
        self._kinds: dict[int, Kind] = {}
        self._news: set[int] = set()
        self._fresh: list[NewJob] = []
        self._roster, self._free, self._at, self._room = Roster(), Free(self._takes), 0, MAX_CACHED_KINDS

    def join(self, session: Session) -> None:
        """A welcomed worker; a session that it had before is superseded."""
        older = self.sessions.get(session.pk)
        if older is not None:
            older.close(CloseCode.SUPERSEDED, "the same worker connected again")
        self.sessions[session.pk] = session
        self._struck.discard(session.pk)
        self.left.pop(session.pk, None)
        self.changed(session, session.facts)
        self.arrived.set()

    def leave(self, session: Session) -> bool:
        """The session is over; whether it was the worker's current one."""
        if self.sessions.get(session.pk) is not session:
            return False
        del self.sessions[session.pk]
        self.left[session.pk] = session.number
        self.served.drop(session.pk)
        self._roster.drop(session.pk)
        self.attempts.moved.add(session.pk)
        return True

    def changed(self, session: Session, facts: WorkerFacts) -> None:
        """The worker's facts are these from now on."""
        facts = facts if facts.record == session.record else msgspec.structs.replace(facts, record=session.record)
        session.facts = self._registered[facts.pk] = facts
        if self.sessions.get(facts.pk) is session:
            self.served.put(facts)
            self._roster.put(facts)
            self.attempts.moved.add(facts.pk)
        if facts.owner is not None:
            self._owners.add(facts.owner)
        self.work.set()

    def register(self, workers: Iterable[WorkerFacts], elsewhere: Collection[str] = (), now: int = 0) -> None:
        """The workers seen within 24 h, as the database had them at `now` (ms), and which of them are online `elsewhere`;
        what happened here is known better, but for whose a worker is."""
        known = {worker.pk: worker for worker in workers if worker.pk not in self._struck}
        for pk in self.sessions.keys() & known.keys():
            self.own(pk, known[pk].owner)
        gone = {pk: facts for pk in self.left.keys() - self._struck if (facts := self._registered.get(pk)) is not None}
        self._registered = gone | known | {pk: session.facts for pk, session in self.sessions.items()}
        self._owners = {worker.owner for worker in self._registered.values() if worker.owner is not None}
        away = {pk: known[pk] for pk in known.keys() & elsewhere if pk not in self.sessions}
        self.gone_elsewhere(self.elsewhere.workers.keys() - away.keys())
        self.elsewhere.put(away, now)
        for facts in away.values():
            self.served.put(facts)

    def gone_elsewhere(self, pks: Iterable[str]) -> None:
        """These workers are not at other coordinators any more."""
        for pk in self.elsewhere.drop(pks) - self.sessions.keys():
            self.served.drop(pk)

    @property
    def online(self) -> int:
        """How many workers are online, here or elsewhere."""
        return len(self.sessions) + sum(pk not in self.sessions for pk in self.elsewhere.workers)

    def own(self, pk: str, owner: UUID | None) -> None:
        """The worker belongs to this account from now on, or to none."""
        session = self.sessions.get(pk)
        if session is not None and session.facts.owner != owner:
            self.changed(session, msgspec.structs.replace(session.facts, owner=owner))
        elif pk in self._registered:
            self._registered[pk] = msgspec.structs.replace(self._registered[pk], owner=owner)
            self._owners |= set() if owner is None else {owner}

    def owns(self, account_id: UUID) -> bool:
        """Whether a worker that was seen within 24 h is linked to this account, as far as this coordinator knows."""
        return account_id in self._owners

    def facts_of(self, pk: str) -> WorkerFacts | None:
        """What is known of a worker that was seen within 24 h."""
        return self._registered.get(pk)

    def strike_off(self, pk: str) -> None:
        """The worker has left for good, unless it joins again."""
        self._registered.pop(pk, None)
        self._struck.add(pk)

    def session_of(self, pk: str) -> Session | None:
        """The worker's live session."""
        return self.sessions.get(pk)

    def wake(self, kind: Kind | None = None) -> None:
        """A job of this kind was committed (None: of some kind known here): the next round looks for it, at once."""
        if kind is None:
            self.still_waiting(self._kinds)
        else:
            self._know(kind)
            self.floors.again([kind.id])
            self.floors.waits(kind.id, kind.model)
        self.work.set()

    def seen(self, first: Mapping[int, int], kinds: Iterable[Kind]) -> None:
        """A look found the first ready jobs of these kinds there, and of no others any."""
        self.floors.seen(first)
        for kind in kinds:
            self._know(kind)
            self.floors.waits(kind.id, kind.model)
        self.work.set()

    def submitted(self, kind: Kind, job: NewJob) -> None:
        """This job was committed here a moment ago: the next round gives it away without a look, at once; that of a key with
        a cap may be parked, so it is looked for."""
        self._know(kind)
        self._news.add(kind.id)
        self.floors.put(kind.id, job.tag)
        if job.limits.at_once is None:
            self._fresh.append(job)
        else:
            self.floors.waits(kind.id, kind.model)
        self.work.set()

    def wake_ids(self, kind_ids: Iterable[int]) -> None:
        """Jobs of these kinds wait, again or for the first time; the next round looks for those that are known here."""
        if known := self._kinds.keys() & kind_ids:
            self._news |= known
            self.floors.again(known)
            self.still_waiting(known)
            self.work.set()

    def take_fresh(self) -> list[NewJob]:
        """For one round, the new jobs before which none of their kind is known to wait, in their order."""
        fresh, self._fresh = self._fresh, []
        self.work.clear()
        return sorted((job for job in fresh if job.kind_id not in self.floors.line), key=lambda job: job.tag)

    def take_unserved(self) -> list[Kind]:
        """The kinds of jobs that came here, or came back, since this was last asked and may wait yet: others might do them."""
        unserved, self._news = {kind_id for kind_id in self._news if kind_id in self.floors.line}, set()
        return [self._kinds[kind_id] for kind_id in unserved]

    def waits(self) -> bool:
        """Whether a job may be pending of some kind that is known here."""
        return len(self.floors.line) > 0

    def miss(self, spec: KindSpec, now: int) -> None:
        """A request for a job of this kind was refused at `now` (ms), for nobody may do it."""
        if spec in self._missed or len(self._missed) < MAX_MISSED:
            self._missed[spec] = now

    def missed(self, now: int) -> list[KindSpec]:
        """What was refused within the last minute."""
        self._missed = {spec: at for spec, at in self._missed.items() if now - at < MISSED_MS}
        return list(self._missed)

    def still_waiting(self, kind_ids: Iterable[int]) -> None:
        """These kinds may have pending jobs yet, but nothing is there to be done about it now."""
        for kind_id in kind_ids:
            if kind_id in self._kinds:
                self.floors.waits(kind_id, self._kinds[kind_id].model)

    def fits(self, kind_id: int) -> Fits:
        """The workers online that may do the jobs of a kind; nobody for a kind that is not known here."""
        kind = self._kinds.get(kind_id)
        return Fits() if kind is None else self._roster.fits(kind)

    def free(self, now: int) -> Free:
        """The workers that have a free slot at `now` (ms), until the next change."""
        self._at, moved = now, self.attempts.moved
        while moved:
            session = self.sessions.get(pk := moved.pop())
            if session is None:
                self._free.drop(pk)
            else:
                bench = Bench(session.facts.slots, self.attempts.taken(pk), session.last_job_at)
                self._free.put(pk, bench, session.facts.models)
        return self._free

    def awaited(self, pk: str) -> bool:
        """Whether a job may wait that this worker may do; many that wait are not asked one by one."""
        facts = self.sessions[pk].facts
        for model in facts.models:
            for n, kind_id in enumerate(self.floors.line.of_model(model)):
                if n == MANY_KINDS or pk in self.fits(kind_id).workers:
                    return True
        return False

    def anyone(self, kind: Kind) -> bool:
        """Whether some worker online, here or elsewhere, may do jobs of this kind; the rules run once per pair."""
        self._know(kind)
        return bool(self._roster.fits(kind).workers) or self.elsewhere.takes(kind)

    def may(self, kind_id: int, facts: WorkerFacts) -> bool:
        """Whether a worker of these facts may be offered a job of this kind at all, now or later; no for a kind that is
        not known here."""
        kind = self._kinds.get(kind_id)
        return kind is not None and fit(facts, kind) is not None

    def benches(self, now: int) -> dict[str, Bench]:
        """Every online worker's slots; one that rests (it declined a moment ago) has none free."""
        return {pk: self._bench(session, now) for pk, session in self.sessions.items()}

    def free_slots(self, pk: str, now: int) -> int:
        """How many more jobs an online worker could get at `now` (ms)."""
        session = self.sessions.get(pk)
        bench = None if session is None else self._bench(session, now)
        return 0 if bench is None else max(0, bench.slots - bench.taken)

    def counts(self, kind: Kind | KindSpec, now: int = 0) -> Counts:
        """How many workers pass each rule; with `now` (ms) given, a worker that rests is not free, and one that is elsewhere
        is not known to be."""
        here = {pk: why_not(session.facts, kind) for pk, session in self.sessions.items()}
        away = [why_not(facts, kind) for pk, facts in self.elsewhere.workers.items() if pk not in here]
        free = sum(not isinstance(verdict, Reason) and self.free_slots(pk, now) > 0 for pk, verdict in here.items())
        possible = sum(not isinstance(why_not(facts, kind), Reason) for facts in self._registered.values())
        registered = len(self._registered)
        return counted([*here.values(), *away], registered=registered, free=free, possible=possible)

    def _bench(self, session: Session, now: int) -> Bench:
        slots = session.facts.slots
        taken = slots if session.closing or session.rests_until > now else self.attempts.taken(session.pk)
        return Bench(slots, taken, session.last_job_at)

    def _takes(self, pk: str) -> bool:
        """Whether a worker may get jobs at all now: it does not while it rests, or while its session ends."""
        session = self.sessions.get(pk)
        return session is not None and not session.closing and session.rests_until <= self._at

    def _know(self, kind: Kind) -> None:
        if kind.id not in self._kinds:
            if len(self._kinds) >= self._room:
                self._forget_idle_kinds()
            self._kinds[kind.id] = kind

    def _forget_idle_kinds(self) -> None:
        """Where most of them wait there is room for more from now on, or each new one would go through all of them."""
        needed = self.floors.line.kind_ids | {job.kind_id for job in self._fresh}
        self._kinds = {kind_id: kind for kind_id, kind in self._kinds.items() if kind_id in needed}
        self._roster.forget(needed)
        self._room = max(MAX_CACHED_KINDS, 2 * len(self._kinds))
