"""What the queue needs at swarm scale: where each worker is connected, files and batches. Marked: pre.

A coordinator of the third version goes on working: nobody else knows of its workers, so it must not be the only one that
has some while others are asked for them. It leaves batches to the others.
"""

from alembic import op

from migrations.fourth.carried import CARRIED
from migrations.fourth.clocks import CLOCKS
from migrations.fourth.files import FILES
from migrations.fourth.sessions import SESSIONS

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCRIPTS = (SESSIONS, FILES, CLOCKS, CARRIED)


def upgrade() -> None:
    """The tables of the third version hold what the fourth asks of them."""
    for script in SCRIPTS:
        for piece in script.split(";\n"):
            if piece.strip():
                op.execute(piece.strip())
