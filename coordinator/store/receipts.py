"""Signed receipts of completed attempts."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from coordinator.store.rows import Result
from shared.ids import day_of
from shared.receipt import Receipt, Signatures, SignedReceipt

_rows = Batch(
    "r", day="date", job_id="uuid", attempt="integer", receipt="bytea", worker_signature="text",
    coordinator_signature="text", coordinator_pk="text",
)  # fmt: skip
INSERT = f"""
    INSERT INTO receipts (day, job_id, attempt, receipt, worker_signature, coordinator_signature, coordinator_pk,
        created_at)
    SELECT day, job_id, attempt, receipt, worker_signature, coordinator_signature, coordinator_pk, :now FROM {_rows.sql}
"""  # noqa: S608  # names of ours
_GET = text("""
    SELECT receipt, worker_signature, coordinator_signature, coordinator_pk FROM receipts
    WHERE day = :day AND job_id = :id ORDER BY attempt DESC LIMIT 1
""")
PLACES = """
    SELECT DISTINCT ON (job_id) job_id, receipt FROM receipts
    WHERE day = ANY(:days) AND job_id = ANY(:ids) ORDER BY job_id, attempt DESC
"""
_PLACES = text(PLACES)


class _Place(msgspec.Struct):
    """What of a receipt says where its answer was made."""

    jurisdictions: tuple[str, ...]


def values(results: Iterable[Result]) -> dict[str, Any]:
    """The parameters of INSERT, beside `now`: the receipts of accepted results."""
    return _rows.bind(
        (day_of(r.id), r.id, r.attempt, msgspec.json.encode(r.receipt), r.worker_signature, r.coordinator_signature,
         r.coordinator_pk)
        for r in results
    )  # fmt: skip


async def get_receipt(conn: Connection, id_: UUID) -> SignedReceipt | None:
    """The receipt of a job's last completed attempt."""
    row = (await conn.execute(_GET, {"day": day_of(id_), "id": id_})).one_or_none()
    if row is None:
        return None
    signatures = Signatures(row.worker_signature, row.coordinator_signature, row.coordinator_pk)
    return SignedReceipt(msgspec.json.decode(row.receipt, type=Receipt), signatures)


async def served_in(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[str, ...]]:
    """In which countries those of these jobs were done that have completed."""
    rows = await conn.execute(_PLACES, {"days": sorted(set(map(day_of, ids))), "ids": list(ids)})
    return {row.job_id: msgspec.json.decode(row.receipt, type=_Place).jurisdictions for row in rows}
