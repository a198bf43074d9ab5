"""${message}

Marked: pre (old code keeps working) or post. Say which.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say what is different afterwards."""
    ${upgrades if upgrades else "raise NotImplementedError"}
