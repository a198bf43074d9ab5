"""A job, or a parent in the place of its children, read from the database."""

from uuid import UUID

from coordinator.api.parents import parent_of
from coordinator.store import views
from coordinator.store.engine import Engine, alone
from coordinator.store.rows import JobView


async def read_family(engine: Engine, id_: UUID) -> tuple[JobView | None, list[JobView]]:
    """The job of this id, or the parent, and a parent's children by choice, none for most; None if there is neither. Raises
    Away."""
    async with alone(engine) as conn:
        view = await views.get_job(conn, id_)
        children = [] if view is not None else await views.get_children(conn, id_)
    return (parent_of(id_, children) if children else view), children
