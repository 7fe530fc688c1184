"""The first book: every table, and the guards that keep ledger and audit as they were written.

Revision: 0001, the first. Columns are spelled out here and not taken from `tables`: a migration stays what it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

# What is entered stays entered. A journal comes after its postings: it is refused unless they sum to zero, and once it is
# there no posting is taken for it. SQLite's INSERT OR REPLACE deletes without asking a trigger, so it is met before it
# inserts; Postgres has TRUNCATE, and a session that turns triggers off, so these are ALWAYS on.
ONLY_ADDED_TO = {"journal": ("id", "key"), "posting": ("id",), "audit": ("id",)}

SQLITE_GUARD = """
CREATE TRIGGER {table}_no_{act} BEFORE {act} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END
"""
SQLITE_NO_REPLACE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END
"""
SQLITE_NO_LATE_POSTING = """
CREATE TRIGGER posting_not_late BEFORE INSERT ON posting
WHEN EXISTS (SELECT 1 FROM journal WHERE id = NEW.journal)
  OR EXISTS (SELECT 1 FROM posting WHERE journal = NEW.journal AND place = NEW.place)
BEGIN SELECT RAISE(ABORT, 'a journal takes no posting after it is entered'); END
"""
SQLITE_BALANCED = """
CREATE TRIGGER journal_balanced BEFORE INSERT ON journal
WHEN (SELECT count(*) < 2 OR coalesce(sum(amount), 1) <> 0 FROM posting WHERE journal = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a journal has two postings or more that sum to zero'); END
"""

POSTGRES_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
"""
POSTGRES_GUARDS = """
CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate
"""
POSTGRES_BALANCED = """
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number bigint;
BEGIN
  IF TG_TABLE_NAME = 'journal' THEN number := NEW.id; ELSE number := NEW.journal; END IF;
  IF (SELECT count(*) < 2 OR sum(amount) <> 0 FROM posting WHERE journal = number) THEN
    RAISE EXCEPTION 'a journal has two postings or more that sum to zero' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM journal WHERE id = NEW.journal) THEN
    RAISE EXCEPTION 'a journal takes no posting after it is entered' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER posting_not_late BEFORE INSERT ON posting FOR EACH ROW EXECUTE FUNCTION refuse_late();
CREATE TRIGGER journal_balanced AFTER INSERT ON journal FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();
CREATE CONSTRAINT TRIGGER posting_balanced AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();
ALTER TABLE posting ENABLE ALWAYS TRIGGER posting_not_late;
ALTER TABLE posting ENABLE ALWAYS TRIGGER posting_balanced;
ALTER TABLE journal ENABLE ALWAYS TRIGGER journal_balanced
"""


def _guard() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRES_REFUSE)
        for table in ONLY_ADDED_TO:
            op.execute(POSTGRES_GUARDS.format(table=table))
        op.execute(POSTGRES_BALANCED)
        return
    for table, keys in ONLY_ADDED_TO.items():
        for act in ("update", "delete"):
            op.execute(SQLITE_GUARD.format(table=table, act=act))
        op.execute(SQLITE_NO_REPLACE.format(table=table, same=" OR ".join(f"{key} = NEW.{key}" for key in keys)))
    op.execute(SQLITE_NO_LATE_POSTING)
    op.execute(SQLITE_BALANCED)


def _unguard() -> None:
    if op.get_bind().dialect.name == "postgresql":  # on SQLite they went with their tables
        op.execute("DROP FUNCTION refuse_change, refuse_unbalanced, refuse_late")


def _be_quick() -> None:
    """Nobody waits at the desk because a table changes: give up instead, and try again at night."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")


def upgrade() -> None:
    _be_quick()
    op.create_table(
        "audit",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_about", "audit", ["about"])

    op.create_table(
        "biography",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("end", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_biography"),
    )
    op.create_index("ix_biography_claim_id", "biography", ["claim", "id"])

    op.create_table(
        "claim",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("encounter", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("payer_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.Column("served_on", sa.Date(), nullable=True),
        sa.Column("rank", sa.Text(), nullable=False),
        sa.Column("icn", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("billed", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("file_by", sa.Date(), nullable=True),
        sa.Column("entered_at", MOMENT, nullable=True),
        sa.Column("replaces", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_claim"),
    )
    op.create_index("ix_claim_encounter", "claim", ["encounter"])
    op.create_index("ix_claim_patient", "claim", ["patient"])
    op.create_index("ix_claim_state", "claim", ["state"])

    op.create_table(
        "control_number",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("last", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("partner", "what", name="pk_control_number"),
    )
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cursor"),
    )
    op.create_table(
        "envelope",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("interchange", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("sets", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_envelope"),
        sa.UniqueConstraint("key", name="uq_envelope_key"),
    )
    op.create_index("ix_envelope_group", "envelope", ["group"])
    op.create_index("ix_envelope_interchange", "envelope", ["interchange"])

    op.create_table(
        "inbox",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("say", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worked", WHOLE, nullable=True),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("kind", "key", name="uq_inbox_kind_key"),
        sa.UniqueConstraint("worked", name="uq_inbox_worked"),
    )
    op.create_index("ix_inbox_outcome_kind_id", "inbox", ["outcome", "kind", "id"])

    op.create_table(
        "journal",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("reverses", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sa.UniqueConstraint("key", name="uq_journal_key"),
    )
    op.create_index("ix_journal_claim", "journal", ["claim"])

    op.create_table(
        "outbox",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.Column("locked_until", MOMENT, nullable=True),
        sa.Column("locked_by", sa.Text(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("say", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
    )
    op.create_index("ix_outbox_claim_id", "outbox", ["claim", "id"])
    op.create_index("ix_outbox_status_id", "outbox", ["status", "id"])

    op.create_table(
        "remittance",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("payer_name", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("say", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("place", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_remittance"),
    )
    op.create_index("ix_remittance_message", "remittance", ["message"])
    op.create_index("ix_remittance_payer_trace", "remittance", ["payer", "trace"])

    op.create_table(
        "visit",
        sa.Column("encounter", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("found_by", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("patient_birth", sa.Date(), nullable=True),
        sa.Column("served_on", sa.Date(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("practitioner", sa.Text(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.Column("changed_after_send", sa.Boolean(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("encounter", name="pk_visit"),
    )
    op.create_index("ix_visit_number", "visit", ["number"])
    op.create_index("ix_visit_patient", "visit", ["patient"])

    op.create_table(
        "arrival",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["inbox.id"], name="fk_arrival_message"),
        sa.PrimaryKeyConstraint("id", name="pk_arrival"),
    )
    op.create_index("ix_arrival_message", "arrival", ["message"])

    op.create_table(
        "envelope_claim",
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["envelope"], ["envelope.key"], name="fk_envelope_claim_envelope"),
        sa.PrimaryKeyConstraint("envelope", "claim", name="pk_envelope_claim"),
    )
    op.create_index("ix_envelope_claim_claim", "envelope_claim", ["claim"])

    op.create_table(
        "payment",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("remittance", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("adjustments", sa.Text(), nullable=False),
        sa.Column("icn", sa.Text(), nullable=False),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["remittance"], ["remittance.number"], name="fk_payment_remittance"),
        sa.PrimaryKeyConstraint("id", name="pk_payment"),
        sa.UniqueConstraint("remittance", "sequence", name="uq_payment_remittance_sequence"),
    )
    op.create_index("ix_payment_claim", "payment", ["claim"])

    op.create_table(
        "posting",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("journal", WHOLE, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["journal"], ["journal.id"], name="fk_posting_journal", initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name="pk_posting"),
        sa.UniqueConstraint("journal", "place", name="uq_posting_journal_place"),
    )
    op.create_index("ix_posting_account_party", "posting", ["account", "party"])
    op.create_index("ix_posting_claim", "posting", ["claim"])

    op.create_table(
        "asked",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("encounter", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("asked_of", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", MOMENT),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("answered_by", sa.Text(), nullable=False),
        sa.Column("charted", sa.Text(), nullable=False),
        sa.Column("message", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_asked"),
    )
    for column in ("asked_of", "claim", "encounter", "patient"):
        op.create_index(f"ix_asked_{column}", "asked", [column])

    op.create_table(
        "favourite",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("table", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("who", "code", name="pk_favourite"),
    )

    op.create_table(
        "vault",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_vault"),
    )
    op.create_index("ix_vault_ends_at", "vault", ["ends_at"])

    _guard()


def downgrade() -> None:
    _be_quick()
    for table in (
        "vault",
        "favourite",
        "asked",
        "posting",
        "payment",
        "envelope_claim",
        "arrival",
        "visit",
        "remittance",
        "outbox",
        "journal",
        "inbox",
        "envelope",
        "cursor",
        "control_number",
        "claim",
        "biography",
        "audit",
    ):
        op.drop_table(table)
    _unguard()
