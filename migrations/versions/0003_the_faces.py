"""What the faces of the API need: several answers to one request, what a key may do, and what was used. Marked: pre.

A coordinator of the second version goes on working: it makes jobs without a parent, and what it ends is missing in the
sums of what was used; what is to be told of a job that it ends is told when the job's deadline is over. It knows no limits,
scopes or ends of keys, so make such keys when the last of them is gone; until then it also starts parked jobs, and walks
through the queue to find any.
"""

from alembic import op

from migrations.third.cached import CACHED
from migrations.third.callbacks import CALLBACKS
from migrations.third.keys import KEYS
from migrations.third.parents import PARENTS
from migrations.third.parked import PARKED
from migrations.third.responses import RESPONSES
from migrations.third.usage import USAGE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCRIPTS = (PARENTS, KEYS, USAGE, CALLBACKS, RESPONSES, CACHED, PARKED)


def upgrade() -> None:
    """The tables of the second version hold what the third asks of them."""
    for script in SCRIPTS:
        for piece in script.split(";\n"):
            if piece.strip():
                op.execute(piece.strip())
