"""One suite on three EHRs nobody here wrote: an open one, one behind strict backend services, one that thinks differently of
versions, hooks and creation. None of them needs a special case."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fhir_billing.domain.errors import Contended, EhrBrokeContract, NotThere, TokenRefused
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import subscriptions
from fhir_billing.ehr.backend_auth import BackendToken, Credentials
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import connect, token_endpoint
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.write import find, proof
from fhir_billing.fhir.ours import CLAIM_NUMBER
from fhir_billing.fhir.task import task
from tests.e2e import charts
from tests.e2e.servers import settings_of, told

if TYPE_CHECKING:
    from tests.conftest import Sekmet


@dataclass(frozen=True)
class Server:
    name: str
    client: FhirClient


@pytest.fixture(scope="module", params=["sekmet", "sekmet_smart", "ci_ehr"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found: Any = request.getfixturevalue(request.param)
    settings = settings_of(found)
    client = connect(settings)[0].client
    load(client)
    yield Server(request.param, client)
    load(client)  # every visit is open again for whoever comes next


def load(client: FhirClient) -> None:
    for name in ("clinic", *(path.stem for path in sorted(charts.FOLDER.glob("*.json")) if path.stem != "clinic")):
        answer = client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
        assert {str(e["response"]["status"])[0] for e in answer["entry"]} == {"2"}, name


def kinds(resources: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for resource in resources:
        found[resource["resourceType"]] = found.get(resource["resourceType"], 0) + 1
    return found


def test_a_visit_is_gathered_with_all_that_its_bill_needs(server: Server) -> None:
    found = gather(server.client, "Encounter/nia-visit")
    assert kinds(found) == {
        "ChargeItem": 3, "Condition": 2, "Coverage": 1, "Encounter": 1, "Immunization": 1, "Location": 1, "Organization": 2,
        "Patient": 1, "Practitioner": 1, "PractitionerRole": 1,
    }  # fmt: skip
    assert all(r["meta"]["versionId"] and r["meta"]["lastUpdated"] for r in found), "as read, with its version"
    assert gather(server.client, "Encounter/nia-visit") == found, "the same chart is the same bytes"


def test_a_child_comes_with_the_mother_whose_plan_it_is(server: Server) -> None:
    found = gather(server.client, "Encounter/ivy-visit")
    assert {r["id"] for r in found if r["resourceType"] == "Patient"} == {"ivy", "ivy-mother"}


def test_a_visit_that_is_not_there_is_said_to_be_not_there(server: Server) -> None:
    with pytest.raises(NotThere):
        gather(server.client, "Encounter/nobodys-visit")


def test_a_reference_that_leads_nowhere_is_recorded_and_the_visit_is_read(server: Server) -> None:
    client = server.client
    visit = client.read("Encounter/kit-visit")
    lost = {**visit, "participant": [{"individual": {"reference": "Practitioner/who-left"}}]}
    client.update(lost, version=visit["meta"]["versionId"])
    found = gather(client, "Encounter/kit-visit")
    (outcome,) = [r for r in found if r["resourceType"] == "OperationOutcome"]
    assert outcome["issue"][0]["expression"] == ["Practitioner/who-left"]
    assert kinds(found)["ChargeItem"] == 2


def test_absolute_conditional_and_identifier_references_are_followed(server: Server) -> None:
    client = server.client
    visit = client.read("Encounter/jo-visit")
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1999999992"}
    visit["subject"] = {"reference": f"{client.base}/Patient/jo"}
    visit["participant"] = [{"individual": {"type": "Practitioner", "identifier": npi}}]
    client.update(visit, version=visit["meta"]["versionId"])
    found = {f"{r['resourceType']}/{r.get('id')}" for r in gather(client, "Encounter/jo-visit")}
    assert {"Patient/jo", "Practitioner/dr-lin", "Coverage/jo-plan", "ChargeItem/jo-charge1"} <= found


def test_a_poll_finds_closed_visits_once_and_goes_on_where_it_stopped(server: Server) -> None:
    client = server.client
    before = subscriptions.poll(client, "", datetime.now(UTC)).cursor
    for name in ("ada", "bo", "cy"):
        visit = client.read(f"Encounter/{name}-visit")
        client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
        time.sleep(0.01)
    looked = subscriptions.poll(client, before, datetime.now(UTC))
    found, cursor = looked.sightings, looked.cursor
    assert {seen.encounter for seen in found} >= {"Encounter/ada-visit", "Encounter/bo-visit", "Encounter/cy-visit"}
    assert all(seen.version and seen.status for seen in found)
    again = subscriptions.poll(client, cursor, datetime.now(UTC))
    assert again.cursor == cursor
    assert set(again.sightings) <= set(found) | set(again.sightings), (
        "the overlap repeats what is known, under the same version"
    )
    first = subscriptions.poll(client, "", datetime.now(UTC), most=1)
    rest = subscriptions.poll(client, first.cursor, datetime.now(UTC))
    assert {one.encounter for one in (*first.sightings, *rest.sightings)} >= {one.encounter for one in found}
    assert rest.cursor == cursor


def test_asking_to_be_rung_twice_makes_one_subscription(server: Server) -> None:
    endpoint = "http://127.0.0.1:9/hooks/ehr"
    first = subscriptions.subscribe(server.client, endpoint, "a-secret")
    second = subscriptions.subscribe(server.client, endpoint, "a-secret")
    assert first["id"] == second["id"]
    renewed = subscriptions.subscribe(server.client, endpoint, "another-secret")
    assert renewed["id"] == first["id"]
    assert renewed["channel"]["header"] == ["X-Hook-Secret: another-secret"]


def a_task(state: State, number: str) -> dict[str, Any]:
    return task(
        number=number, state=state, patient="Patient/ada", encounter="Encounter/ada-visit",
        since="2026-03-02T10:00:00+00:00", claim_is_written=False,
    )  # fmt: skip


def test_what_is_written_is_found_again_changed_once_and_left_alone_after(server: Server) -> None:
    client, number = server.client, f"C-TEST{os.getpid()}"
    assert told(client, [a_task(State.READY, number)]) == "Task created"
    assert told(client, [a_task(State.READY, number)]) == "Task unchanged"
    assert told(client, [a_task(State.SENT, number)]) == "Task updated"
    held = proof(client, number)
    assert list(held) == ["Task"]
    assert held["Task"]["businessStatus"]["coding"][0]["code"] == "sent"


def test_an_update_of_a_version_that_has_passed_is_refused(server: Server) -> None:
    client = server.client
    location = client.read("Location/clinic-room")
    client.update({**location, "description": "one"}, version=location["meta"]["versionId"])
    with pytest.raises(Contended):
        client.update({**location, "description": "two"}, version=location["meta"]["versionId"])
    assert client.read("Location/clinic-room")["description"] == "one"


def test_creating_what_is_there_gives_back_what_is_there(server: Server) -> None:
    client, number = server.client, f"C-ONCE{os.getpid()}"
    unless = f"identifier={CLAIM_NUMBER}|{number}"
    first = client.create(a_task(State.READY, number), unless=unless)
    assert client.create(a_task(State.READY, number), unless=unless)["id"] == first["id"]
    assert find(client, "Task", number) is not None


def test_a_search_brings_each_resource_of_every_page_once_or_says_that_some_are_kept_back(server: Server) -> None:
    if server.name == "ci_ehr":  # it counts all matches, gives one page, and names no next one
        with pytest.raises(EhrBrokeContract, match="names no next page"):
            list(server.client.search("Condition", {"_count": "5"}, whole=True))
        return
    ids = [r["id"] for r in server.client.search("Condition", {"_count": "5"}, whole=True)]
    assert len(ids) == len(set(ids)) > 20


def test_a_visit_with_sixty_charges_is_gathered_whole(server: Server) -> None:
    client = server.client
    one = client.read("ChargeItem/max-charge1")
    rows = [{**one, "id": f"max-more{n}"} for n in range(58)]
    entry = [{"resource": r, "request": {"method": "PUT", "url": f"ChargeItem/{r['id']}"}} for r in rows]
    client.batch({"resourceType": "Bundle", "type": "batch", "entry": entry})
    assert kinds(gather(client, "Encounter/max-visit"))["ChargeItem"] == 60


def test_a_client_id_that_nobody_knows_gets_no_token_and_hears_why(sekmet_smart: Sekmet) -> None:
    assert sekmet_smart.key is not None
    http = httpx2.Client()
    token = BackendToken(
        Credentials(client_id="a-stranger", key=sekmet_smart.key), token_endpoint(sekmet_smart.url, http), http
    )
    with pytest.raises(TokenRefused) as told:
        token.value()
    assert "client" in str(told.value)


def test_a_token_is_kept_and_fetched_anew_when_the_ehr_forgets_it(sekmet_smart: Sekmet) -> None:
    assert sekmet_smart.key is not None
    http = httpx2.Client()
    token = BackendToken(
        Credentials(client_id=sekmet_smart.client, key=sekmet_smart.key), token_endpoint(sekmet_smart.url, http), http
    )
    first = token.value()
    assert token.value() == first
    token._held = replace(token._held, token="no-longer-good")
    assert (
        FhirClient(sekmet_smart.url, http, token).read("Organization/example-clinic")["name"] == "Example Family Clinic"
    )
    assert token.value() not in {first, "no-longer-good"}
