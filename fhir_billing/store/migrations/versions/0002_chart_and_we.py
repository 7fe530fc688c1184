"""The chart and the book may disagree, and other apps may follow: what differs, what is proposed, what was written, who follows.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
NEW = ("notice", "follower", "heard", "written", "proposal", "difference")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _be_quick() -> None:
    """A migration waits for no lock that a working day holds."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")


def upgrade() -> None:
    _be_quick()
    op.add_column("visit", sa.Column("version", sa.Text(), nullable=False, server_default=""))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("visit", "version", server_default=None)

    op.create_table(
        "difference",
        _text("key"), _text("encounter"), _text("kind"), _text("say"),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        _text("closed_by"), _text("why"),
        sa.PrimaryKeyConstraint("key", name="pk_difference"),
    )  # fmt: skip
    op.create_index("ix_difference_encounter", "difference", ["encounter"])
    op.create_index("ix_difference_closed_at", "difference", ["closed_at"])

    op.create_table(
        "proposal",
        _text("key"), _text("claim"), _text("kind"),
        sa.Column("made_at", MOMENT, nullable=False),
        _text("fields"),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        _text("status"),
        sa.Column("decided_at", MOMENT),
        _text("decided_by"), _text("why"),
        sa.Column("message", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_proposal"),
    )  # fmt: skip
    op.create_index("ix_proposal_claim", "proposal", ["claim"])
    op.create_index("ix_proposal_status", "proposal", ["status"])

    op.create_table(
        "written",
        _text("owner"), _text("kind"), _text("reference"), _text("version"), _text("digest"), _text("rung"),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("owner", "kind", name="pk_written"),
    )  # fmt: skip

    op.create_table(
        "heard",
        _text("key"), _text("visit"),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_heard"),
    )  # fmt: skip
    op.create_index("ix_heard_visit", "heard", ["visit"])

    op.create_table(
        "follower",
        _text("id"), _text("app"), _text("topic"), _text("endpoint"), _text("filters"),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        _text("content"), _text("status"),
        sa.Column("heartbeat", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("made_at", MOMENT),
        sa.Column("said_at", MOMENT),
        _text("say"),
        sa.PrimaryKeyConstraint("id", name="pk_follower"),
    )  # fmt: skip
    op.create_index("ix_follower_app", "follower", ["app"])

    op.create_table(
        "notice",
        _text("follower"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        _text("claim"), _text("state"),
        sa.PrimaryKeyConstraint("follower", "number", name="pk_notice"),
    )  # fmt: skip


def downgrade() -> None:
    _be_quick()
    for table in NEW:
        op.drop_table(table)
    op.drop_column("visit", "version")
