"""A write-back that a later state has overtaken, or that somebody else has sent by now, is not written any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from fhir_billing.store import outbox, tables
from fhir_billing.store.schema import migrate
from fhir_billing.store.store import SqlStore, open_store
from fhir_billing.store.unit_of_work import writing

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def store(each_database: str) -> SqlStore:
    migrate(each_database)
    return open_store(each_database)


def queue(store: SqlStore, key: str, claim: str = "C-0123456789AB") -> None:
    with store.begin() as book:
        book.queue(kind="write-back", key=key, destination="ehr", body=b"{}", at=NOW, claim=claim)


def test_a_borrowed_parcel_is_the_latest_until_a_later_one_of_its_claim_waits(store: SqlStore) -> None:
    queue(store, "first")
    (mine,) = store.due(NOW)
    assert store.is_latest(mine.id)
    queue(store, "of another claim", "C-BA9876543210")
    assert store.is_latest(mine.id)
    queue(store, "second")
    assert not store.is_latest(mine.id)
    store.stays(mine.id, "a later state waits", NOW)
    assert [parcel.key for parcel in store.due(NOW)] == ["of another claim", "second"]


def test_what_another_worker_has_borrowed_or_sent_is_not_ours_and_stays_borrowed(store: SqlStore) -> None:
    queue(store, "one")
    (mine,) = store.due(NOW)
    later = NOW + timedelta(minutes=5)
    with writing(store._engine) as connection:
        row = tables.outbox
        connection.execute(update(row).where(row.c.id == mine.id).values(locked_by="elsewhere|1|x", locked_until=later))
    assert not store.is_latest(mine.id)
    store.stays(mine.id, "it gives way", NOW)
    assert store.due(NOW) == [], "the other's loan stands"
    store.left(mine.id, "sent", NOW)
    assert not store.is_latest(mine.id)


def test_claims_of_one_visit_have_its_number_in_common() -> None:
    assert {outbox.visit_of(f"C-0123456789AB{tail}") for tail in ("", "-1", "-2", "-R1")} == {"C-0123456789AB"}
    assert outbox.visit_of("another system's") == "another system's"
