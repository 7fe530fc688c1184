"""The store keeps its promises on SQLite and on Postgres alike, also against somebody with a database prompt."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from fhir_billing.cycle.ports import Book, Store
from fhir_billing.cycle.records import (
    ClaimRecord,
    EnvelopeRecord,
    Kind,
    Message,
    Outcome,
    PaymentRecord,
    RemittanceRecord,
    Told,
    VisitRecord,
)
from fhir_billing.domain.errors import Contended, MessageNotFound, NotAMove, StaleVersion
from fhir_billing.domain.ledger import CLEARING, RECEIVABLE_PAYER, Journal, Posting
from fhir_billing.domain.lifecycle import State
from fhir_billing.store import outbox, unit_of_work
from fhir_billing.store.bodies import LARGEST_IN_A_ROW
from fhir_billing.store.store import SqlStore, migrate, open_store
from fhir_billing.store.unit_of_work import make_engine, writing

NOW = datetime(2026, 3, 2, 15, 30, 1, 250_000, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(each_database: str) -> str:
    migrate(each_database)
    return each_database


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    opened = open_store(url)
    port: Store = opened  # mypy holds it against the Protocol
    yield opened
    assert port.doorbells(NOW) is not None
    opened.close()


def elsewhere(script: str, *words: str) -> subprocess.Popen[str]:
    """A program of its own on the same store."""
    head = "import sys\nfrom datetime import *\nfrom fhir_billing.store.store import *\nfrom fhir_billing.cycle.records import *\n"
    head += f"NOW = datetime.fromisoformat({NOW.isoformat()!r})\nstore = open_store(sys.argv[1])\n"
    started = [sys.executable, "-c", head + script, *words]
    return subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def said(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def a_claim(**changes: Any) -> ClaimRecord:
    claim = ClaimRecord(
        number="C-TEST1",
        encounter="Encounter/e1",
        patient="Patient/p1",
        patient_name="Zztest, Ada",
        member_id="M1",
        payer="EXC01",
        payer_name="Example Mutual",
        kind="837P",
        state=State.READY,
        charge=12_500,
        resource=b'{"resourceType":"Claim","total":{"value":125.00}}',
        served_on=date(2026, 3, 1),
        findings=({"key": "zip-missing", "say": "“ZIP”"},),
        entered_at=NOW,
        file_by=date(2026, 6, 29),
    )
    return dataclasses.replace(claim, **changes)


def a_journal(key: str = "j1", amount: int = 500, claim: str = "C-TEST1", trace: str = "T1") -> Journal:
    return Journal(
        key=key,
        posted_on=date(2026, 3, 2),
        effective_on=date(2026, 3, 1),
        because="a test",
        claim=claim,
        postings=(
            Posting(account=CLEARING, amount=amount, claim=claim, party=trace),
            Posting(account=RECEIVABLE_PAYER, amount=-amount, claim=claim, party="EXC01"),
        ),
    )


def keep_file(store: SqlStore, key: str = "k1", body: bytes = b"ISA") -> Message:
    return store.keep(Kind.FILE, key, body, at=NOW, channel="hand", name="one.835", who="Zztest")[0]


# What arrives


def test_what_arrives_comes_out_as_it_came(store: SqlStore) -> None:
    kept, new = store.keep(Kind.FILE, "k", b"\x00\xffISA", at=NOW, channel="hand", name="a.835", who="Zztest")
    with store.begin() as book:
        assert new
        assert book.message(kept.id) == kept
        assert (kept.body, kept.at, kept.outcome, kept.worked) == (b"\x00\xffISA", NOW, Outcome.WAITING, None)
        assert book.message(kept.id + 99) is None


def test_keeping_twice_is_keeping_once_and_both_arrivals_are_shown(store: SqlStore) -> None:
    first, new = store.keep(Kind.FILE, "k", b"ISA", at=NOW, channel="sftp", name="a.835")
    again, new_again = store.keep(Kind.FILE, "k", b"ISA", at=NOW + timedelta(hours=1), channel="hand", name="b.835")
    other, new_other = store.keep(Kind.ACT, "k", b"ISA", at=NOW)
    assert (new, new_again, new_other) == (True, False, True)
    assert again == first
    assert other.id != first.id
    with store.begin() as book:
        assert [(a.channel, a.name) for a in book.arrivals(first.id)] == [("sftp", "a.835"), ("hand", "b.835")]


def test_two_programs_that_keep_the_same_files_at_once_keep_each_once(url: str, store: SqlStore) -> None:
    script = "print(sum(store.keep(Kind.FILE, str(n), b'x' * 9, at=NOW)[1] for n in range(60)))"
    programs = [elsewhere(script, url) for _ in range(2)]
    assert sum(int(said(program)) for program in programs) == 60
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM inbox")).scalar() == 60
        assert connection.execute(text("SELECT count(*) FROM arrival")).scalar() == 120


def test_a_big_body_lies_beside_the_book_and_nobody_notices(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIR_BILLING_FILES", str(tmp_path / "files"))
    store = open_store(url)
    big = b"CLP*" * LARGEST_IN_A_ROW
    kept, _ = store.keep(Kind.FILE, "big", big, at=NOW)
    assert store.keep(Kind.FILE, "big", big, at=NOW)[0].body == big
    with store.begin() as book:
        book.queue(kind="envelope", key="E", destination="sftp", body=big, at=NOW)
    [parcel] = store.due(NOW)
    assert parcel.body == big
    [file] = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert file.name == kept.sha256
    assert store.verify() == []
    file.write_bytes(b"other")
    assert store.verify() == [f"message {kept.id}: its bytes are not the ones that arrived"]
    file.unlink()
    assert "are not beside the book" in store.verify()[0]
    store.close()


def test_sqlite_keeps_big_bodies_next_to_its_file(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'b.db'}")
    store = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    kept = keep_file(store, body=bytes(LARGEST_IN_A_ROW + 1))
    assert (tmp_path / "b.db.files" / kept.sha256[:2] / kept.sha256).stat().st_size == LARGEST_IN_A_ROW + 1
    assert (tmp_path / "b.db").stat().st_mode & 0o077 == 0
    store.close()


# One at a time, in order


def test_messages_are_worked_in_the_order_they_came_and_doorbells_are_not_among_them(store: SqlStore) -> None:
    store.keep(Kind.DOORBELL, "d", b"{}", at=NOW)
    first, second = keep_file(store, "1"), keep_file(store, "2")
    for expected in (first, second):
        with store.begin() as book:
            found = book.next_message()
            assert found is not None
            assert found.id == expected.id
            book.settle(found, Outcome.POSTED, say="posted", claims=("C-1", "C-2"), findings=({"key": "x"},))
    with store.begin() as book:
        assert book.next_message() is None
        settled = book.message(second.id)
    assert settled is not None
    assert (settled.outcome, settled.say, settled.claims, settled.findings, settled.attempts, settled.worked) == (
        Outcome.POSTED, "posted", ("C-1", "C-2"), ({"key": "x"},), 1, 2,
    )  # fmt: skip
    assert [m.id for m in store.worked_messages()] == [first.id, second.id]


def test_a_quarantined_message_blocks_nobody_and_takes_its_place_when_it_is_retried(store: SqlStore) -> None:
    bad, good = keep_file(store, "1"), keep_file(store, "2")
    store.failed(bad.id, "it is broken", [{"key": "broken"}])
    with store.begin() as book:
        found = book.next_message()
        assert found is not None
        assert found.id == good.id
        book.settle(found, Outcome.DONE)
    store.retry(bad.id)
    with store.begin() as book:
        found = book.next_message()
        assert found is not None
        assert (found.id, found.say, found.attempts) == (bad.id, "it is broken", 1)
        book.settle(found, Outcome.DONE)
    assert [m.id for m in store.worked_messages()] == [good.id, bad.id]
    with pytest.raises(NotAMove):
        store.retry(good.id)
    with pytest.raises(MessageNotFound):
        store.retry(12345)
    with pytest.raises(MessageNotFound):
        store.failed(12345, "no")


def test_two_workers_never_hold_the_same_message(store: SqlStore) -> None:
    for n in range(12):
        keep_file(store, str(n))
    worked: list[int] = []

    def work() -> None:
        while True:
            with store.begin() as book:
                message = book.next_message()
                if message is None:
                    return
                book.settle(message, Outcome.DONE)
                worked.append(message.id)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert worked == sorted(worked)
    assert len(worked) == 12
    assert [m.worked for m in store.worked_messages()] == list(range(1, 13))


def test_a_turn_that_fails_leaves_nothing(store: SqlStore) -> None:
    message = keep_file(store)

    def turn(book: Book) -> None:
        found = book.next_message()
        assert found is not None
        book.save_claim(a_claim())
        book.post(a_journal(), found.id)
        book.tell(Told(claim="C-TEST1", at=NOW, kind="move", what="moved"))
        book.queue(kind="envelope", key="E1", destination="sftp", body=b"ISA", at=NOW)
        book.audit(at=NOW, who="Zztest", what="did it")
        assert book.take_control("*", "interchange") == 1
        book.settle(found, Outcome.POSTED)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError), store.begin() as book:
        turn(book)
    with store.begin() as book:
        assert book.claims() == []
        assert book.journals() == []
        assert book.biography("C-TEST1") == []
        assert book.take_control("*", "interchange") == 1
        found = book.message(message.id)
        assert found is not None
        assert found.outcome is Outcome.WAITING
    assert store.due(NOW) == []
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar() == 0


def test_a_killed_program_leaves_nothing_of_its_turn(url: str, store: SqlStore) -> None:
    keep_file(store)
    script = """
with store.begin() as book:
    message = book.next_message()
    book.settle(message, Outcome.DONE)
    book.audit(at=NOW, who='x', what='y')
    print('ready', flush=True)
    sys.stdin.read()
"""
    program = elsewhere(script, url)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    os.kill(program.pid, signal.SIGKILL)
    program.wait(timeout=10)
    with store.begin() as book:
        found = book.next_message()
    assert found is not None
    assert (found.attempts, found.worked) == (0, None)


def test_a_doorbell_that_nobody_answers_rings_again_later(store: SqlStore) -> None:
    bell, _ = store.keep(Kind.DOORBELL, "Encounter/e:1", b"{}", at=NOW)
    store.doorbell_later(bell.id, "the EHR is away", NOW + timedelta(minutes=1))
    assert store.doorbells(NOW) == []
    [again] = store.doorbells(NOW + timedelta(minutes=1))
    assert (again.attempts, again.say) == (1, "the EHR is away")
    store.doorbell_done(bell.id, "read")
    assert store.doorbells(NOW + timedelta(days=1)) == []
    assert list(store.worked_messages()) == []


# Records


def test_every_record_comes_out_as_it_went_in(store: SqlStore) -> None:
    message = keep_file(store)
    visit = VisitRecord(
        encounter="Encounter/e1", number="C-TEST1", outcome="held", patient_birth=date(1990, 2, 28), charge=12_500,
        changed_after_send=True, findings=({"key": "no-diagnosis"},),
    )  # fmt: skip
    told = Told(claim="C-TEST1", at=NOW, kind="move", what="moved", start="ready", event="envelope", end="queued")
    remittance = RemittanceRecord(
        number="R-1", payer="P", payer_name="Example Mutual", trace="T1", digest="d", paid=-500, paid_on=date(2026, 3, 2),
        status="posted", message=message.id, at=NOW, content=b"{}",
    )  # fmt: skip
    payment = PaymentRecord(
        remittance="R-1", sequence=0, claim="C-TEST1", payer="P", status="1", charge=2, paid=1, adjustments={"CO": -1}
    )
    envelope = EnvelopeRecord(
        key="E1",
        partner="P",
        kind="837P",
        interchange="000000001",
        group="7",
        sets={"0001": ("C-TEST1", "C-2")},
        at=NOW,
    )
    with store.begin() as book:
        saved = book.save_claim(a_claim())
        book.save_visit(visit)
        book.save_visit(visit)
        book.tell(told)
        book.save_remittance(remittance)
        book.save_payment(payment)
        book.save_envelope(envelope)
    with store.begin() as book:
        assert book.claim("C-TEST1") == saved == a_claim(version=1)
        assert book.visit("Encounter/e1") == visit
        assert book.biography("C-TEST1") == [told]
        assert book.remittances(payer="P", trace="T1") == [remittance]
        assert book.remittances(trace="T2") == []
        assert book.payments("C-TEST1") == [payment]
        assert book.envelopes(claim="C-2") == book.envelopes(interchange="000000001", group="7") == [envelope]
        assert book.envelopes(key="E2") == book.envelopes(claim="C-3") == []
        assert book.visit("Encounter/none") is None
        assert book.claim("C-NONE") is None


def test_claims_and_visits_are_found_and_stand_in_the_same_order_on_every_database(store: SqlStore) -> None:
    with store.begin() as book:
        for number, state in (("C-b", State.HELD), ("C-B", State.PAID), ("C-1", State.HELD), ("C-1-R1", State.READY)):
            book.save_claim(a_claim(number=number, state=state, encounter=f"Encounter/{number}"))
        for encounter, served in (("e3", None), ("e2", date(2026, 1, 1)), ("e1", date(2026, 2, 1))):
            book.save_visit(VisitRecord(encounter=encounter, number="", outcome="billed", served_on=served))
        assert [c.number for c in book.claims()] == ["C-1", "C-1-R1", "C-B", "C-b"]
        assert [c.number for c in book.claims(states=[State.HELD, State.PAID])] == ["C-1", "C-B", "C-b"]
        assert [c.number for c in book.claims(states=iter([State.HELD]), encounter="Encounter/C-b")] == ["C-b"]
        assert book.claims(states=[]) == book.claims(patient="Patient/none") == []
        assert [v.encounter for v in book.visits()] == ["e2", "e1", "e3"]


def test_who_saves_second_is_told_so(store: SqlStore) -> None:
    with store.begin() as book:
        mine = book.save_claim(a_claim())
    with store.begin() as book:
        assert book.save_claim(dataclasses.replace(mine, state=State.HELD)).version == 2
    with pytest.raises(StaleVersion), store.begin() as book:
        book.save_claim(dataclasses.replace(mine, state=State.VOIDED))
    with pytest.raises(StaleVersion), store.begin() as book:
        book.save_claim(a_claim())
    with store.begin() as book:
        [claim] = book.claims()
    assert (claim.state, claim.version) == (State.HELD, 2)


def test_times_come_out_aware_and_in_utc_and_naive_ones_are_refused(store: SqlStore) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-5)))
    kept, _ = store.keep(Kind.FILE, "k", b"", at=there)
    assert (kept.at, kept.at.utcoffset()) == (NOW, timedelta(0))
    with pytest.raises(Exception, match="without a zone"):
        store.keep(Kind.FILE, "naive", b"", at=NOW.replace(tzinfo=None))


def test_a_cursor_remembers_how_far_we_read(store: SqlStore) -> None:
    assert store.cursor("ehr-poll") == ""
    store.set_cursor("ehr-poll", "2026-03-01")
    store.set_cursor("ehr-poll", "2026-03-02")
    assert store.cursor("ehr-poll") == "2026-03-02"


# Control numbers


def test_control_numbers_from_four_programs_never_repeat(url: str, store: SqlStore) -> None:
    script = """
for n in range(25):
    with store.begin() as book:
        print(book.take_control('*', 'interchange'), *range(first := book.take_control('EXC01', 'set', 3), first + 3))
"""
    lines = [
        line.split() for program in [elsewhere(script, url) for _ in range(4)] for line in said(program).splitlines()
    ]
    assert sorted(int(line[0]) for line in lines) == list(range(1, 101))
    assert sorted(int(number) for line in lines for number in line[1:]) == list(range(1, 301))
    with store.begin() as book:
        assert book.take_control("*", "interchange") == 101
        assert book.take_control("EXC02", "set") == 1
        assert [book.next_remittance_number() for _ in range(2)] == ["R-1", "R-2"]


# Ledger


def test_a_journal_is_posted_once_and_comes_out_equal(store: SqlStore) -> None:
    one, two = a_journal("835:P:T1:0"), a_journal("835:P:T1:1", 300, claim="C-TEST2")
    back = Journal(
        key="back", posted_on=date(2026, 3, 3), because="x", reverses=one.key, postings=tuple(
            dataclasses.replace(p, amount=-p.amount) for p in one.postings
        ),
    )  # fmt: skip
    with store.begin() as book:
        assert [book.post(j, 1) for j in (one, two, one, back)] == [True, True, False, True]
        assert book.journals() == [one, two, back]
        assert book.journals("C-TEST1") == [one, back]
        assert book.journals("C-NONE") == []
        assert book.balances("C-TEST1") == {}
        assert book.balances("C-TEST2") == {CLEARING: 300, RECEIVABLE_PAYER: -300}
        assert book.clearing("T1") == {"C-TEST2": 300}
        assert book.clearing("T9") == {}
    assert list(store.fingerprint()) == sorted([one.key, two.key, "back"])
    assert store.fingerprint()[two.key][0] == (CLEARING, "C-TEST2", "T1", 300)
    assert store.verify() == []


REFUSED = [
    "UPDATE journal SET because = 'x'",
    "UPDATE posting SET amount = amount + 1",
    "DELETE FROM journal",
    "DELETE FROM posting WHERE amount < 0",
    "UPDATE audit SET what = 'nothing'",
    "DELETE FROM audit",
    "INSERT INTO posting (journal, place, account, amount, claim, party) VALUES (1, 9, 'Cash:Bank', 5, '', '')",
    "INSERT INTO journal (id, key, posted_on, because, reverses, claim, message) VALUES (77, 'k', '2026-01-01', '', '', '', 1)",
]
REFUSED_BY_SQLITE = [
    "INSERT OR REPLACE INTO journal SELECT * FROM journal",
    "INSERT OR REPLACE INTO posting SELECT * FROM posting",
    "INSERT OR REPLACE INTO audit SELECT * FROM audit",
    "REPLACE INTO journal (id, key, posted_on, because, reverses, claim, message) SELECT 77, key, posted_on, '', '', '', 1 FROM journal",
    "UPDATE OR REPLACE journal SET key = 'other'",
    "INSERT OR REPLACE INTO posting (journal, place, account, amount, claim, party) VALUES (1, 0, 'Cash:Bank', 5, '', '')",
]
REFUSED_BY_POSTGRES = [
    "TRUNCATE journal, posting",
    "TRUNCATE posting",
    "TRUNCATE audit",
    "INSERT INTO journal SELECT * FROM journal ON CONFLICT (id) DO UPDATE SET because = 'x'",
    "INSERT INTO audit SELECT * FROM audit ON CONFLICT (id) DO UPDATE SET who = 'x'",
    "SET LOCAL session_replication_role = replica; DELETE FROM posting",
]


def prompted(url: str, *statements: str) -> None:
    """What somebody types at a database prompt, in one transaction."""
    engine = make_engine(url)
    try:
        with writing(engine) as prompt:
            for statement in statements:
                prompt.exec_driver_sql(statement)
    finally:
        engine.dispose()


def test_the_database_itself_refuses_to_change_the_past(url: str, store: SqlStore) -> None:
    with store.begin() as book:
        book.post(a_journal(), 1)
        book.audit(at=NOW, who="Zztest", what="looked")
    before = store.fingerprint()
    for statement in REFUSED + (REFUSED_BY_SQLITE if "sqlite" in url else REFUSED_BY_POSTGRES):
        with pytest.raises(DBAPIError, match=r"only ever added to|takes no posting|sum to zero"):
            prompted(url, statement)
    assert store.fingerprint() == before
    assert store.verify() == []


SIDE = "INSERT INTO posting (journal, place, account, amount, claim, party) VALUES (50, {}, 'Cash:Bank', {}, '', '')"
HEAD = "INSERT INTO journal (id, key, posted_on, because, reverses, claim, message) VALUES (50, 'k', '2026-01-01', '', '', '', 1)"


def test_an_unbalanced_journal_and_a_posting_without_one_are_refused(url: str, store: SqlStore) -> None:
    for amounts in ([5], [5, -4], [0]):
        with pytest.raises(DBAPIError, match="sum to zero"):
            prompted(url, *(SIDE.format(place, amount) for place, amount in enumerate(amounts)), HEAD)
    with pytest.raises(DBAPIError):
        prompted(url, SIDE.format(0, 5), SIDE.format(1, -5))
    prompted(url, SIDE.format(0, 5), SIDE.format(1, -5), HEAD)
    with pytest.raises(DBAPIError, match="takes no posting"):
        prompted(url, SIDE.format(2, 0))
    assert store.verify_ledger() == {}


def test_a_posting_cannot_slip_in_beside_an_entry_that_is_not_committed_yet(fresh_postgres_url: str) -> None:
    migrate(fresh_postgres_url)
    store, engine = open_store(fresh_postgres_url), make_engine(fresh_postgres_url)

    def slip_in() -> None:
        with writing(engine) as prompt, store.begin() as book:
            book.post(a_journal(), 1)
            prompt.exec_driver_sql(SIDE.format(9, 5).replace("50", "1"))  # sees no journal 1 yet

    with pytest.raises(DBAPIError, match="sum to zero"):
        slip_in()
    assert store.fingerprint() == {
        "j1": tuple(sorted((p.account, p.claim, p.party, p.amount) for p in a_journal().postings))
    }
    store.close()
    engine.dispose()


def test_money_larger_than_four_bytes_is_kept_to_the_cent(store: SqlStore) -> None:
    with store.begin() as book:
        for n in range(3):
            book.post(a_journal(f"j{n}", 9_007_199_254_740_993), 1)
        assert book.balances("C-TEST1")[CLEARING] == 3 * 9_007_199_254_740_993


# Audit


def test_the_audit_trail_is_a_chain_across_programs(url: str, store: SqlStore) -> None:
    script = """
for n in range(20):
    with store.begin() as book:
        book.audit(at=NOW, who=sys.argv[2], what='read a claim', about='C-1', why='“reason”')
"""
    for program in [elsewhere(script, url, name) for name in ("one", "two")]:
        said(program)
    assert store.verify_audit() is None
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*), max(id) FROM audit")).one() == (40, 40)


@pytest.mark.parametrize(
    ("tampering", "say"),
    [
        ("UPDATE audit SET who = 'nobody' WHERE id = 3", "line 3 was changed after it was written"),
        ("DELETE FROM audit WHERE id = 2", "line 2 is gone"),
        ("UPDATE audit SET previous = '' WHERE id = 4", "line 4 does not follow the line before it"),
    ],
)
def test_a_tampered_line_of_the_audit_trail_is_found(url: str, store: SqlStore, tampering: str, say: str) -> None:
    with store.begin() as book:
        for n in range(5):
            book.audit(at=NOW, who="Zztest", what=f"act {n}")
    assert store.verify_audit() is None
    engine = make_engine(url)
    with writing(engine) as owner:  # somebody who may drop the guards
        for guard in ("audit_no_update", "audit_no_delete") if "sqlite" in url else ("audit_no_change",):
            owner.exec_driver_sql(f"DROP TRIGGER {guard}" + ("" if "sqlite" in url else " ON audit"))
        owner.exec_driver_sql(tampering)
    engine.dispose()
    broken = store.verify_audit()
    assert broken is not None
    assert broken.say == say
    assert any(line.startswith("the guard audit_no_") for line in store.verify())


# Outbox


def queued(store: SqlStore, *keys: str, kind: str = "envelope", claim: str = "") -> None:
    with store.begin() as book:
        for key in keys:
            book.queue(kind=kind, key=key, destination="sftp", body=key.encode(), at=NOW, claim=claim)


def keys(store: SqlStore, now: datetime = NOW, limit: int = 50) -> list[str]:
    return [parcel.key for parcel in store.due(now, limit)]


def test_a_parcel_leaves_once_and_is_lent_to_one_relay(url: str, store: SqlStore) -> None:
    queued(store, "E1", "E2", "E1")
    other = open_store(url)
    [parcel] = store.due(NOW, limit=1)
    assert (parcel.key, parcel.body, parcel.created_at, parcel.attempts) == ("E1", b"E1", NOW, 0)
    assert keys(other) == ["E2"]
    assert keys(store) == []
    store.left(parcel.id, "receipt-1", NOW)
    assert keys(store, NOW + timedelta(hours=1)) == ["E2"]
    other.close()


def test_a_parcel_that_could_not_leave_waits_until_it_may(store: SqlStore) -> None:
    queued(store, "E1")
    [parcel] = store.due(NOW)
    store.stays(parcel.id, "the channel is closed", NOW + timedelta(minutes=2))
    assert keys(store, NOW + timedelta(minutes=1)) == []
    [again] = store.due(NOW + timedelta(minutes=2))
    assert (again.attempts, again.say) == (1, "the channel is closed")


def test_what_a_relay_on_another_machine_borrowed_is_free_after_half_a_minute(url: str, store: SqlStore) -> None:
    queued(store, "E1")
    assert keys(store) == ["E1"]
    engine = make_engine(url)
    with writing(engine) as prompt:
        prompt.exec_driver_sql("UPDATE outbox SET locked_by = 'elsewhere|pid:[1]|42|abc'")
    engine.dispose()
    assert keys(store, NOW + timedelta(seconds=29)) == []
    assert keys(store, NOW + timedelta(seconds=30)) == ["E1"]


def test_what_a_killed_relay_of_this_machine_borrowed_is_free_at_once(url: str, store: SqlStore) -> None:
    queued(store, "E1")
    program = elsewhere("print(len(store.due(NOW)), flush=True); sys.stdin.read()", url)
    assert program.stdout is not None
    assert program.stdout.readline() == "1\n"
    assert keys(store) == []
    os.kill(program.pid, signal.SIGKILL)
    program.wait(timeout=10)
    assert keys(store) == ["E1"]


def test_a_borrower_counts_as_dead_only_when_this_machine_can_see_it() -> None:
    mine = outbox.this_relay()
    place, _, token = mine.rpartition("|")
    assert not outbox.is_gone(mine)
    assert outbox.is_gone(f"{place}|an earlier process of the same number")
    assert outbox.is_gone(f"{place.rpartition('|')[0]}|{2**22 + 1}|{token}")
    assert not outbox.is_gone("elsewhere|pid:[1]|42|abc")
    assert not outbox.is_gone("")


def test_two_relays_at_once_share_the_parcels_and_none_gets_one_twice(url: str, store: SqlStore) -> None:
    queued(store, *(f"E{n}" for n in range(30)))
    script = """
while parcels := store.due(NOW, 2):
    for parcel in parcels:
        print(parcel.key)
        store.left(parcel.id, 'r', NOW)
"""
    lists = [said(program).split() for program in [elsewhere(script, url) for _ in range(2)]]
    assert sorted(lists[0] + lists[1]) == sorted(f"E{n}" for n in range(30))


def test_the_chart_hears_a_claims_latest_word_and_never_an_older_one_after_it(store: SqlStore) -> None:
    queued(store, "W1", "W2", kind="write-back", claim="C-1")
    queued(store, "V1", kind="write-back", claim="C-2")
    queued(store, "N1", "N2", kind="write-back")
    [w2, *others] = store.due(NOW)
    assert [w2.key, *(p.key for p in others)] == ["W2", "V1", "N1", "N2"]
    queued(store, "W3", kind="write-back", claim="C-1")
    assert keys(store) == []  # W2 is on its way
    store.left(w2.id, "v7", NOW)
    assert keys(store) == ["W3"]
    with store.reading() as connection:
        statuses = connection.execute(text("SELECT key, status FROM outbox WHERE claim = 'C-1' ORDER BY id")).all()
    assert [tuple(row) for row in statuses] == [("W1", "overtaken"), ("W2", "sent"), ("W3", "waiting")]


def test_how_much_waits_is_told_in_numbers(store: SqlStore) -> None:
    store.keep(Kind.DOORBELL, "d", b"{}", at=NOW)
    bad = keep_file(store, "1")
    keep_file(store, "2")
    store.failed(bad.id, "broken")
    queued(store, "E1")
    assert store.waiting_counts() == {"doorbells": 1, "messages": 1, "quarantined": 1, "parcels": 1}


# Contention


def test_a_reader_waits_for_no_writer(store: SqlStore) -> None:
    keep_file(store)
    with store.begin() as book:
        book.save_claim(a_claim())
        assert store.cursor("x") == ""
        assert store.waiting_counts()["messages"] == 1


def test_a_writer_that_waits_too_long_is_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_of_work, "BUSY_MILLISECONDS", 50)
    migrate(url := f"sqlite:///{tmp_path / 'b.db'}")
    store = open_store(url)
    with store.begin(), pytest.raises(Contended):
        keep_file(store)
    keep_file(store)
    store.close()


def test_a_visit_is_kept_and_its_doorbell_ends_together_or_neither(url: str, store: SqlStore) -> None:
    bell, _ = store.keep(Kind.DOORBELL, "Encounter/e:1", b"{}", at=NOW)
    script = """
with store.answering() as box:
    box.keep('Encounter/e:digest', b'{}', at=NOW, name='Encounter/e', who='hook')
    box.done(int(sys.argv[2]), 'read')
    print('ready', flush=True)
    sys.stdin.read()
"""
    program = elsewhere(script, url, str(bell.id))
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    os.kill(program.pid, signal.SIGKILL)
    program.wait(timeout=10)
    assert store.doorbells(NOW) == [bell]
    with store.answering() as box:
        assert box.keep("Encounter/e:digest", b"{}", at=NOW, name="Encounter/e", who="hook")
        box.done(bell.id, "read")
    assert store.doorbells(NOW) == []
    with store.begin() as book:
        found = book.next_message()
    assert found is not None
    assert (found.kind, found.key, found.body) == (Kind.VISIT, "Encounter/e:digest", b"{}")


def test_only_what_can_be_read_again_waits_for_the_next_decision_to_be_forced_to_disk(store: SqlStore) -> None:
    asked = "SHOW synchronous_commit" if store.url.startswith("postgres") else "PRAGMA synchronous"

    def forced(connection: Connection) -> bool:
        return str(connection.execute(text(asked)).scalar()) in {"on", "2"}

    for _ in range(2):
        with store.begin() as book:
            assert forced(book.connection)
        with store.answering() as box:
            assert not forced(box._connection)
    with store.begin() as book:
        assert forced(book.connection)
