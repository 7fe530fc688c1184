"""A visit is read in at most three requests from EHRs that nobody here wrote, and reads the same however it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from fhir_billing.domain.errors import NotThere
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.ways import Ways
from fhir_billing.fhir.text import dumps
from tests.e2e import charts
from tests.e2e.servers import settings_of

NAMES = [path.stem for path in sorted(charts.FOLDER.glob("*.json")) if path.stem != "clinic"]
VISITS = [charts.encounter_of(charts.bundle(f"{name}.json")) for name in NAMES]
WAYS = {
    "includes": Ways(includes=True),
    "batch": Ways(includes=False, batch=True),
    "singly": Ways(includes=False, batch=False),
}


@dataclass
class Counted:
    """An EHR, and each request that it was asked."""

    name: str
    settings: EhrSettings
    client: FhirClient
    asked: list[httpx2.Request] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    def again(self, ways: Ways | None = None) -> FhirClient:
        """Somebody who knows nothing of this EHR, or what is said here; counted too."""
        client = connect(self.settings)[0].client
        client.ways = ways or Ways()
        self._count(client)
        return client

    def _count(self, client: FhirClient) -> None:
        def hear(answer: httpx2.Response) -> None:
            if answer.request.url.host and str(answer.request.url).startswith(client.base):
                self.asked.append(answer.request)
                self.answered.append(answer.status_code)

        client._http.event_hooks = {"response": [hear]}
        client.sign_in()
        self.asked.clear()
        self.answered.clear()


@pytest.fixture(scope="module", params=["sekmet", "sekmet_smart", "ci_ehr"])
def ehr(request: pytest.FixtureRequest) -> Iterator[Counted]:
    found: Any = request.getfixturevalue(request.param)
    settings = settings_of(found)
    client = connect(settings)[0].client
    load(client)
    yield Counted(request.param, settings, client)
    load(client)


def load(client: FhirClient) -> None:
    for name in ("clinic", *NAMES):
        client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})


def names(resources: list[dict[str, Any]]) -> set[str]:
    return {f"{r['resourceType']}/{r.get('id', '')}" for r in resources}


def test_every_visit_takes_three_requests_at_most_and_the_first_one_no_more(ehr: Counted) -> None:
    client = ehr.again()
    took = {}
    for visit in VISITS:
        gather(client, visit)
        took[visit] = len(ehr.asked)
        ehr.asked.clear()
    print(ehr.name, client.ways, took)
    assert max(took.values()) <= 3, took
    assert client.ways == Ways(includes=ehr.name != "ci_ehr", batch=True), "found by trying"


def test_the_same_chart_is_the_same_bytes_whichever_way_it_was_read(ehr: Counted) -> None:
    clients = {name: ehr.again(Ways(way.includes, way.batch)) for name, way in WAYS.items()}
    for visit in VISITS:
        read = {name: dumps(gather(client, visit)) for name, client in clients.items()}
        assert len(set(read.values())) == 1, visit
    assert {r.method for r in ehr.asked} == {"GET", "POST"}


def test_one_request_each_where_no_batch_is_taken(ehr: Counted) -> None:
    gather(ehr.again(Ways(includes=False, batch=False)), "Encounter/nia-visit")
    assert {r.method for r in ehr.asked} == {"GET"}
    assert len(ehr.asked) == len({str(r.url) for r in ehr.asked}), "nothing is asked twice"


def test_what_a_conformance_run_found_is_not_found_out_again() -> None:
    assert Ways.named("includes") == Ways(includes=True)
    assert Ways.named("batch") == Ways(includes=False, batch=True)
    assert Ways.named("singly").batch is False
    assert Ways.named("") == Ways()


def test_a_practitioner_who_has_not_changed_is_not_sent_again_and_one_who_has_is(ehr: Counted) -> None:
    client = ehr.again(Ways(includes=False, batch=False))
    first = gather(client, "Encounter/nia-visit")
    ehr.asked.clear()
    ehr.answered.clear()
    assert gather(client, "Encounter/nia-visit") == first
    conditional = [str(r.url).rpartition("/fhir")[2] for r in ehr.asked if "if-none-match" in r.headers]
    assert any("Practitioner/" in url for url in conditional)
    assert not [url for url in conditional if "Patient/" in url or "Coverage" in url], "nothing of a patient is kept"
    if ehr.name != "ci_ehr":  # it knows no conditional read, and simply answers
        assert 304 in ehr.answered
    doctor = client.read("Practitioner/dr-lin")
    changed = client.update({**doctor, "active": False}, version=doctor["meta"]["versionId"])
    for way in WAYS.values():
        other = ehr.again(Ways(way.includes, way.batch))
        other.kept = client.kept
        (seen,) = [r for r in gather(other, "Encounter/nia-visit") if r["resourceType"] == "Practitioner"]
        assert seen["active"] is False
    client.update({**changed, "active": True}, version=changed["meta"]["versionId"])
    (seen,) = [r for r in gather(client, "Encounter/nia-visit") if r["resourceType"] == "Practitioner"]
    assert seen["active"] is True


def test_a_batch_entry_says_not_modified_too(ehr: Counted) -> None:
    client = ehr.again(Ways(includes=False, batch=True))
    assert gather(client, "Encounter/nia-visit") == gather(client, "Encounter/nia-visit")
    sent = [r.content for r in ehr.asked if r.method == "POST"]
    assert any(b'"ifNoneMatch":"W/' in body for body in sent)
    assert not [body for body in sent if b'"url":"Patient/nia","ifNoneMatch"' in body]


@pytest.mark.parametrize("way", WAYS)
def test_what_leads_nowhere_is_recorded_whichever_way(ehr: Counted, way: str) -> None:
    client = ehr.again(Ways(WAYS[way].includes, WAYS[way].batch))
    before = client.read("Encounter/kit-visit")
    lost = [
        {"individual": {"reference": reference}}
        for reference in ("Practitioner/who-left", "urn:uuid:2c2d8f00-0000-4000-8000-000000000001", "Practitioner?identifier=nobody",
                          "http://another-ehr.example/fhir/Practitioner/p")
    ]  # fmt: skip
    client.update({**before, "participant": [*before["participant"], *lost]}, version=before["meta"]["versionId"])
    try:
        found = gather(client, "Encounter/kit-visit")
    finally:
        now = client.read("Encounter/kit-visit")
        client.update({**before, "meta": now["meta"]}, version=now["meta"]["versionId"])
    said = {r["issue"][0]["expression"][0]: r["issue"][0]["diagnostics"] for r in found if "issue" in r}
    assert said == {
        "Practitioner/who-left": "not-there",
        "urn:uuid:2c2d8f00-0000-4000-8000-000000000001": "elsewhere",
        "Practitioner?identifier=nobody": "not-there",
        "http://another-ehr.example/fhir/Practitioner/p": "elsewhere",
    }
    assert {"ChargeItem/kit-charge1", "Patient/kit"} <= names(found)


@pytest.mark.parametrize("way", WAYS)
def test_a_visit_that_is_not_there_is_not_there_whichever_way(ehr: Counted, way: str) -> None:
    with pytest.raises(NotThere):
        gather(ehr.again(Ways(WAYS[way].includes, WAYS[way].batch)), "Encounter/nobodys")


@pytest.mark.parametrize("way", WAYS)
def test_references_of_every_kind_are_followed_to_the_same_resources(ehr: Counted, way: str) -> None:
    client = ehr.again(Ways(WAYS[way].includes, WAYS[way].batch))
    before = client.read("Encounter/jo-visit")
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1999999992"}
    told = {
        **before,
        "subject": {"reference": f"{client.base}/Patient/jo"},
        "contained": [{"resourceType": "Location", "id": "inside", "name": "Example bay"}],
        "location": [{"location": {"reference": "#inside"}}, {"location": {"reference": "Location/clinic-room/_history/1"}}],
        "participant": [
            {"individual": {"type": "Practitioner", "identifier": npi}},
            {"individual": {"reference": f"Practitioner?identifier={npi['system']}|{npi['value']}"}},
        ],
    }  # fmt: skip
    client.update(told, version=before["meta"]["versionId"])
    found = gather(client, "Encounter/jo-visit")
    now = client.read("Encounter/jo-visit")
    client.update({**before, "meta": now["meta"]}, version=now["meta"]["versionId"])
    assert {
        "Patient/jo",
        "Practitioner/dr-lin",
        "Coverage/jo-plan",
        "ChargeItem/jo-charge1",
        "Location/clinic-room",
    } <= names(found)
    assert not [r for r in found if r["resourceType"] == "OperationOutcome"]


@pytest.mark.parametrize("way", WAYS)
def test_what_was_not_granted_is_not_asked_for_inside_a_batch_either(ehr: Counted, way: str) -> None:
    if ehr.settings.key is None:
        return  # it grants nothing, and asks for no token
    client = ehr.again(Ways(WAYS[way].includes, WAYS[way].batch))
    granted = [
        f"system/{kind}.rs" for kind in ("Encounter", "Patient", "Coverage", "Condition", "Procedure", "ChargeItem")
    ]
    client._token = Narrow(client._token, frozenset(granted))
    found = gather(client, "Encounter/nia-visit")
    said = {r["issue"][0]["expression"][0]: r["issue"][0]["diagnostics"] for r in found if "issue" in r}
    assert "ChargeItem/nia-charge1" in names(found)
    if way != "includes":  # what the EHR brings unasked is its own word
        assert set(said.values()) == {"scope-missing"}
        assert not [r for r in ehr.asked if "Organization" in str(r.url) or b'"url":"Organization' in r.content]
    assert not [r for r in ehr.asked if "Immunization" in str(r.url) or b'"url":"Immunization' in r.content]


class Narrow:
    """A token that came with fewer scopes than were asked for."""

    def __init__(self, token: Any, granted: frozenset[str]) -> None:
        self._token, self.granted = token, granted

    def value(self) -> str:
        return str(self._token.value())

    def forget(self, token: str = "") -> None:
        self._token.forget(token)
