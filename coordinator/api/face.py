"""What the routes share: the coordinator behind them, the lookups that they all need."""

from typing import Any, Final
from uuid import UUID

from litestar.connection import ASGIConnection

from coordinator.api.auth import KeyDesk
from coordinator.api.counting import Counting
from coordinator.api.family import read_family
from coordinator.api.hive import Hive, HttpRequest
from coordinator.api.intake import Intake
from coordinator.api.swarm import Swarm
from coordinator.api.waiting import Waiting
from coordinator.guard.gate import HEADER, NONE, Gate, admit, installed
from coordinator.guard.texts import texts_of
from coordinator.outside.addresses import allowed
from coordinator.outside.http import Outside
from coordinator.queue.lifecycle import TERMINAL
from coordinator.queue.limits import KEPT
from coordinator.store import cached, receipts, views
from coordinator.store.engine import alone
from coordinator.store.rows import JobView
from coordinator.submit.request import Submission
from shared.catalogue import named
from shared.errors import NotFound
from shared.geo.jurisdiction import checked_groups

FACE: Final = "hive.face"
"""Under this name each request's scope has the face that it is for."""

Connecting = ASGIConnection[Any, Any, Any, Any]


class Face:
    """The HTTP face of one coordinator."""

    def __init__(self, hive: Hive) -> None:
        self.hive = hive
        self.groups = checked_groups(hive.settings.groups)
        self.keys = KeyDesk(hive)
        self.outside = Outside(allowed(hive.settings.callback_allow))
        self.intake = Intake(hive, self.outside)
        self.swarm = Swarm(hive)
        self.waiting = Waiting(hive)
        self.counting = Counting(hive)
        self.gate = Gate(installed(), hive.settings.guards)

    async def admit(self, request: HttpRequest, asked: Submission) -> None:
        """Lets a request through, or raises what `admit_with` raises."""
        await self.admit_with(request.headers.get(HEADER), asked)

    async def admit_with(self, header: str | None, asked: Submission) -> None:
        """Returns once the guards that this header chooses, or the operator's, have let what is asked through; raises
        Forbidden `blocked_by_guardrail`, or RequestError for a guard that is not known. What a guard model is to judge is not
        kept from it, unless the header wants that."""
        entry = named(self.hive.catalogue, asked.request.model)
        judged = entry is not None and entry.guard
        guards = self.gate.chosen(NONE if judged and header is None else header)
        if guards:
            await admit(guards, texts_of(asked.requests))

    async def answered(self, account_id: UUID, cache_key: bytes) -> tuple[JobView, tuple[str, ...]] | None:
        """The completed job whose answer may be given again to this account's request of that key, and the countries in
        which it was made; None if there is none, or its text is gone."""
        async with alone(self.hive.engine) as conn:
            job_id = await cached.find(conn, account_id, cache_key, self.hive.clock() - KEPT)
            view = None if job_id is None else await views.get_job(conn, job_id)
            if view is None or view.result_text is None:
                return None
            signed = await receipts.get_receipt(conn, view.id)
        return view, () if signed is None else tuple(signed.receipt.jurisdictions)

    async def job(self, job_id: UUID, account_id: UUID) -> JobView:
        """An account's job, or parent of jobs; raises NotFound if there is none, or it is another's."""
        return (await self.family(job_id, account_id))[0]

    async def family(self, job_id: UUID, account_id: UUID) -> tuple[JobView, list[JobView]]:
        """An account's job with its children, none for most; raises NotFound if there is none, or it is another's."""
        view, children = await read_family(self.hive.engine, job_id)
        if view is None or view.account_id != account_id:
            raise NotFound(f"There is no job {job_id}.")
        return view, children

    def tell_if_ended(self, view: JobView) -> None:
        """A reader that was opened for a job which had ended already is told so: nobody else will."""
        if view.status in TERMINAL:
            self.hive.relay.end(view)


def face_of(connection: Connecting) -> Face:
    """The face that a request, or a worker's connection, is for."""
    face = connection.scope.get(FACE)
    assert isinstance(face, Face)
    return face
