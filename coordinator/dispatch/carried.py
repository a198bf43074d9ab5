"""What earlier attempts made of a job: the next one goes on from it at whichever coordinator, for it is carried in the row."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from coordinator.dispatch.offer import request_of
from coordinator.store import adrift
from coordinator.store.engine import alone
from coordinator.store.rows import Claimed
from shared.text import Deltas

if TYPE_CHECKING:
    from coordinator.dispatch.state import Dispatch

_IDS: Final = msgspec.msgpack.Decoder(list[int])


def packed(ids: list[int]) -> bytes | None:
    """Ids as a row holds them; None for none."""
    return msgspec.msgpack.encode(ids) if ids else None


def known(d: "Dispatch", job: Claimed) -> list[int]:
    """The tokens from which the job's next attempt goes on: those that were relayed here, or the row's if they go further."""
    relayed = d.relay.ids_of(job.id)
    carried = _IDS.decode(job.made) if job.made else []
    return carried if carried[: len(relayed)] == relayed else relayed


def take(d: "Dispatch", job: Claimed) -> list[int]:
    """The same; the log here has them afterwards, for its readers and for the check of the result."""
    ids = known(d, job)
    if len(ids) > len(d.relay.ids_of(job.id)):
        request = request_of(job)
        deltas = Deltas(d.vocabularies[request.model], request.stop)
        d.relay.carry(job.id, ids, "".join(map(deltas.push, ids)))
    return ids


def words(d: "Dispatch", job_ids: Iterable[UUID]) -> dict[UUID, tuple[int, bytes]]:
    """The ids that went out of those of these jobs of which any did, as a row holds them, and the attempt up to which."""
    logs = (log for id_ in job_ids if (log := d.relay.known(id_)) is not None)
    return {log.job_id: (log.attempt, made) for log in logs if (made := packed(log.ids)) is not None}


async def hand_on(d: "Dispatch", job_ids: Iterable[UUID]) -> None:
    """Of these jobs, whose workers were lost with their coordinators, whoever takes them next goes on from what was heard here:
    it is written into their rows, and they wait no longer. Raises Away."""
    if heard := words(d, job_ids):
        async with alone(d.engine) as conn:
            d.hub.wake_ids(await adrift.hand_on(conn, heard, d.clock()))
