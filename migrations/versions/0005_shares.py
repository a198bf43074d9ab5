"""What a lost worker made is owed to it once it signs for it, and no row is written by every job. Marked: pre.

A coordinator of the fourth version goes on working: of the jobs that it ends, a lost worker's share goes to the resilience
fund at once.
"""

from alembic import op

from migrations.fifth.kinds import KINDS
from migrations.fifth.shares import FUNCTIONS, SHARES
from migrations.fifth.tallies import PARTS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of the fourth version hold what the fifth asks of them."""
    for piece in (SHARES + PARTS + KINDS).split(";\n"):
        if piece.strip():
            op.execute(piece.strip())
    for function in FUNCTIONS:
        op.execute(function.strip())
