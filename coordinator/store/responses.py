"""Jobs whose faces keep their answers: what was asked of them, found by account, and forgotten on demand."""

from uuid import UUID

import msgspec
from sqlalchemy import text

from coordinator.store.engine import Connection
from shared.ids import day_of


class Kept(msgspec.Struct, frozen=True):
    """What was asked of a job (the JSON of submit.request.JobRequest), and what its face says of it again."""

    request: bytes
    echo: bytes


_ONE = "day = :day AND id = :id AND account_id = :account_id AND echo IS NOT NULL"
_OF = f"SELECT request, echo FROM {{table}} WHERE {_ONE} AND request IS NOT NULL"  # noqa: S608  # names of ours
_READ = text(f"{_OF.format(table='jobs')} UNION ALL {_OF.format(table='jobs_ended')}")
_FORGET = text(f"""
    UPDATE jobs_ended SET request = NULL, result = NULL, result_ids = NULL, error_message = NULL, echo = NULL, purge_at = NULL
    WHERE {_ONE}
""")  # noqa: S608  # names of ours


async def read(conn: Connection, account_id: UUID, id_: UUID) -> Kept | None:
    """What is kept of an account's job; None if it is another's, or its face keeps nothing of it."""
    values = {"day": day_of(id_), "id": id_, "account_id": account_id}
    row = (await conn.execute(_READ, values)).one_or_none()
    return None if row is None else Kept(bytes(row.request), bytes(row.echo))


async def forget(conn: Connection, account_id: UUID, id_: UUID) -> bool:
    """Forgets prompt, result and echo of an ended job at once; False if nothing is kept of it for this account."""
    values = {"day": day_of(id_), "id": id_, "account_id": account_id}
    return (await conn.execute(_FORGET, values)).rowcount == 1
