"""Jobs whose faces keep their answers: what was asked of them, found by account, and forgotten on demand."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.store.batch import Batch
from coordinator.store.engine import Connection
from shared.ids import day_of


class Kept(msgspec.Struct, frozen=True):
    """What was asked of a job (the JSON of submit.request.JobRequest), and what its face says of it again."""

    request: bytes
    echo: bytes


_ids = Batch("w", day="date", id="uuid")
_OF = f"""SELECT j.id, j.request, j.echo FROM {_ids.sql} JOIN {{table}} j ON j.day = w.day AND j.id = w.id
    WHERE j.account_id = :account_id AND j.echo IS NOT NULL AND j.request IS NOT NULL"""  # noqa: S608  # names of ours
_READ = text(f"{_OF.format(table='jobs')} UNION ALL {_OF.format(table='jobs_ended')}")
_FORGET = text("""
    UPDATE jobs_ended SET request = NULL, result = NULL, result_ids = NULL, error_message = NULL, echo = NULL, purge_at = NULL
    WHERE day = :day AND id = :id AND account_id = :account_id AND echo IS NOT NULL
""")


async def read(conn: Connection, account_id: UUID, ids: Iterable[UUID]) -> dict[UUID, Kept]:
    """Those of these jobs that are this account's and whose faces keep their answers."""
    rows = await conn.execute(_READ, _ids.bind((day_of(id_), id_) for id_ in ids) | {"account_id": account_id})
    return {row.id: Kept(bytes(row.request), bytes(row.echo)) for row in rows}


async def forget(conn: Connection, account_id: UUID, id_: UUID) -> bool:
    """Forgets prompt, result and echo of an ended job at once; False if it is not kept for this account."""
    values = {"day": day_of(id_), "id": id_, "account_id": account_id}
    return (await conn.execute(_FORGET, values)).rowcount == 1
