"""What the book remembers, as tables: a column is called what the record calls it, so a row reads as its record.

Money is BIGINT cents. `journal`, `posting` and `audit` are only ever added to: triggers of the first migration see to it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from fhir_billing.cycle.records import Kind, Outcome
from fhir_billing.domain.lifecycle import State
from fhir_billing.store.column_types import Json, Utc, Whole, Word, tuples

HEAD: Final = "0002"
"""The newest migration; a test compares it with alembic's own head, so that opening a store need not import alembic."""

book = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[Any]:
    return Column("id", Whole, primary_key=True)


def _text(name: str, **more: Any) -> Column[Any]:
    return Column(name, Text, nullable=False, default="", **more)


def _money(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, default=0)


inbox = Table(
    "inbox",
    book,
    _id(),
    Column("kind", Word(Kind), nullable=False),
    Column("key", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("body", LargeBinary),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    _text("channel"),
    _text("name"),
    _text("who"),
    Column("outcome", Word(Outcome), nullable=False, default=Outcome.WAITING),
    _text("say"),
    Column("claims", Json(tuple), nullable=False, default=()),
    Column("findings", Json(tuple), nullable=False, default=()),
    Column("attempts", Integer, nullable=False, default=0),
    Column("worked", Whole),
    Column("retry_at", Utc),
    UniqueConstraint("kind", "key"),
    UniqueConstraint("worked"),
    Index(None, "outcome", "kind", "id"),
)
"""`body` is null when the bytes lie beside the book, in a file named by their hash."""

arrival = Table(
    "arrival",
    book,
    _id(),
    Column("message", Whole, ForeignKey("inbox.id"), nullable=False, index=True),
    Column("at", Utc, nullable=False),
    _text("channel"),
    _text("name"),
)

visit = Table(
    "visit",
    book,
    Column("encounter", Text, primary_key=True),
    _text("number", index=True),
    _text("outcome"),
    _text("found_by"),
    _text("patient", index=True),
    _text("patient_name"),
    Column("patient_birth", Date),
    Column("served_on", Date),
    _text("what"),
    _text("practitioner"),
    _money("charge"),
    _text("digest"),
    Column("message", Whole, nullable=False, default=0),
    Column("changed_after_send", Boolean, nullable=False, default=False),
    Column("findings", Json(tuple), nullable=False, default=()),
    _text("version"),
)

claim = Table(
    "claim",
    book,
    Column("number", Text, primary_key=True),
    _text("encounter", index=True),
    _text("patient", index=True),
    _text("patient_name"),
    _text("member_id"),
    _text("payer"),
    _text("payer_name"),
    _text("kind"),
    Column("state", Word(State), nullable=False, index=True),
    _money("charge"),
    Column("resource", LargeBinary, nullable=False),
    Column("served_on", Date),
    _text("rank"),
    _text("icn"),
    _text("mapping"),
    Column("findings", Json(tuple), nullable=False, default=()),
    Column("attempt", Integer, nullable=False, default=0),
    _money("billed"),
    Column("due", Date),
    Column("file_by", Date),
    Column("entered_at", Utc),
    _text("replaces"),
    Column("version", Integer, nullable=False),
)

biography = Table(
    "biography",
    book,
    _id(),
    Column("claim", Text, nullable=False),
    Column("at", Utc, nullable=False),
    _text("kind"),
    _text("what"),
    _text("who"),
    _text("sha256"),
    Column("message", Whole, nullable=False, default=0),
    _text("start"),
    _text("event"),
    _text("end"),
    Index(None, "claim", "id"),
)

journal = Table(
    "journal",
    book,
    _id(),
    Column("key", Text, nullable=False),
    Column("posted_on", Date, nullable=False),
    Column("effective_on", Date),
    _text("because"),
    _text("reverses"),
    _text("claim", index=True),
    Column("message", Whole, nullable=False),
    UniqueConstraint("key"),
)
"""Entered after its postings: the database looks at their sum then, and takes no posting for it later."""

posting = Table(
    "posting",
    book,
    _id(),
    Column("journal", Whole, ForeignKey("journal.id", deferrable=True, initially="DEFERRED"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    _text("claim", index=True),
    _text("party"),
    UniqueConstraint("journal", "place"),
    Index(None, "account", "party"),
)

remittance = Table(
    "remittance",
    book,
    Column("number", Text, primary_key=True),
    _text("payer"),
    _text("payer_name"),
    _text("trace"),
    _text("digest"),
    _money("paid"),
    Column("paid_on", Date),
    _text("status"),
    Column("message", Whole, nullable=False, index=True),
    Column("at", Utc, nullable=False),
    _text("sha256"),
    _text("say"),
    Column("content", LargeBinary, nullable=False),
    Column("place", Whole, nullable=False),
    Index(None, "payer", "trace"),
)
"""`place` is the digits of the number: R-10 comes after R-9."""

payment = Table(
    "payment",
    book,
    _id(),
    Column("remittance", Text, ForeignKey("remittance.number"), nullable=False),
    Column("sequence", Integer, nullable=False),
    _text("claim", index=True),
    _text("payer"),
    _text("status"),
    _money("charge"),
    _money("paid"),
    Column("adjustments", Json(dict), nullable=False, default={}),
    _text("icn"),
    Column("matched", Boolean, nullable=False, default=True),
    _text("journal"),
    UniqueConstraint("remittance", "sequence"),
)

envelope = Table(
    "envelope",
    book,
    _id(),
    Column("key", Text, nullable=False),
    _text("partner"),
    _text("kind"),
    _text("interchange", index=True),
    _text("group", index=True),
    Column("sets", Json(tuples), nullable=False, default={}),
    _text("sha256"),
    Column("at", Utc),
    UniqueConstraint("key"),
)

envelope_claim = Table(
    "envelope_claim",
    book,
    Column("envelope", Text, ForeignKey("envelope.key"), primary_key=True),
    Column("claim", Text, primary_key=True, index=True),
)
"""Which claims lie in an envelope: how an answer about one claim finds what it left in."""

control_number = Table(
    "control_number",
    book,
    Column("partner", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("last", Whole, nullable=False),
)

outbox = Table(
    "outbox",
    book,
    _id(),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    _text("destination"),
    Column("body", LargeBinary),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    _text("claim"),
    _text("status"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Utc, nullable=False),
    Column("retry_at", Utc),
    Column("locked_until", Utc),
    _text("locked_by"),
    Column("sent_at", Utc),
    _text("receipt"),
    _text("say"),
    UniqueConstraint("key"),
    Index(None, "status", "id"),
    Index(None, "claim", "id"),
)
"""`status` is waiting, sent or overtaken (a later write-back of the same claim says more)."""

cursor = Table("cursor", book, Column("name", Text, primary_key=True), _text("value"))

asked = Table(
    "asked",
    book,
    Column("key", Text, primary_key=True),
    _text("encounter", index=True),
    _text("patient", index=True),
    _text("asked_of", index=True),
    _text("claim", index=True),
    _text("asked_by"),
    Column("asked_at", Utc),
    Column("question", LargeBinary, nullable=False, default=b""),
    Column("answer", LargeBinary, nullable=False, default=b""),
    Column("answered_at", Utc),
    _text("answered_by"),
    _text("charted"),
    Column("message", Whole, nullable=False, default=0),
)
"""Questions to clinicians and their answers, the last of each."""

favourite = Table(
    "favourite",
    book,
    Column("who", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    _text("table"),
)
"""Codes that a clinician keeps at hand; `table` is diagnosis or charge."""

vault = Table(
    "vault",
    book,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("ends_at", Utc, nullable=False, index=True),
)
"""Short-lived secrets, encrypted; keys are digests."""

difference = Table(
    "difference",
    book,
    Column("key", Text, primary_key=True),
    _text("encounter", index=True),
    _text("kind"),
    _text("say"),
    Column("found_at", Utc, nullable=False),
    Column("closed_at", Utc, index=True),
    _text("closed_by"),
    _text("why"),
)

proposal = Table(
    "proposal",
    book,
    Column("key", Text, primary_key=True),
    _text("claim", index=True),
    _text("kind"),
    Column("made_at", Utc, nullable=False),
    Column("fields", Json(tuple), nullable=False, default=()),
    Column("resource", LargeBinary, nullable=False, default=b""),
    _text("status", index=True),
    Column("decided_at", Utc),
    _text("decided_by"),
    _text("why"),
    Column("message", Whole, nullable=False, default=0),
)

written = Table(
    "written",
    book,
    Column("owner", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    _text("reference"),
    _text("version"),
    _text("digest"),
    _text("rung"),
    Column("at", Utc, nullable=False),
)
"""What the chart holds of us: a resource whose digest is the same needs no request."""

heard = Table(
    "heard",
    book,
    Column("key", Text, primary_key=True),
    _text("visit", index=True),
    Column("resource", LargeBinary, nullable=False),
    Column("at", Utc, nullable=False),
    Column("message", Whole, nullable=False, default=0),
)

follower = Table(
    "follower",
    book,
    Column("id", Text, primary_key=True),
    _text("app", index=True),
    _text("topic"),
    _text("endpoint"),
    Column("filters", Json(dict), nullable=False, default={}),
    Column("header", LargeBinary, nullable=False, default=b""),
    _text("content"),
    _text("status"),
    Column("heartbeat", Integer, nullable=False, default=0),
    Column("events", BigInteger, nullable=False, default=0),
    Column("made_at", Utc),
    Column("said_at", Utc),
    _text("say"),
)

notice = Table(
    "notice",
    book,
    Column("follower", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("at", Utc, nullable=False),
    _text("claim"),
    _text("state"),
)

audit = Table(
    "audit",
    book,
    _id(),
    Column("at", Utc, nullable=False),
    _text("who"),
    _text("what"),
    _text("about", index=True),
    _text("why"),
    _text("previous"),
    Column("hash", Text, nullable=False),
)
"""Each line's hash covers the one before it, so that a line changed or taken out is found."""
