"""Real sockets, a real EHR, and a foreign sender: what a hospital was answered AA is kept, and what it says is done once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hl7.mllp
import pytest

from fhir_billing.cycle.records import Message, Outcome
from fhir_billing.domain.errors import SiteConfig
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr.connect import Ehr, EhrSettings, connect
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.hl7.acknowledge import Answered, read_answer
from fhir_billing.hl7.frames import Frames, framed
from fhir_billing.store import unit_of_work
from fhir_billing.worker import beat, mllp
from fhir_billing.worker.embedded import Heart
from fhir_billing.worker.heard import NotFoundYet, laid
from fhir_billing.worker.heard import answer as answer_heard
from tests.conftest import ROOT
from tests.e2e import charts
from tests.e2e.servers import settings_of
from tests.e2e.story import Story
from tests.unit.hl7.messages import adt, dft, ft1


class Sender:
    """A hospital's end of a connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.frames, self.heard = Frames(), list[bytes]()

    def send(self, *bodies: bytes) -> None:
        self.socket.sendall(b"".join(framed(body) for body in bodies))

    def answered(self) -> Answered:
        while not self.heard:
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError("closed without an answer")
            self.heard += [frame.body for frame in self.frames.feed(data)]
        return read_answer(self.heard.pop(0))

    def ask(self, body: bytes) -> Answered:
        self.send(body)
        return self.answered()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Story]:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="story-s1", day="2026-03-02")
    story.wiring.settings.mllp_listen = "127.0.0.1:0"
    yield story
    story.wiring.store.close()


@pytest.fixture
def listener(book: Story) -> Iterator[mllp.Listener]:
    with mllp.listening(book.wiring) as found:
        assert found is not None
        yield found


@pytest.fixture
def sender(listener: mllp.Listener) -> Iterator[Sender]:
    made = Sender(listener.port)
    yield made
    made.socket.close()


def bells(book: Story) -> list[Message]:
    return book.wiring.store.doorbells_by("mllp")


def test_what_is_acknowledged_is_kept_as_it_came(book: Story, sender: Sender) -> None:
    body = adt("A03", control="C-17")
    assert sender.ask(body) == Answered(code="AA", control="C-17")
    [bell] = bells(book)
    assert (bell.key, bell.body, bell.who) == ("hl7:ADTSYS:EXAMPLEHOSP:C-17", body, "hl7v2")
    assert bell.name == "ADT^A03 from ADTSYS"


def test_the_same_message_again_is_acknowledged_and_does_nothing(book: Story, sender: Sender) -> None:
    assert {sender.ask(adt()).code for _ in range(3)} == {"AA"}
    assert len(bells(book)) == 1


def test_other_bytes_under_the_same_control_id_are_refused_and_kept(book: Story, sender: Sender) -> None:
    sender.ask(adt(visit="V-1"))
    said = sender.ask(adt(visit="V-2"))
    assert said.code == "AE"
    assert "MSH-10" in said.say
    assert sender.ask(adt(visit="V-2")).code == "AE"
    assert [bell.outcome for bell in bells(book)] == [Outcome.WAITING, Outcome.QUARANTINED]


def test_hostile_bytes_are_refused_with_a_reason_and_kept(book: Story, sender: Sender) -> None:
    for body in (b"", b"\x00\xff" * 50, b"GET / HTTP/1.1\r\n\r\n", adt().replace(b"Dee", b"D\xff\xfe")):
        said = sender.ask(body)
        assert said.code == "AR"
        assert said.say.startswith("MSH")
    assert {bell.outcome for bell in bells(book)} == {Outcome.QUARANTINED}
    assert len(bells(book)) == 4
    assert sender.ask(adt()).code == "AA", "the connection goes on"


def test_messages_in_a_row_are_answered_in_their_order(book: Story, sender: Sender) -> None:
    sender.send(*(adt(control=f"C{number}") for number in range(30)))
    assert [sender.answered().control for _ in range(30)] == [f"C{number}" for number in range(30)]
    assert [bell.key.rpartition(":")[2] for bell in bells(book)] == [f"C{number}" for number in range(30)]


def test_half_a_message_is_dropped_and_the_next_is_read(book: Story, listener: mllp.Listener, sender: Sender) -> None:
    cut = Sender(listener.port)
    cut.socket.sendall(framed(adt(control="HALF"))[:-30])
    cut.socket.close()
    sender.socket.sendall(framed(adt(control="HALF"))[:-30])
    assert sender.ask(adt(control="WHOLE")).control == "WHOLE"
    assert [bell.key for bell in bells(book)] == ["hl7:ADTSYS:EXAMPLEHOSP:WHOLE"]


def test_a_message_that_is_too_large_is_refused_and_its_beginning_kept(book: Story, sender: Sender) -> None:
    sender.socket.sendall(b"\x0b" + adt(control="BIG") + b"NTE|1||" + b"x" * 1_100_000)
    said = sender.answered()
    assert (said.code, said.control) == ("AR", "BIG")
    with pytest.raises(ConnectionError):
        sender.answered()
    [bell] = bells(book)
    assert (bell.outcome, len(bell.body)) == (Outcome.QUARANTINED, 64_000)


def test_a_silent_half_message_ends_the_connection(book: Story) -> None:
    listener = mllp.Listener(book.wiring, patience=mllp.Patience(half=0.5))
    listener.start()
    slow = Sender(listener.port)
    slow.socket.sendall(b"\x0bMSH|")
    with pytest.raises(ConnectionError):
        slow.answered()
    listener.stop()


def test_a_stranger_is_not_listened_to(book: Story) -> None:
    book.wiring.settings.mllp_allow = "10.1.2.0/24"
    with mllp.listening(book.wiring) as listener:
        assert listener is not None
        with pytest.raises(OSError):
            Sender(listener.port).ask(adt())
    assert bells(book) == []


def test_a_stranger_who_knocks_all_the_time_is_said_once_in_a_while_with_a_count(
    book: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []
    log = SimpleNamespace(warning=lambda _, **values: said.append(values.get("count", 1)))
    monkeypatch.setattr(mllp, "_log", log)
    monkeypatch.setattr(mllp, "SAY_AGAIN", 2.0)
    book.wiring.settings.mllp_allow = "10.1.2.0/24"
    with mllp.listening(book.wiring) as listener:
        assert listener is not None
        for _ in range(100):
            Sender(listener.port).socket.close()
        for _ in range(100):
            if sum(said) == 100:
                break
            threading.Event().wait(0.1)
    assert sum(said) == 100
    assert len(said) < 10


def test_two_tenants_have_each_a_port_and_a_book(book: Story, sender: Sender, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Story(
        folder=tmp_path / "other", database=f"sqlite:///{tmp_path / 'other.db'}", scenario="pays", day="2026-03-02"
    )
    other.wiring.settings.mllp_listen = "127.0.0.1:0"
    with mllp.listening(other.wiring) as listener:
        assert listener is not None
        assert Sender(listener.port).ask(adt(control="THEIRS")).code == "AA"
        assert sender.ask(adt(control="OURS")).code == "AA"
    assert [bell.key.rpartition(":")[2] for bell in bells(book)] == ["OURS"]
    assert [bell.key.rpartition(":")[2] for bell in bells(other)] == ["THEIRS"]


def test_either_database_keeps_whatever_a_hospital_sends(each_database: str, tmp_path: Path) -> None:
    story = Story(folder=tmp_path, database=each_database, scenario="pays", day="2026-03-02")
    sent = [
        adt(), adt(visit="V-2"), b"\x00\xff", dft(ft1()), dft(ft1("T" * 227), visit="V" * 227, control="D" * 227),
        adt(control="naïve").replace(b"|2.5.1", b"|2.5.1||||||UNICODE UTF-8"), adt(control="C" * 228),
    ]  # fmt: skip
    said = [mllp.take(story.wiring, body) for body in (*sent, *sent)]
    codes = [read_answer(one).code for one in said if one]
    assert codes == ["AA", "AE", "AR", "AA", "AA", "AA", "AR"] * 2
    assert len(bells(story)) == 7
    heard(story)
    assert {bell.outcome for bell in bells(story)} == {Outcome.DONE, Outcome.QUARANTINED}
    assert [bell.findings[0]["key"] for bell in bells(story)[3:5]] == ["visit-unclear"] * 2, "without an EHR"
    story.wiring.store.close()


def test_a_locked_book_is_an_ae_and_the_sender_repeats(
    book: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "BUSY_MILLISECONDS", 200)
    with mllp.listening(book.wiring) as listener:
        assert listener is not None
        sender = Sender(listener.port)
        sender.ask(adt(control="BEFORE"))
        other = sqlite3.connect(tmp_path / "book.db", isolation_level=None)
        other.execute("begin immediate")
        said = sender.ask(adt())
        assert (said.code, said.say) == ("AE", "the message could not be kept here; send it again")
        other.execute("rollback")
        assert sender.ask(adt()).code == "AA"
    assert len(bells(book)) == 2


def test_a_book_that_is_not_there_is_an_ae(tmp_path: Path) -> None:
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-02")
    story.wiring.settings.mllp_listen = "127.0.0.1:0"
    (tmp_path / "book.db").unlink()
    with mllp.listening(story.wiring) as listener:
        assert listener is not None
        assert Sender(listener.port).ask(adt()).code == "AE"


def test_two_senders_at_once_are_both_answered_and_nothing_is_twice(book: Story, listener: mllp.Listener) -> None:
    codes: list[str] = []

    def hospital() -> None:
        sender = Sender(listener.port)
        codes.extend(sender.ask(adt(control=f"C{number}")).code for number in range(20))

    threads = [threading.Thread(target=hospital) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["AA"] * 40
    assert len(bells(book)) == 20


def test_a_stopped_listener_lets_its_port_go_and_the_next_one_takes_it(book: Story) -> None:
    first = mllp.Listener(book.wiring)
    first.start()
    book.wiring.settings.mllp_listen = f"127.0.0.1:{first.port}"
    second = mllp.Listener(book.wiring, patience=mllp.Patience(bind=0.1))
    second.start()
    assert second.port == 0
    sender = Sender(first.port)
    assert sender.ask(adt()).code == "AA"
    first.stop()
    deadline = 100
    while not second.port and deadline:
        threading.Event().wait(0.1)
        deadline -= 1
    assert Sender(second.port).ask(adt()).code == "AA"
    second.stop()


def test_the_mllp_client_of_the_hl7_library_is_answered(book: Story, listener: mllp.Listener) -> None:
    async def foreign() -> Any:
        reader, writer = await hl7.mllp.open_hl7_connection("127.0.0.1", listener.port)
        writer.writemessage(hl7.parse(adt(control="FOREIGN").decode()))
        await writer.drain()
        ack = await reader.readmessage()
        writer.close()
        return ack

    with ThreadPoolExecutor(1) as other:  # a browser of another test may have a loop in this thread
        ack = other.submit(asyncio.run, foreign()).result()
    assert [str(ack.segment("MSA")[n]) for n in (1, 2)] == ["AA", "FOREIGN"]
    [bell] = bells(book)
    assert bell.key.endswith(":FOREIGN")


KILLED = """
import os, signal, sys, time
from fhir_billing.settings import Settings
from fhir_billing.wiring import wire
from fhir_billing.worker import mllp
mllp.answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
listener = mllp.Listener(wire(Settings(database=sys.argv[1], mllp_listen="127.0.0.1:0", redis_url="")))
listener.start()
print(listener.port, flush=True)
time.sleep(60)
"""


def test_killed_between_commit_and_answer_the_sender_repeats_and_it_is_once(book: Story, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "book.db")], stdout=subprocess.PIPE, cwd=ROOT, env=os.environ
    )
    assert process.stdout is not None
    with process.stdout:
        sender = Sender(int(process.stdout.readline()))
    with pytest.raises(OSError):
        sender.ask(adt())
    assert process.wait(20) == -signal.SIGKILL
    assert len(bells(book)) == 1, "kept before it died"
    with mllp.listening(book.wiring) as listener:
        assert listener is not None
        assert Sender(listener.port).ask(adt()).code == "AA"
    assert len(bells(book)) == 1


# what was heard is done


@pytest.fixture(params=["sekmet", "ci_ehr"])
def ehr(request: pytest.FixtureRequest) -> Ehr:
    """Two EHRs that nobody here wrote."""
    found: Any = request.getfixturevalue(request.param)
    if request.param == "sekmet":
        return connect(EhrSettings(url=found.url))[0]
    settings = settings_of(found)
    return connect(settings)[0]


@pytest.fixture
def hospital(book: Story, ehr: Ehr, listener: mllp.Listener) -> Story:
    """Dee's closed visit in a chart whose number is V-DEE."""
    book.wiring.__dict__["ehr"] = (ehr, ehr)
    for name in ("clinic", "dee"):
        ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    change(
        ehr, "Encounter/dee-visit", status="finished", identifier=[{"system": "urn:example:visits", "value": "V-DEE"}]
    )
    return book


def change(ehr: Ehr, reference: str, **values: Any) -> None:
    found = ehr.client.read(reference)
    ehr.client.update({**found, **values}, version=found["meta"]["versionId"])


def heard(book: Story) -> None:
    beat.answer_doorbells(book.wiring)
    beat.work(book.wiring)


def test_a_visit_closed_by_a03_is_read_and_drafted(hospital: Story, sender: Sender) -> None:
    assert sender.ask(adt("A03", "V-DEE")).code == "AA"
    heard(hospital)
    [bell] = bells(hospital)
    assert bell.say == "read Encounter/dee-visit"
    claim = hospital.only_claim()
    assert (claim.state, claim.charge) == (State.READY, 15000)
    with hospital.wiring.store.looking() as book:
        visit = book.visit("Encounter/dee-visit")
    assert visit is not None
    assert visit.found_by == "hl7v2"
    assert hospital.replay_is_equal(hospital.folder)


def test_a_visit_number_that_is_the_encounters_id_is_found_too(hospital: Story, sender: Sender) -> None:
    sender.ask(adt("A03", "dee-visit"))
    heard(hospital)
    assert hospital.only_claim().encounter == "Encounter/dee-visit"


def test_charges_on_a_chart_without_charge_items_make_the_claim(hospital: Story, ehr: Ehr, sender: Sender) -> None:
    change(ehr, "ChargeItem/dee-charge1", status="entered-in-error", context={"reference": "Encounter/elsewhere"})
    said = sender.ask(
        dft(ft1("T1", quantity="1", amount="150.00"), ft1("T2", code="20600^^C4", amount="75.50"), visit="V-DEE")
    )
    assert said.code == "AA"
    heard(hospital)
    claim = hospital.only_claim()
    assert claim.charge == 22550
    assert [bell.say for bell in bells(hospital)] == [
        "2 charges kept; read Encounter/dee-visit with 2 charges heard by HL7 v2"
    ]
    sender.ask(dft(ft1("T2", kind="CR", code="20600^^C4", amount="75.50"), visit="V-DEE", event="P11", control="D2"))
    heard(hospital)
    assert hospital.only_claim().charge == 15000
    sender.ask(dft(ft1("T1", amount="175.00"), visit="V-DEE", event="P11", control="D3"))
    heard(hospital)
    assert hospital.only_claim().charge == 17500
    assert hospital.replay_is_equal(hospital.folder)


def test_a_discharge_waits_for_the_chart_to_close_the_visit(hospital: Story, ehr: Ehr, sender: Sender) -> None:
    change(ehr, "Encounter/dee-visit", status="in-progress")
    sender.ask(adt("A03", "V-DEE"))
    heard(hospital)
    [bell] = bells(hospital)
    assert (bell.outcome, bell.say) == (
        Outcome.WAITING,
        "the hospital has closed this visit and the chart has not yet",
    )
    change(ehr, "Encounter/dee-visit", status="finished")
    hospital.clock.to("2026-03-02", hour=13)
    heard(hospital)
    assert hospital.only_claim().state is State.READY


def test_charges_of_an_open_visit_are_kept_until_whoever_finds_it_closed(
    hospital: Story, ehr: Ehr, sender: Sender
) -> None:
    change(ehr, "ChargeItem/dee-charge1", status="entered-in-error", context={"reference": "Encounter/elsewhere"})
    change(ehr, "Encounter/dee-visit", status="in-progress")
    sender.ask(dft(ft1(amount="160.00"), visit="V-DEE"))
    heard(hospital)
    assert hospital.claims() == {}
    change(ehr, "Encounter/dee-visit", status="finished")
    hospital.rang("Encounter/dee-visit")
    assert hospital.only_claim().charge == 16000
    assert hospital.replay_is_equal(hospital.folder)


def test_charges_are_not_added_where_the_chart_has_its_own(hospital: Story, sender: Sender) -> None:
    sender.ask(dft(ft1(amount="999.00"), visit="V-DEE"))
    heard(hospital)
    assert hospital.only_claim().charge == 15000
    assert "its chart has charges" in bells(hospital)[0].say


def test_a_credit_that_takes_nothing_away_is_shown_to_people(hospital: Story, sender: Sender) -> None:
    sender.ask(dft(ft1("T9", kind="CR", amount="1.00"), visit="V-DEE"))
    heard(hospital)
    [bell] = bells(hospital)
    assert bell.outcome is Outcome.QUARANTINED
    assert bell.findings[0]["key"] == "credit-unmatched"


def test_a_later_version_of_a_charge_that_a_credit_had_matched_is_shown_to_people(
    hospital: Story, sender: Sender
) -> None:
    sender.ask(dft(ft1("T1"), ft1("T2", kind="CR"), visit="V-DEE"))
    sender.ask(dft(ft1("T1", amount="175.00"), visit="V-DEE", event="P11", control="D2"))
    heard(hospital)
    assert [bell.outcome for bell in bells(hospital)] == [Outcome.DONE, Outcome.QUARANTINED]


def test_a_discharge_cancelled_after_the_claim_left_flags_it(hospital: Story, ehr: Ehr, sender: Sender) -> None:
    sender.ask(adt("A03", "V-DEE"))
    heard(hospital)
    hospital.send()
    number = hospital.only_claim().number
    assert hospital.state(number) is State.SENT
    change(ehr, "Encounter/dee-visit", status="in-progress")
    sender.ask(adt("A13", "V-DEE", control="C2"))
    heard(hospital)
    with hospital.wiring.store.looking() as book:
        visit = book.visit("Encounter/dee-visit")
    assert visit is not None
    assert visit.changed_after_send
    assert hospital.state(number) is State.SENT, "never a silent change"


def test_a_number_that_the_ehr_does_not_know_is_tried_again_then_shown(hospital: Story, sender: Sender) -> None:
    sender.ask(adt("A03", "V-NOBODY"))
    for _ in range(9):
        [bell] = bells(hospital)
        assert bell.outcome is Outcome.WAITING
        heard(hospital)
        hospital.clock.to("2026-03-02", hour=hospital.clock.time.hour + 1)
    [bell] = bells(hospital)
    assert bell.outcome is Outcome.QUARANTINED
    assert bell.findings[0]["key"] == "visit-unclear"


def test_a_number_that_means_two_visits_is_shown_unless_its_authority_tells_which(
    hospital: Story, ehr: Ehr, sender: Sender
) -> None:
    def numbered(reference: str, oid: str) -> None:
        change(ehr, reference, identifier=[{"system": f"urn:oid:{oid}", "value": "V-TWICE"}], status="finished")

    ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries("ada")})
    numbered("Encounter/ada-visit", "1.2.3.1")
    numbered("Encounter/dee-visit", "1.2.3.2")
    sender.ask(adt("A03", "V-TWICE"))
    sender.ask(adt("A03", "V-TWICE", control="C2").replace(b"EXAMPLEHOSP^VN", b"X&1.2.3.2&ISO^VN"))
    heard(hospital)
    one, two = bells(hospital)
    assert (one.outcome, one.say) == (Outcome.WAITING, "the EHR has 2 visits of this number")
    assert two.say == "read Encounter/dee-visit"
    numbered("Encounter/ada-visit", "1.2.3.1")
    change(ehr, "Encounter/ada-visit", identifier=[])


HOSP = b"HOSP&1.2.3&ISO"


def of_dee(body: bytes, *, number: bytes = HOSP, patient: bytes = b"MR-DEE^^^&2.16.840.1.113883.19.5&ISO^MR") -> bytes:
    """A message whose numbers say who gave them."""
    return body.replace(b"EXAMPLEHOSP^VN", number + b"^VN").replace(b"MRN-7^^^EXAMPLEHOSP^MR", patient)


@pytest.fixture
def bos_visit_is_55(hospital: Story, ehr: Ehr) -> Iterator[Story]:
    """Dee's visit has the number 55 of this hospital; Bo's has the id 55. Neither has charges of its own."""
    bo = charts.entries("bo")
    bo = loads(dumps(bo).replace(b"Encounter/bo-visit", b"Encounter/55").replace(b'"bo-visit"', b'"55"'))
    bo = [entry for entry in bo if entry["resource"]["resourceType"] != "ChargeItem"]
    ehr.client.batch({"resourceType": "Bundle", "type": "batch", "entry": bo})
    change(ehr, "Encounter/55", status="finished", identifier=[])
    change(ehr, "ChargeItem/dee-charge1", status="entered-in-error", context={"reference": "Encounter/elsewhere"})
    change(ehr, "Encounter/dee-visit", identifier=[{"system": "urn:oid:1.2.3", "value": "55"}])
    yield hospital
    change(ehr, "Encounter/55", status="cancelled", identifier=[])


def laid_on(book: Story, encounter: str) -> int:
    """How many heard charges a reading of a visit brings."""
    visit = {"resourceType": "Encounter", "id": encounter.partition("/")[2], "identifier": [{"value": "55"}]}
    return len(laid(book.wiring, encounter, [visit])[0]) - 1


def test_a_charge_goes_to_the_visit_that_the_message_means_and_to_no_other_of_its_number(
    bos_visit_is_55: Story, sender: Sender
) -> None:
    sender.ask(of_dee(dft(ft1(amount="777.00"), visit="55")))
    heard(bos_visit_is_55)
    assert [laid_on(bos_visit_is_55, f"Encounter/{visit}") for visit in ("dee-visit", "55", "other")] == [1, 0, 0]
    claim = bos_visit_is_55.only_claim()
    assert (claim.encounter, claim.charge) == ("Encounter/dee-visit", 77700)


def test_a_charge_of_a_visit_that_is_not_charted_yet_waits_and_goes_to_no_visit_of_that_id(
    bos_visit_is_55: Story, ehr: Ehr, sender: Sender
) -> None:
    change(ehr, "Encounter/dee-visit", identifier=[])
    sender.ask(of_dee(dft(ft1(amount="777.00"), visit="55")))
    sender.ask(dft(ft1(amount="888.00"), visit="55", control="D2"))
    heard(bos_visit_is_55)
    waits, refused = bells(bos_visit_is_55)
    assert (waits.outcome, waits.say) == (Outcome.WAITING, "the EHR has no visit of this number")
    assert refused.findings[0]["key"] == "another-patient", "the id alone is not believed"
    assert bos_visit_is_55.claims() == {}
    change(ehr, "Encounter/dee-visit", identifier=[{"system": "urn:oid:1.2.3", "value": "55"}])
    bos_visit_is_55.clock.to("2026-03-02", hour=13)
    heard(bos_visit_is_55)
    assert bos_visit_is_55.only_claim().charge == 77700
    assert bos_visit_is_55.replay_is_equal(bos_visit_is_55.folder)


def test_a_number_that_somebody_else_gave_is_another_number(bos_visit_is_55: Story, ehr: Ehr, sender: Sender) -> None:
    change(ehr, "Encounter/dee-visit", identifier=[{"system": "urn:oid:9.9", "value": "55"}])
    sender.ask(of_dee(dft(ft1(), visit="55")))
    heard(bos_visit_is_55)
    assert bells(bos_visit_is_55)[0].say == "the EHR has no visit of this number"
    assert laid_on(bos_visit_is_55, "Encounter/dee-visit") == 0


def test_a_visit_id_with_its_patients_number_is_enough_for_a_charge(hospital: Story, sender: Sender) -> None:
    sender.ask(of_dee(dft(ft1(), visit="dee-visit"), number=b"X"))
    sender.ask(of_dee(dft(ft1("T2"), visit="dee-visit", control="D2"), number=b"X", patient=b"dee"))
    heard(hospital)
    assert {bell.outcome for bell in bells(hospital)} == {Outcome.DONE}
    assert laid_on(hospital, "Encounter/dee-visit") == 2


def test_a_charge_of_another_patient_is_shown_to_people_and_kept_for_nobody(hospital: Story, sender: Sender) -> None:
    sender.ask(of_dee(dft(ft1(), visit="V-DEE"), number=b"X", patient=b"MR-BO^^^&2.16.840.1.113883.19.5&ISO^MR"))
    sender.ask(of_dee(dft(ft1(), visit="V-DEE", control="D2"), number=b"X", patient=b"MR-BO^^^&9.9&ISO^MR"))
    heard(hospital)
    refused, unknown = bells(hospital)
    assert (refused.outcome, refused.findings[0]["key"]) == (Outcome.QUARANTINED, "another-patient")
    assert unknown.outcome is Outcome.DONE, "a number that the chart cannot know refuses nothing"
    assert laid_on(hospital, "Encounter/dee-visit") == 1


def test_a_credit_that_is_worked_before_its_charge_takes_it_away(hospital: Story, sender: Sender) -> None:
    sender.ask(dft(ft1("T1"), visit="V-DEE"))
    sender.ask(dft(ft1("T1", kind="CR"), visit="V-DEE", control="D2"))
    charge, credit = bells(hospital)
    with pytest.raises(NotFoundYet, match="no charge that is known yet"):
        answer_heard(hospital.wiring, credit, str)
    answer_heard(hospital.wiring, charge, str)
    hospital.wiring.store.doorbell_done(charge.id, "")
    answer_heard(hospital.wiring, credit, str)
    assert laid_on(hospital, "Encounter/dee-visit") == 0


def test_charges_that_are_kept_twice_because_a_worker_died_are_kept_once(hospital: Story, sender: Sender) -> None:
    sender.ask(dft(ft1("T1"), ft1("T1", kind="CR"), ft1("T3"), ft1("T4"), ft1("T2", kind="CR"), visit="V-DEE"))
    sender.ask(dft(ft1("T3", amount="175.00"), visit="V-DEE", event="P11", control="D2"))
    first, second = bells(hospital)

    def kept() -> list[tuple[str, bytes]]:
        with hospital.wiring.store.looking() as book:
            return [(record.key, record.resource) for record in book.heard("Encounter/dee-visit")]

    read = list[str]()

    def reads(encounter: str) -> str:
        read.append(encounter)
        return "read"

    def answered(bell: Message) -> None:
        answer_heard(hospital.wiring, bell, reads)

    answered(first)
    answered(second)
    once = kept()
    answered(first)
    answered(second)
    assert kept() == once
    assert len(once) == 4
    assert set(read) == {"Encounter/dee-visit"}


def test_an_update_of_an_open_visit_reads_nothing(hospital: Story, ehr: Ehr, sender: Sender) -> None:
    change(ehr, "Encounter/dee-visit", status="in-progress")
    sender.ask(adt("A08", "V-DEE"))
    sender.ask(adt("A01", "V-DEE", control="C2"))
    heard(hospital)
    assert [bell.say for bell in bells(hospital)] == [
        "the chart has not closed this visit; it is read when it does",
        "A01 says nothing about a closed visit",
    ]
    assert hospital.claims() == {}


# whoever beats also listens


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("engine", ["worker", "serve", "worker on Redis"])
def test_the_process_that_beats_listens_and_stops_cleanly(
    book: Story, engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    port = free_port()
    command = ["serve", "--port", "PORT"] if engine == "serve" else ["worker"]
    redis_url = str(request.getfixturevalue("redis_url")) if "Redis" in engine else ""
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_billing", *(str(free_port()) if word == "PORT" else word for word in command)],
        env={
            **os.environ,
            "FHIR_BILLING_DATABASE": str(tmp_path / "book.db"),
            "FHIR_BILLING_CHANNELS": str(tmp_path / "channels"),
            "FHIR_BILLING_MLLP_LISTEN": f"127.0.0.1:{port}",
            "FHIR_BILLING_DEMO": "1",
            "REDIS_URL": redis_url,
        },
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    sender = None
    for _ in range(150):
        try:
            sender = Sender(port)
            break
        except OSError:
            threading.Event().wait(0.1)
    assert sender is not None
    assert sender.ask(adt()).code == "AA"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in {0, -signal.SIGTERM}
    with pytest.raises(OSError):
        sender.ask(adt(control="C2"))
    assert len(bells(book)) == 1


@pytest.mark.parametrize("wrong", ["2575", "127.0.0.1:port", "127.0.0.1:99999"])
def test_a_port_that_cannot_be_stops_the_start(book: Story, wrong: str) -> None:
    book.wiring.settings.mllp_listen = wrong
    with pytest.raises(SiteConfig, match="host:port"):
        Heart(book.wiring)
