"""One suite for every rung that writes by plain FHIR, on EHRs nobody here wrote: what is written is read again, changed in
place, left alone when nothing changed, and healed when somebody else was there. No EHR has a special case."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from fhir_billing.domain.errors import Contended
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import rungs
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import connect
from fhir_billing.ehr.putting import is_ours, number_of
from fhir_billing.ehr.rungs import Held, Put, Told
from fhir_billing.ehr.write import find
from fhir_billing.fhir.ours import CLAIM_NUMBER, identifier, meta, usd, where
from fhir_billing.fhir.task import STATUS, task
from tests.e2e import charts
from tests.e2e.servers import settings_of

KIND_OF = {"task": "Task", "communication": "Communication", "document": "DocumentReference"}
FIVE = (State.READY, State.SENT, State.ACCEPTED, State.PENDED, State.PAID)


@dataclass
class Server:
    name: str
    client: FhirClient
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", params=["sekmet", "sekmet_smart", "ci_ehr"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found: Any = request.getfixturevalue(request.param)
    settings = settings_of(found)
    client = connect(settings)[0].client
    for name in ("clinic", "ada"):
        client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    yield Server(request.param, client)
    for name in ("clinic", "ada"):
        client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})


@pytest.fixture
def counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request to the EHR from here on."""
    asked: list[str] = []
    send = FhirClient._send

    def counting(self: FhirClient, method: str, path: str, *args: Any, **more: Any) -> httpx2.Response:
        asked.append(f"{method} {path.split('?', maxsplit=1)[0]}")
        return send(self, method, path, *args, **more)

    monkeypatch.setattr(FhirClient, "_send", counting)
    return asked


def a_number() -> str:
    return f"C-{uuid.uuid4().hex[:12].upper()}"


def told(number: str, state: State, *, paid: int = 0, atomic: bool = False) -> Told:
    """A claim of Ada's in some state, as the outbox holds it."""
    patient, visit = "Patient/ada", "Encounter/ada-visit"
    since = f"2026-03-{2 + list(State).index(state):02d}T10:00:00+00:00"
    common = {"meta": meta(), "identifier": identifier(number), "status": "active", "use": "claim",
              "type": {"text": "professional"}, "patient": {"reference": patient}, "created": since}  # fmt: skip
    found: list[dict[str, Any]] = []
    if state not in {State.READY, State.HELD}:
        found.append({
            "resourceType": "Claim", **common, "provider": {"display": "Example Family Clinic"},
            "priority": {"text": "normal"}, "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "EXC01"}}],
        })  # fmt: skip
    answer = {**common, "insurer": {"display": "Example Plan"}, "outcome": "complete" if paid else "queued"}
    if state in {State.ACCEPTED, State.PENDED, State.PAID, State.DENIED}:
        found.append({"resourceType": "ClaimResponse", **answer, "request": {"reference": where("Claim", number)},
                      "disposition": STATUS[state][2]})  # fmt: skip
    if paid:
        found.append({
            "resourceType": "ExplanationOfBenefit", **answer, "provider": {"display": "Example Family Clinic"},
            "claim": {"reference": where("Claim", number)}, "payment": {"amount": usd(paid)},
            "insurance": [{"focal": True, "coverage": {"display": "EXC01"}}],
        })  # fmt: skip
    found.append(task(number=number, state=state, patient=patient, encounter=visit, since=since,
                      claim_is_written=state is not State.READY))  # fmt: skip
    row = {"number": number, "payer": "Example Plan", "status": STATUS[state][2], "charge": "155.00",
           "paid": f"{paid // 100}.00", "patient": "0.00", "next": "the payer answers"}  # fmt: skip
    visit_said = {"encounter": visit, "number": number, "patient": patient, "served_on": "2026-03-02",
                  "what": "office", "changed": since, "over": False, "rows": [row]}  # fmt: skip
    return Told(claim=number, resources=tuple(found), visit=visit_said, atomic=atomic)


def held_after(puts: list[Put], before: Mapping[str, Held] | None = None) -> dict[str, Held]:
    """What the book remembers."""
    made = {p.kind: Held(reference=p.reference, version=p.version, digest=p.digest) for p in puts if p.reference}
    return {**(before or {}), **made}


def verbs(puts: list[Put]) -> dict[str, str]:
    return {put.kind: put.verb for put in puts}


@pytest.mark.parametrize("atomic", [False, True], ids=["one by one", "as a transaction"])
def test_the_whole_bill_is_written_read_again_changed_in_place_and_then_left_alone(
    server: Server, counted: list[str], atomic: bool
) -> None:
    client, number, rung = server.client, a_number(), rungs.named("claim-and-response")
    held = held_after(rung.write(client, told(number, State.SENT, atomic=atomic), {}))
    claim, living = find(client, "Claim", number), find(client, "Task", number)
    assert claim is not None and living is not None
    assert living["focus"]["reference"] == f"Claim/{claim['id']}"

    puts = rung.write(client, told(number, State.PAID, paid=8600, atomic=atomic), held)
    assert {kind: verb for kind, verb in verbs(puts).items() if kind != "Provenance"} == {
        "Claim": "updated", "ClaimResponse": "created", "ExplanationOfBenefit": "created", "Task": "updated",
    }  # fmt: skip
    held = held_after(puts, held)
    for kind in ("Claim", "ClaimResponse", "ExplanationOfBenefit", "Task"):
        found = find(client, kind, number)
        assert found is not None
        assert f"{kind}/{found['id']}" == held[kind].reference
        assert found["meta"]["versionId"] == held[kind].version
        assert is_ours(found) and found["meta"]["source"].startswith("https://fhir-billing.example/fhir/"), kind
        assert len(list(client.search(kind, {"identifier": f"{CLAIM_NUMBER}|{number}"}))) == 1
    response = find(client, "ClaimResponse", number)
    assert response is not None and response["request"]["reference"] == f"Claim/{claim['id']}"

    counted.clear()
    again = rung.write(client, told(number, State.PAID, paid=8600, atomic=atomic), held)
    assert set(verbs(again).values()) == {"unchanged"}
    assert counted == [], "what did not change is not asked for"


@pytest.mark.parametrize("name", ["claim-and-response", *KIND_OF])
def test_who_wrote_it_and_from_which_visit_stands_in_one_provenance(server: Server, name: str) -> None:
    client, number = server.client, a_number()
    held: dict[str, Held] = {}
    for state in FIVE:
        held = held_after(rungs.named(name).write(client, told(number, state), held), held)
    (found,) = [
        r for r in client.search("Provenance", {"target": held[KIND_OF.get(name, "Task")].reference}) if is_ours(r)
    ]
    assert found["agent"][0]["who"]["display"] == "fhir-billing"
    assert found["entity"][0]["what"]["reference"] == "Encounter/ada-visit"
    assert found["recorded"].startswith("2026-03-")


@pytest.mark.parametrize("name", list(KIND_OF))
def test_a_rung_writes_one_resource_and_changes_it_through_five_states(
    server: Server, counted: list[str], name: str
) -> None:
    client, number, rung, kind = server.client, a_number(), rungs.named(name), KIND_OF[name]
    held: dict[str, Held] = {}
    said, places = [], set()
    for state in FIVE:
        puts = rung.write(client, told(number, state), held)
        held = held_after(puts, held)
        said.append(verbs(puts)[kind])
        places.add(held[kind].reference)
        counted.clear()
        rung.write(client, told(number, state), held)
        assert counted == []
    assert said == ["created", "updated", "updated", "updated", "updated"]
    assert len(places) == 1
    (one,) = client.search(kind, {"identifier": f"{CLAIM_NUMBER}|{number}"})
    assert number_of(one) == number and is_ours(one)


def test_the_document_is_read_by_people_and_is_no_clinical_note(server: Server) -> None:
    client, number = server.client, a_number()
    rungs.named("document").write(client, told(number, State.PAID, paid=8600), {})
    found = find(client, "DocumentReference", number)
    assert found is not None
    page = base64.b64decode(found["content"][0]["attachment"]["data"]).decode()
    assert "Billing status" in page and "Paid" in page and "86.00" in page and number in page
    assert "<script" not in page
    assert found["type"]["text"] == "Billing status" and found["category"] == [{"text": "Billing"}]


def test_somebody_who_edits_our_task_is_put_right_at_the_next_word_and_their_tags_stay(server: Server) -> None:
    client, number, rung = server.client, a_number(), rungs.named("task")
    held = held_after(rung.write(client, told(number, State.SENT), {}))
    living = client.read(held["Task"].reference)
    theirs = {"system": "https://elsewhere.example/", "code": "seen"}
    edited = {
        **living,
        "status": "failed",
        "description": "edited",
        "meta": {**living["meta"], "tag": [*living["meta"]["tag"], theirs]},
    }
    client.update(edited, version=living["meta"]["versionId"])
    puts = rung.write(client, told(number, State.ACCEPTED), held)
    assert verbs(puts)["Task"] == "updated"
    healed = client.read(held["Task"].reference)
    assert healed["status"] == "accepted" and "description" not in healed
    assert theirs in healed["meta"]["tag"]


def test_a_writer_who_meets_another_reads_again_and_decides_anew(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, number, rung = server.client, a_number(), rungs.named("task")
    held = held_after(rung.write(client, told(number, State.SENT), {}))
    update = FhirClient.update
    met: list[int] = []

    def met_by_another(self: FhirClient, resource: dict[str, Any], *, version: str) -> dict[str, Any]:
        if not met:
            met.append(1)
            now = self.read(held["Task"].reference)
            update(self, {**now, "description": "quicker"}, version=now["meta"]["versionId"])
        return update(self, resource, version=version)

    monkeypatch.setattr(FhirClient, "update", met_by_another)
    puts = rung.write(client, told(number, State.ACCEPTED), held)
    assert met and verbs(puts)["Task"] == "updated"
    found = client.read(held["Task"].reference)
    assert found["status"] == "accepted" and "description" not in found


def test_what_a_later_state_has_overtaken_is_not_written_over_it(server: Server) -> None:
    from dataclasses import replace

    client, number, rung = server.client, a_number(), rungs.named("task")
    held = held_after(rung.write(client, told(number, State.PAID), {}))
    with pytest.raises(Contended):
        rung.write(client, replace(told(number, State.SENT), is_latest=lambda: False), held)
    assert client.read(held["Task"].reference)["status"] == "completed"


@pytest.mark.parametrize("name", ["claim-and-response", *KIND_OF])
def test_what_a_restored_chart_has_lost_is_made_again(server: Server, name: str) -> None:
    client, number, rung = server.client, a_number(), rungs.named(name)
    held = held_after(rung.write(client, told(number, State.SENT), {}))
    for one in held.values():
        client.request("DELETE", one.reference)
    puts = rung.write(client, told(number, State.ACCEPTED), held)
    assert set(verbs(puts).values()) == {"created"}
    kind = KIND_OF.get(name, "Task")
    assert find(client, kind, number) is not None


def test_what_we_remember_of_somebody_elses_resource_is_never_written_over(server: Server) -> None:
    client, mine, other, rung = server.client, a_number(), a_number(), rungs.named("task")
    others = held_after(rung.write(client, told(other, State.SENT), {}))
    stale = {"Task": Held(reference=others["Task"].reference, version=others["Task"].version, digest="old")}
    puts = rung.write(client, told(mine, State.ACCEPTED), stale)
    assert verbs(puts)["Task"] == "created"
    assert client.read(others["Task"].reference)["status"] == "requested"


def test_a_payers_answer_that_holds_no_longer_is_cancelled(server: Server, counted: list[str]) -> None:
    client, number, rung = server.client, a_number(), rungs.named("claim-and-response")
    held = held_after(rung.write(client, told(number, State.ACCEPTED), {}))
    puts = rung.write(client, told(number, State.SENT), held)
    assert verbs(puts)["ClaimResponse"] == "cancelled"
    found = find(client, "ClaimResponse", number)
    assert found is not None and found["status"] == "cancelled"
    held = held_after(puts, held)
    counted.clear()
    rung.write(client, told(number, State.SENT), held)
    assert counted == []
    puts = rung.write(client, told(number, State.ACCEPTED), held)
    assert verbs(puts)["ClaimResponse"] == "updated"


def test_the_page_only_rung_asks_nothing_of_the_ehr(server: Server, counted: list[str]) -> None:
    assert rungs.named("page-only").write(server.client, told(a_number(), State.SENT), {}) == []
    assert counted == []
