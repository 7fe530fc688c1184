"""The claim's status goes to a hospital's receiver by HL7 v2: the same bytes until it says that it has them, and the latest wins."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hl7
import hl7.mllp
import pytest

from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import rungs
from fhir_billing.hl7.frames import Frames, framed
from fhir_billing.hl7.message import V2Message, read
from fhir_billing.worker import beat, hl7_out
from tests.e2e import charts
from tests.e2e.story import Story


class Hospital:
    """A small receiver; what it answers is set by the test, None is silence."""

    def __init__(self) -> None:
        self.took: list[bytes] = []
        self.code: str | None = "AA"
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                frames = Frames()
                while data := connection.recv(65_536):
                    for frame in frames.feed(data):
                        self.took.append(frame.body)
                        if self.code is None:
                            break
                        control = read(frame.body).control
                        ack = f"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|{self.code}|{control}|they said so\r"
                        connection.sendall(framed(ack.encode()))
                    if self.code is None:
                        break

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    @property
    def heard(self) -> list[V2Message]:
        return [read(body) for body in self.took]


def statuses(hospital: Hospital) -> list[str]:
    return [obx.text(5) for message in hospital.heard for obx in message.all("OBX") if obx.text(3) == "STATUS"]


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    made = Hospital()
    yield made
    with suppress(OSError):
        made.stop()


@pytest.fixture
def book(tmp_path: Path, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setattr(hl7_out, "REST", -1.0)
    monkeypatch.setattr(hl7_out, "PATIENCE", 1.0)
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="pays", day="2026-03-02")
    story.wiring.settings.ehr_rung = "hl7v2"
    story.wiring.settings.hl7_out = hospital.address
    yield story
    story.wiring.store.close()


@pytest.fixture
def closed(book: Story) -> Story:
    resources = charts.finished(charts.chart("dee"))
    for resource in resources:
        if resource["resourceType"] == "Encounter":
            number = {"type": {"coding": [{"code": "VN"}]}, "system": "urn:oid:1.2.3", "value": "V-DEE"}
            resource["identifier"] = [number]
    book.visit("Encounter/dee-visit", resources)
    return book


def relayed(book: Story) -> None:
    beat.relay(book.wiring)
    beat.relay(book.wiring)


def test_the_status_of_a_claim_arrives_as_a_result_that_names_patient_visit_and_claim(
    closed: Story, hospital: Hospital
) -> None:
    relayed(closed)
    [message] = hospital.heard
    claim = closed.only_claim()
    assert message.msh.text(9, 3) == "ORU_R01"
    pid, pv1, obr = message.first("PID"), message.first("PV1"), message.first("OBR")
    assert pid is not None
    assert pv1 is not None
    assert obr is not None
    assert pid.text(5) == "Zztest"
    assert (pv1.text(2), pv1.text(19), pv1.text(19, 4), pv1.text(19, 5)) == ("O", "V-DEE", "1.2.3", "VN")
    assert (obr.text(3), obr.text(4), obr.text(25)) == (claim.number, "BILLING", "P")
    assert {o.text(3): o.text(5) for o in message.all("OBX")}["STATUS"] == "ready"


def test_every_state_of_a_claims_life_is_told_once(closed: Story, hospital: Hospital) -> None:
    relayed(closed)
    beat.until_quiet(closed.wiring)
    assert closed.only_claim().state in {State.PAID, State.CLOSED}
    said = statuses(hospital)
    assert said[0] == "ready"
    assert said[-1] in {"adjudicated", "closed"}
    assert len({m.control for m in hospital.heard}) == len(hospital.heard)
    assert {o.text(3): o.text(5) for o in hospital.heard[-1].all("OBX")}["PAID"]
    assert not closed.wiring.store.waiting_counts()["parcels"]


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_refusal_stays_in_the_outbox_with_what_was_said(closed: Story, hospital: Hospital, code: str) -> None:
    hospital.code = code
    relayed(closed)
    [parcel] = [p for p in closed.wiring.store.due(closed.clock.now().replace(year=2027)) if p.kind == "hl7"]
    assert parcel.say == f"the hospital answered {code}: they said so"


def test_a_silent_hospital_gets_the_same_bytes_under_the_same_control_id(closed: Story, hospital: Hospital) -> None:
    hospital.code = None
    relayed(closed)
    closed.clock.to("2026-03-02", hour=14)
    hospital.code = "AA"
    relayed(closed)
    assert len(hospital.took) == 2
    assert len(set(hospital.took)) == 1
    assert not closed.wiring.store.waiting_counts()["parcels"]


def test_a_later_status_overtakes_one_that_waits(closed: Story, hospital: Hospital) -> None:
    hospital.code = "AE"
    relayed(closed)
    before = len(hospital.took)
    closed.send()
    hospital.code = "AA"
    relayed(closed)
    assert statuses(hospital)[before:] == ["queued", "sent"]
    closed.clock.to("2026-03-03")
    relayed(closed)
    assert statuses(hospital)[before:] == ["queued", "sent"], "the older one never arrives after the newer"


def test_a_receiver_that_is_down_is_left_alone_for_a_while(
    closed: Story, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.stop()
    monkeypatch.setattr(hl7_out, "REST", 30.0)
    relayed(closed)
    closed.clock.to("2026-03-02", hour=14)
    relayed(closed)
    [parcel] = [p for p in closed.wiring.store.due(closed.clock.now().replace(year=2027)) if p.kind == "hl7"]
    assert parcel.say == "the hospital's HL7 v2 receiver did not answer a moment ago"


def test_the_hl7_librarys_own_server_takes_it(closed: Story) -> None:
    heard: list[hl7.Message] = []
    ready, port = threading.Event(), list[int]()

    async def serve() -> None:
        done = asyncio.Event()

        async def talk(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
            message = await reader.readmessage()
            heard.append(message)
            writer.writemessage(message.create_ack())
            await writer.drain()
            writer.close()
            done.set()

        async with await hl7.mllp.start_hl7_server(talk, host="127.0.0.1", port=0) as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.wait_for(done.wait(), 20)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    closed.wiring.settings.hl7_out = f"127.0.0.1:{port[0]}"
    relayed(closed)
    thread.join(20)
    [message] = heard
    assert str(message["OBR"][0][4]) == "BILLING^Billing status of the visit^L"
    assert not closed.wiring.store.waiting_counts()["parcels"]


def test_the_ladder_knows_this_rung() -> None:
    rung = rungs.named("hl7v2")
    assert rung.order == 6
