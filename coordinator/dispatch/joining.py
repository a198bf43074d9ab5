"""A worker has proven its key: may it join, and as what?"""

from ipaddress import ip_address
from typing import Final

import msgspec

from coordinator.dispatch import register, resume
from coordinator.dispatch.admission import CLAIMED, Refusal, facts_of, fault_of, known_offers, place_of, public_of
from coordinator.dispatch.session import Session
from coordinator.dispatch.state import Dispatch
from coordinator.store import workers
from coordinator.store.engine import Away
from coordinator.store.quick import quick
from coordinator.store.rows import WorkerRow
from shared.protocol.closing import Closed, closed
from shared.protocol.coordinator_end import CoordinatorEnd
from shared.protocol.messages import CloseCode, Verdict, WorkerHello

MAX_HELD: Final = 256

Admitted = tuple[Session, list[Verdict]]


async def admit(d: Dispatch, end: CoordinatorEnd, hello: WorkerHello) -> Admitted | Closed:
    """A session for this worker with the verdicts on what it holds, or why it may not join."""
    said = hello.capabilities
    place = place_of(said)
    fault = place if isinstance(place, Refusal) else fault_of(said)
    if isinstance(place, Refusal) or fault is not None:
        return closed(CloseCode.PROTOCOL, fault.reason if fault else "")
    try:
        row = await _registered(d, hello, place.cell, sorted(place.countries))
        if row.state in ("suspended", "revoked"):
            return closed(CloseCode.REVOKED, f"this worker is {row.state}")
        facts = facts_of(row.pk, place, said, tier=row.tier, evidence=CLAIMED, catalogue=d.catalogue, owner=row.owner)
        session = Session(end, facts, public_of(facts, row.handle), d.now_ms(), row.session)
        held = await resume.verdicts(d, session, hello.resume[:MAX_HELD], d.now_ms())
    except Away:
        return closed(CloseCode.OVERLOAD, "the coordinator's database is away; try again in a moment")
    return session, held


def is_ours(host: str, public_host: str) -> bool:
    """Whether a worker may be answered that dialled `host`: the coordinator's public name, or a loopback address.

    The challenge is signed for the host, so answering for any name would let another host pass it on as its own.
    """
    name = host.rsplit(":", 1)[0].strip("[]").lower() if host.count(":") == 1 or "]" in host else host.lower()
    if host == public_host or (name == public_host.lower() and bool(name)) or name == "localhost":
        return bool(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


async def _registered(d: Dispatch, hello: WorkerHello, cell: int, countries: list[str]) -> WorkerRow:
    said, now = hello.capabilities, d.clock()
    await register.see_models(d, known_offers(said.models, d.catalogue))
    async with d.joins, quick(d.engine) as conn:
        return await workers.upsert_worker(
            conn,
            pk=hello.worker_pk,
            handle=said.handle,
            cell=cell,
            evidence=CLAIMED,
            capabilities=msgspec.json.encode(said),
            countries=countries,
            now=now,
            coordinator=d.name,
        )
