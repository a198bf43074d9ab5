"""What the faces of the API need: several answers to one request, and what a key may do. Marked: pre.

A coordinator of the second version goes on working: it makes jobs without a parent. It knows no limits, scopes or ends of
keys, so make such keys when the last of them is gone.
"""

from alembic import op

from migrations.third.keys import KEYS
from migrations.third.parents import PARENTS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCRIPTS = (PARENTS, KEYS)


def upgrade() -> None:
    """The tables of the second version hold what the third asks of them."""
    for script in SCRIPTS:
        for piece in script.split(";\n"):
            if piece.strip():
                op.execute(piece.strip())
