"""What jobs need of a worker, whose a worker is, and what it earned. Marked: pre.

A coordinator of the first version goes on working: it makes kinds that need nothing. It also gives away jobs of the new
kinds without looking at what they need, so let the last of them end before callers use the new fields.
"""

from alembic import op

from migrations.second.earned import FUNCTIONS, OWNERS, SUMS, TRIGGERS
from migrations.second.kinds import KINDS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of the first version know what workers need, and what they earned so far is summed up."""
    for script in (KINDS, OWNERS, SUMS):
        _run(script)
    for function in FUNCTIONS:
        op.execute(function.strip())
    _run(TRIGGERS)


def _run(script: str) -> None:
    """The driver takes one statement at a time."""
    for piece in script.split(";\n"):
        if piece.strip():
            op.execute(piece.strip())
