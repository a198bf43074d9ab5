"""The tables of the first version. Marked: pre (there is no old code).

Everything that belongs to a day is partitioned by it, with the day in the primary key; a job's id carries its day.
Money is bigint stroops. Foreign keys stop at the slow tables: on the hot path the transaction itself keeps them.
"""

from alembic import op

from migrations.first.jobs import JOBS
from migrations.first.money import BALANCED, MONEY, PARTITIONS
from migrations.first.people import PEOPLE, SWARM

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An empty database has every table of the first version and no partitions yet."""
    op.execute(BALANCED.strip())
    for script in (PEOPLE, SWARM, JOBS, MONEY):
        for statement in _statements(script):
            op.execute(statement)
    op.execute(PARTITIONS.strip())


def _statements(script: str) -> list[str]:
    """The driver takes one statement at a time."""
    return [part for part in (piece.strip() for piece in script.split(";\n")) if part]
