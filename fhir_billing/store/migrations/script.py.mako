"""${message}

Revision: ${up_revision}, after ${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def _be_quick() -> None:
    """Nobody waits at the desk because a table changes: give up instead, and try again at night."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")


def upgrade() -> None:
    _be_quick()
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    _be_quick()
    ${downgrades if downgrades else "pass"}
