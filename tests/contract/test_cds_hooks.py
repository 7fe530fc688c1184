"""An EHR calls our CDS services over the wire: the specification's shapes hold, whatever part of the chart came along."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fhir_billing.api import cds_chart
from fhir_billing.cds import all_hooks
from fhir_billing.cycle.work import work_all
from fhir_billing.domain.errors import EhrUnavailable
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.fhir.text import dumps, loads
from tests.contract.cds_ehr import (
    Ehr,
    FhirServer,
    as_it_was,
    bundle,
    checked,
    installed,
    prefetch,
    public_keys,
    serving,
)
from tests.e2e import charts
from tests.unit.mapping import visits

if TYPE_CHECKING:
    from tests.conftest import Sekmet

DISCHARGE = "billing-encounter-discharge"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ehr, FhirServer]]:
    """One installation for all tests that leave it as it was."""
    with installed(tmp_path_factory.mktemp("cds")) as made:
        yield made


@pytest.fixture
def server(both: tuple[Ehr, FhirServer]) -> FhirServer:
    return as_it_was(both[1])


@pytest.fixture
def ehr(both: tuple[Ehr, FhirServer], server: FhirServer) -> Ehr:
    return both[0]


def access(server: FhirServer, token: str = "user-token") -> dict[str, Any]:
    """The user's token as a call carries it."""
    given = {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": "user/*.read", "subject": "cds"}
    return {"fhirServer": server.url, "fhirAuthorization": given}


def test_discovery_is_open_and_names_six_hooks(ehr: Ehr) -> None:
    found = checked(ehr.http.get("/cds-services").json(), "discovery")["services"]
    assert {one["hook"] for one in found} == {
        "patient-view", "encounter-start", "encounter-discharge", "order-select", "order-sign", "appointment-book",
    }  # fmt: skip


@pytest.mark.parametrize("hook", sorted(all_hooks()))
def test_every_hook_answers_without_prefetch_with_part_of_it_and_with_all(
    ehr: Ehr, server: FhirServer, hook: str
) -> None:
    whole = prefetch(server.chart, hook)
    part = {name: value for name, value in whole.items() if name == "patient"}
    with_all = ehr.cards(hook, prefetch=whole)
    assert server.asked == []
    assert ehr.cards(hook, prefetch=part, **access(server)) == with_all
    assert server.asked and {token for _, token in server.asked} == {"Bearer user-token"}
    assert ehr.cards(hook, **access(server)) == with_all
    assert ehr.cards(hook, prefetch=None, **access(server)) == with_all


def test_a_visit_without_a_diagnosis_is_a_card_whose_suggestion_writes_it(ehr: Ehr, server: FhirServer) -> None:
    (card,) = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    assert card["summary"] == "Why was the patient seen?"
    (suggestion,) = card["suggestions"]
    assert suggestion["label"] == "Arthritis of the right knee" and suggestion["isRecommended"] is False
    (action,) = suggestion["actions"]
    assert action["type"] == "create"
    assert action["resource"]["category"][0]["coding"][0]["code"] == "encounter-diagnosis"
    assert action["resource"]["encounter"] == {"reference": "Encounter/e"}
    assert action["resource"]["code"]["coding"][0]["code"] == "M17.11"
    (link,) = card["links"]
    assert link["type"] == "smart" and link["url"] == "https://billing.example/launch"
    assert json.loads(link["appContext"]) == {"view": "visit", "question": "diagnosis:Encounter/e"}


def test_the_chart_that_the_suggestion_makes_has_nothing_more_to_be_asked(ehr: Ehr, server: FhirServer) -> None:
    (card,) = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    written = {**card["suggestions"][0]["actions"][0]["resource"], "id": "new"}
    server.chart["conditions"] = [written]
    assert ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE)) == []


def test_no_money_and_no_name_stands_on_a_card(ehr: Ehr, server: FhirServer) -> None:
    text = json.dumps(ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE)))
    assert "Zztest" not in text and "125" not in text and "$" not in text


def test_a_discharge_rings_for_its_visit_and_no_other_hook_does(ehr: Ehr, server: FhirServer) -> None:
    for hook in sorted(all_hooks()):
        ehr.cards(hook, prefetch=prefetch(server.chart, hook))
    bells = ehr.story.wiring.store.doorbells_by("cds-hook")
    assert bells and {json.loads(bell.body)["encounter"] for bell in bells} == {"Encounter/e"}
    before = len(bells)
    ehr.cards("billing-encounter-start", prefetch=prefetch(server.chart, "billing-encounter-start"))
    assert len(ehr.story.wiring.store.doorbells_by("cds-hook")) == before


def test_the_same_call_gives_cards_the_same_names(ehr: Ehr, server: FhirServer) -> None:
    first = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    assert ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE)) == first


def test_a_coverage_that_has_ended_is_said_on_the_day(ehr: Ehr, server: FhirServer) -> None:
    server.chart["coverages"][0] = {**server.chart["coverages"][0], "period": {"end": "2026-02-28"}}
    (card,) = ehr.cards("billing-patient-view", prefetch=prefetch(server.chart, "billing-patient-view"))
    assert card["summary"] == "No coverage on file is active on 2026-03-03."
    assert "suggestions" not in card and card["links"]


def test_a_payer_that_wants_to_be_asked_is_named_before_the_order_is_signed(
    ehr: Ehr, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ehr.story.wiring.site
    monkeypatch.setattr(site, "edits", {**site.edits, "prior-auth-missing": {"procedures": ["705*"]}})
    order = {
        "resourceType": "ServiceRequest", "id": "mri", "status": "draft", "intent": "order",
        "code": visits.coded(visits.CPT, "70551"), "subject": {"reference": "Patient/p"},
        "reasonCode": [{"text": "headache"}],
    }  # fmt: skip
    other = {**order, "id": "other", "code": visits.coded(visits.CPT, "70552")}
    come = prefetch(server.chart, "billing-order-sign")
    drafts = {"draftOrders": bundle([order, other])}
    signed = ehr.cards("billing-order-sign", prefetch=come, context=drafts)
    assert [card["summary"] for card in signed] == [
        "Example Commercial Health wants to be asked before 70551.",
        "Example Commercial Health wants to be asked before 70552.",
    ]
    chosen = {**drafts, "selections": ["ServiceRequest/other"]}
    selected = ehr.cards("billing-order-select", prefetch=come, context=chosen)
    assert [card["summary"] for card in selected] == [signed[1]["summary"]]


def test_a_null_prefetch_means_that_nothing_was_found_and_is_not_read_again(ehr: Ehr, server: FhirServer) -> None:
    come = {**prefetch(server.chart, DISCHARGE), "procedures": None, "immunizations": None}
    assert len(ehr.cards(DISCHARGE, prefetch=come, **access(server))) == 1
    assert server.asked == []


@pytest.mark.parametrize("broken", ["outcome", "page"])
def test_a_prefetch_that_failed_or_is_one_page_of_many_is_read(ehr: Ehr, server: FhirServer, broken: str) -> None:
    values = {
        "outcome": {"resourceType": "OperationOutcome", "issue": []},
        "page": {"resourceType": "Bundle", "link": [{"relation": "next", "url": "https://x.example"}], "entry": []},
    }
    come = {**prefetch(server.chart, DISCHARGE), "charges": values[broken]}
    assert len(ehr.cards(DISCHARGE, prefetch=come, **access(server))) == 1
    assert [path.partition("?")[0] for path, _ in server.asked] == ["/fhir/ChargeItem"]


def test_what_cannot_be_read_in_time_gives_no_card(
    ehr: Ehr, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cds_chart, "READ_SECONDS", 0.2)
    server.slow = 0.6
    come = prefetch(server.chart, DISCHARGE)
    del come["charges"]
    assert ehr.cards(DISCHARGE, prefetch=come, **access(server)) == []


@pytest.mark.parametrize("slow", [0.0, 0.6])
def test_an_ehr_that_cannot_be_reached_gives_no_card(ehr: Ehr, monkeypatch: pytest.MonkeyPatch, slow: float) -> None:
    def broken(_: object) -> None:
        time.sleep(slow)
        raise EhrUnavailable("the EHR does not answer")

    monkeypatch.setattr(cds_chart, "READ_SECONDS", 0.2)
    monkeypatch.setattr(type(ehr.story.wiring), "own_chart", property(broken))
    assert ehr.cards(DISCHARGE) == []


def test_half_a_chart_gives_no_card(ehr: Ehr, server: FhirServer) -> None:
    come = prefetch(server.chart, DISCHARGE)
    del come["conditions"]
    assert ehr.cards(DISCHARGE, prefetch=come) == []


def test_a_scope_that_was_not_granted_gives_no_card(ehr: Ehr, server: FhirServer) -> None:
    del server.chart["encounter"][0]["subject"]
    assert ehr.cards(DISCHARGE, **access(server)) == []


def test_without_a_token_the_billing_service_reads_with_its_own_client(
    ehr: Ehr, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ehr.story.wiring.__dict__, "ehr", connect(EhrSettings(url=server.url)))
    whole = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    assert ehr.cards(DISCHARGE) == ehr.cards(DISCHARGE, fhirServer=server.url) == whole
    assert {token for _, token in server.asked} == {""}
    server.asked.clear()
    assert ehr.cards(DISCHARGE, fhirServer="https://other.example/fhir") == []
    assert server.asked == []


def test_what_billing_asked_is_shown_to_whom_it_was_asked_until_it_is_answered(
    server: FhirServer, tmp_path: Path
) -> None:
    ehr = Ehr(tmp_path, iss=server.url)
    closed = copy.deepcopy([one for found in server.chart.values() for one in found])
    next(r for r in closed if r["resourceType"] == "Encounter")["status"] = "finished"
    ehr.story.visit("Encounter/e", closed)
    ehr.story.act("ask", encounter="Encounter/e", ask="Which knee was it?", choices=[], asked_of="Practitioner/dr")
    hook = "billing-patient-view"
    come = prefetch(server.chart, hook)
    (card,) = ehr.cards(hook, prefetch=come)
    assert card["summary"] == "Which knee was it?"
    assert ehr.cards(hook, prefetch=come, context={"userId": "Practitioner/other"}) == []
    assert "Which knee was it?" in {
        c["summary"] for c in ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    }
    key = json.loads(card["links"][0]["appContext"])["question"]
    said = {"question": key, "kind": "asked", "encounter": "Encounter/e", "choice": "something-else", "text": "left"}
    assert "done" in ehr.story.act("clinician-answer", encounter="Encounter/e", answer=said)
    assert ehr.cards(hook, prefetch=come) == []
    ehr.close()


def test_each_look_at_a_chart_is_in_the_audit_trail(ehr: Ehr, server: FhirServer) -> None:
    (card,) = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    (who, what, about, why) = ehr.audit()[-1]
    assert who == "https://ehr.example/cds-client Practitioner/dr" and what.startswith("CDS encounter-discharge")
    assert about == "Patient/p Encounter/e" and card["uuid"] in why


# ---- feedback ----------------------------------------------------------------------------------


def heard(card: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = {
        "card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}],
        "outcomeTimestamp": "2026-03-03T17:00:00Z", **more,
    }  # fmt: skip
    return {"feedback": [{name: value for name, value in entry.items() if value is not None}]}


def test_feedback_is_kept_once_and_changes_no_claim(server: FhirServer, tmp_path: Path) -> None:
    ehr = Ehr(tmp_path, iss=server.url)
    closed = copy.deepcopy([one for found in server.chart.values() for one in found])
    next(r for r in closed if r["resourceType"] == "Encounter")["status"] = "finished"
    ehr.story.visit("Encounter/e", closed)
    before = ehr.story.claims()
    (card,) = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    path = f"/cds-services/{DISCHARGE}/feedback"
    assert [ehr.post(path, heard(card)).status_code for _ in range(2)] == [200, 200]
    work_all(ehr.story.wiring.store, ehr.story.wiring.site)
    assert ehr.story.claims() == before and all(claim.state == "held" for claim in before.values())
    told = [line for line in ehr.audit() if "accepted" in line[1]]
    assert len(told) == 1 and card["uuid"] in told[0][2]
    assert ehr.story.replay_is_equal(tmp_path)
    ehr.close()


def test_an_override_is_kept_with_its_reason(ehr: Ehr, server: FhirServer) -> None:
    (card,) = ehr.cards(DISCHARGE, prefetch=prefetch(server.chart, DISCHARGE))
    reason = {"reason": {"code": "cant-say", "system": "https://x.example"}, "userComment": "not my patient"}
    body = heard(card, outcome="overridden", acceptedSuggestions=None, overrideReason=reason)
    assert ehr.post(f"/cds-services/{DISCHARGE}/feedback", body).status_code == 200
    assert ehr.audit()[-1][3] == "cant-say"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"feedback": []},
        {"feedback": [{}]},
        {"feedback": [{"card": "no", "outcome": "accepted", "outcomeTimestamp": "2026-03-03T17:00:00Z"}]},
        {"feedback": [{"card": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "outcome": "accepted"}]},
    ],
)
def test_malformed_feedback_is_refused(ehr: Ehr, body: Any) -> None:
    assert ehr.post(f"/cds-services/{DISCHARGE}/feedback", body).status_code == 400


# ---- what is not taken -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"hook": "patient-view"}, "$.hook"),
        ({"hook": None}, "$.hook"),
        ({"hookInstance": "1"}, "$.hookInstance"),
        ({"context": {"patientId": 7}}, "$.context.patientId"),
        ({"context": {"patientId": "../../Patient/q"}}, "$.context.patientId"),
        ({"context": {"patientId": "p?_id=q"}}, "$.context.patientId"),
        ({"context": {"encounterId": None}}, "$.context.encounterId"),
        ({"context": {"userId": "nobody"}}, "$.context.userId"),
        ({"prefetch": []}, "$.prefetch"),
        ({"prefetch": {"patient": "Ada"}}, "$.prefetch.patient"),
        ({"prefetch": {"charges": {"resourceType": "Bundle", "entry": {}}}}, "$.prefetch.charges"),
        ({"fhirServer": "file:///etc/passwd"}, "$.fhirServer"),
        ({"fhirAuthorization": {"access_token": "x"}}, "$.fhirServer"),
    ],
)
def test_a_malformed_call_is_refused_with_its_place_and_without_its_text(
    ehr: Ehr, change: dict[str, Any], at: str
) -> None:
    answer = ehr.post(
        f"/cds-services/{DISCHARGE}", {**ehr.body(DISCHARGE, context=change.pop("context", {})), **change}
    )
    assert answer.status_code == 400 and at in answer.json()["error"]["say"]
    assert "Ada" not in answer.text and "passwd" not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'"x"'])
def test_what_is_no_call_is_refused(ehr: Ehr, body: bytes) -> None:
    assert ehr.post(f"/cds-services/{DISCHARGE}", body).status_code == 400


def test_an_unknown_service_is_not_there(ehr: Ehr) -> None:
    assert ehr.post("/cds-services/no-such", {}).status_code == 404


def test_only_pages_of_known_ehrs_may_ask_from_a_browser(ehr: Ehr, server: FhirServer) -> None:
    mine = {"Origin": "https://pages.ehr.example", "Access-Control-Request-Method": "POST"}
    asked = ehr.http.options(f"/cds-services/{DISCHARGE}", headers=mine)
    assert asked.status_code == 204 and asked.headers["access-control-allow-origin"] == "https://pages.ehr.example"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in asked.headers
    other = ehr.http.get("/cds-services", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers and "Origin" in other.headers["vary"]
    iss = server.url.removesuffix("/fhir")
    assert ehr.http.get("/cds-services", headers={"Origin": iss}).headers["access-control-allow-origin"] == iss


def test_without_a_configured_client_only_discovery_answers(tmp_path: Path) -> None:
    ehr = Ehr(tmp_path, iss="https://ehr.example/fhir", cds={})
    assert ehr.http.get("/cds-services").status_code == 200
    answer = ehr.post(f"/cds-services/{DISCHARGE}", ehr.body(DISCHARGE))
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    ehr.close()


def test_a_new_key_at_the_pinned_address_is_found_by_one_more_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KeyServer:
        def __init__(self) -> None:
            self.asked: list[tuple[str, str]] = []
            self.names = ["one"]

        def answer(self, path: str) -> Any:
            return public_keys(*self.names)

    keys = KeyServer()
    with serving(keys) as url:
        ehr = Ehr(tmp_path, iss="https://ehr.example/fhir", cds={"jwks_url": f"{url}/jwks"})
        path = f"/cds-services/{DISCHARGE}"

        def call(by: str) -> int:
            status: int = ehr.post(path, ehr.body(DISCHARGE), bearer=ehr.token(path, by=by)).status_code
            return status

        assert [call("one"), call("one"), len(keys.asked)] == [200, 200, 1]
        keys.names = ["two"]
        assert [call("two"), len(keys.asked)] == [401, 1]  # within the minute nobody makes us ask again
        monkeypatch.setattr("fhir_billing.api.cds_clients.AGAIN", 0.0)
        assert [call("two"), call("one"), len(keys.asked)] == [200, 401, 3]
        ehr.close()


def test_an_ehr_that_nobody_here_wrote_is_read_when_nothing_came_along(sekmet: Sekmet, tmp_path: Path) -> None:
    client = FhirClient(sekmet.url, httpx2.Client(timeout=30))
    client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries("clinic")})
    own = dumps([one for one in charts.entries("ada") if one["resource"]["resourceType"] != "Condition"])
    entries = loads(re.sub(rb'(/|")ada(?=[-"])', rb"\1uncoded", own))  # a patient that no other test knows
    client.batch({"resourceType": "Bundle", "type": "batch", "entry": entries})
    ehr = Ehr(tmp_path, iss=sekmet.url)
    ehr.story.wiring.__dict__["ehr"] = connect(EhrSettings(url=sekmet.url))
    who = {"userId": "Practitioner/dr-lin", "patientId": "uncoded", "encounterId": "uncoded-visit"}
    (card,) = ehr.cards(DISCHARGE, context=who)
    assert card["summary"] == "Why was the patient seen?" and "suggestions" not in card
    ehr.close()
