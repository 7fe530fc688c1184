"""What an EHR may answer on a bad day, and what we make of it: never a leak, never a guess, never half a chart."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from fhir_billing.domain.errors import (
    BillingError,
    Contended,
    EhrBrokeContract,
    EhrUnavailable,
    NotThere,
    RateLimited,
    ScopeMissing,
    SecretMissing,
    TokenRefused,
)
from fhir_billing.ehr import quirks
from fhir_billing.ehr.backend_auth import BackendToken, Credentials, make_key, public_keys
from fhir_billing.ehr.client import FhirClient, Unsupported
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.subscriptions import poll
from fhir_billing.ehr.write import proof
from fhir_billing.fhir.notification import Rang, read_notification
from fhir_billing.fhir.ours import CLAIM_NUMBER, identifier, where
from tests.e2e.servers import told

BASE = "https://ehr.example/fhir/R4"
Answer = Callable[[httpx2.Request], httpx2.Response]


def wire(answer: Answer, token: BackendToken | None = None) -> FhirClient:
    return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(answer)), token)


def says(status: int, body: Any = None, **headers: str) -> Answer:
    return lambda request: httpx2.Response(
        status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources], **more}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, EhrUnavailable), (503, EhrUnavailable), (429, RateLimited), (401, ScopeMissing), (403, ScopeMissing),
        (404, NotThere), (410, NotThere), (409, Contended), (412, Contended), (400, Unsupported), (422, Unsupported),
        (501, Unsupported), (301, EhrBrokeContract), (302, EhrUnavailable),
    ],
)  # fmt: skip
def test_each_answer_has_one_meaning_and_none_quotes_the_chart(status: int, error: type[BillingError]) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "code": "invalid",
                "diagnostics": "Bo Zztest was born 1971",
                "details": {"text": "Bo Zztest"},
                "expression": ["Patient.name.where(family='Zztest')"],
            }
        ],
    }
    with pytest.raises(error) as told:
        wire(says(status, outcome, location="https://elsewhere.example/")).read("Patient/bo-zztest")
    assert "zztest" not in str(told.value).lower()
    assert "1971" not in str(told.value)


def test_an_ehr_that_asks_to_slow_down_says_for_how_long() -> None:
    with pytest.raises(RateLimited) as told:
        wire(says(429, retry_after="7")).read("Patient/p")
    assert told.value.retry_after == 7


def test_silence_is_not_now() -> None:
    def silent(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("no answer", request=request)

    with pytest.raises(EhrUnavailable, match="ReadTimeout"):
        wire(silent).read("Patient/p")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b'{"resourceType":"Organization"}', b'{"resourceType": "Pat', b"\xff\xfe"]
)
def test_what_is_no_such_resource_is_refused(body: bytes) -> None:
    with pytest.raises(EhrBrokeContract):
        wire(lambda request: httpx2.Response(200, content=body)).read("Patient/p")


@pytest.mark.parametrize(
    "there",
    [
        "https://elsewhere.example/fhir/R4/Patient?page=2", "http://ehr.example/fhir/R4/Patient?page=2",
        "https://ehr.example:8443/fhir/R4/Patient?page=2", "//elsewhere.example/Patient", "https://ehr.example@elsewhere.example/x",
    ],
)  # fmt: skip
def test_a_next_page_on_another_server_is_not_asked_for(there: str) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, json=bundle(link=[{"relation": "next", "url": there}]))

    with pytest.raises(EhrBrokeContract, match="another server"):
        list(wire(answer).search("Patient", {}))
    assert len(asked) == 1
    with pytest.raises(EhrBrokeContract, match="another server"):
        wire(answer).read("https://elsewhere.example/fhir/R4/Patient/p")
    assert len(asked) == 1


def test_pages_are_followed_as_they_are_written_and_an_endless_search_ends() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        page = int(parse_qs(request.url.query.decode()).get("opaque", ["0"])[0])
        following = [{"relation": "next", "url": f"{BASE}?opaque={page + 1}"}]
        return httpx2.Response(200, json=bundle({"resourceType": "Patient", "id": str(page)}, link=following))

    search = wire(answer).search("Patient", {}, pages=3)
    assert [next(search)["id"] for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(EhrBrokeContract, match="more than 3 pages"):
        next(search)


def test_a_page_that_has_gone_is_not_the_end_of_the_search() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if "page" in str(request.url):
            return httpx2.Response(410)
        return httpx2.Response(200, json=bundle(link=[{"relation": "next", "url": "?page=2"}]))

    with pytest.raises(EhrUnavailable, match="lost its place"):
        list(wire(answer).search("Patient", {}))


# ---- gathering


def chart(forbidden: str = "", unknown: str = "") -> tuple[FhirClient, list[str]]:
    """An EHR that knows no includes, forbids one kind, and does not know another kind's parameter."""
    asked: list[str] = []
    patient = {"reference": "Patient/p"}
    here = {"reference": f"{BASE}/Encounter/e"}
    held: dict[str, list[dict[str, Any]]] = {
        "Encounter": [{"resourceType": "Encounter", "id": "e", "subject": patient}],
        "Patient": [{"resourceType": "Patient", "id": "p"}],
        "ChargeItem": [
            {"resourceType": "ChargeItem", "id": "c1", "context": here},
            {"resourceType": "ChargeItem", "id": "c2", "context": {"reference": "Encounter/another"}},
        ],
        "Coverage": [
            {"resourceType": "Coverage", "id": "mine", "beneficiary": patient},
            {"resourceType": "Coverage", "id": "anothers", "beneficiary": {"reference": "Patient/q"}},
        ],
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        path, _, identity = request.url.path.removeprefix("/fhir/R4/").partition("/")
        query = request.url.query.decode()
        asked.append(f"{path}?{query}" if query else f"{path}/{identity}")
        if path == forbidden:
            return httpx2.Response(403)
        if "include" in query or (path == unknown and "patient=" not in query):
            return httpx2.Response(400)
        if identity:
            found = [r for r in held.get(path, []) if r["id"] == identity]
            return httpx2.Response(200, json=found[0]) if found else httpx2.Response(404)
        return httpx2.Response(200, json=bundle(*held.get(path, [])))

    return wire(answer), asked


def names(resources: list[dict[str, Any]]) -> set[str]:
    return {f"{r['resourceType']}/{r['id']}" for r in resources}


@pytest.mark.parametrize("unknown", ["", "ChargeItem"])
def test_an_ehr_that_knows_no_includes_is_asked_otherwise_and_what_is_another_patients_is_left(unknown: str) -> None:
    client, _ = chart(unknown=unknown)
    assert names(gather(client, "Encounter/e")) == {"Encounter/e", "Patient/p", "ChargeItem/c1", "Coverage/mine"}


@pytest.mark.parametrize("kind", ["Encounter", "ChargeItem", "Coverage", "Procedure", "Condition"])
def test_a_kind_that_the_ehr_forbids_stops_the_visit_with_a_reason(kind: str) -> None:
    client, _ = chart(forbidden=kind)
    with pytest.raises(ScopeMissing, match=f"refuses GET {kind} .*scopes"):
        gather(client, "Encounter/e")


def test_vaccines_may_be_forbidden_where_charges_tell_what_was_done() -> None:
    client, _ = chart(forbidden="Immunization")
    assert "ChargeItem/c1" in names(gather(client, "Encounter/e"))


def test_a_forbidden_patient_is_recorded_and_becomes_a_finding_later() -> None:
    client, _ = chart(forbidden="Patient")
    (outcome,) = [r for r in gather(client, "Encounter/e") if r["resourceType"] == "OperationOutcome"]
    assert outcome["issue"][0] == {
        "severity": "error", "code": "not-found", "diagnostics": "scope-missing", "expression": ["Patient/p"],
    }  # fmt: skip


# ---- tokens


def test_our_key_is_ours_alone_and_its_public_half_checks_what_we_sign(tmp_path: Path) -> None:
    key = tmp_path / "ehr.pem"
    keys = make_key(key)
    assert key.stat().st_mode & 0o077 == 0
    assert "d" not in keys["keys"][0]
    assert public_keys(key) == keys
    with pytest.raises(SecretMissing):
        make_key(key)
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"access_token": "t1", "expires_in": 3600, "scope": "system/Patient.rs"})

    url = "https://auth.example/token"
    token = BackendToken(
        Credentials(client_id="us", key=key, scopes="system/*.rs"),
        url,
        httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    assert [token.value(), token.value()] == ["t1", "t1"]
    assert token.granted == {"system/Patient.rs"}, "narrower than asked"
    assert len(seen) == 1
    form = parse_qs(seen[0].content.decode())
    signed = jwt.decode(form["client_assertion"][0], KeySet([ECKey.import_key(keys["keys"][0])]), algorithms=["ES384"])
    assert signed.header["kid"] == keys["keys"][0]["kid"]
    claims = signed.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("us", "us", url)
    assert claims["exp"] - claims["iat"] <= 300
    assert claims["jti"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_client"}, TokenRefused), (400, {"error": "invalid_scope"}, TokenRefused),
        (401, {}, TokenRefused), (429, {}, RateLimited), (502, None, EhrUnavailable), (200, {"token": "x"}, TokenRefused),
    ],
)  # fmt: skip
def test_no_token_has_a_reason(tmp_path: Path, status: int, body: Any, error: type[BillingError]) -> None:
    make_key(tmp_path / "k.pem")
    http = httpx2.Client(transport=httpx2.MockTransport(says(status, body)))
    with pytest.raises(error):
        BackendToken(Credentials(client_id="us", key=tmp_path / "k.pem"), "https://auth.example/token", http).value()


@pytest.mark.parametrize("text", ["", "no key at all"])
def test_a_key_that_cannot_be_read_is_a_matter_of_set_up(tmp_path: Path, text: str) -> None:
    (tmp_path / "k.pem").write_text(text)
    http = httpx2.Client(transport=httpx2.MockTransport(says(200)))
    for name in ("k.pem", "nowhere.pem"):
        with pytest.raises(SecretMissing, match="FHIR_BILLING_EHR_KEY"):
            BackendToken(Credentials(client_id="us", key=tmp_path / name), "https://auth.example/token", http).value()


# ---- doorbells


@pytest.mark.parametrize(
    ("kind", "name", "body", "rang"),
    [
        ("", "", b"", Rang()),
        ("Encounter", "e1", b"", Rang(encounter="Encounter/e1")),
        ("Patient", "p1", b"", Rang()),
        ("", "", b'{"resourceType":"Encounter","id":"e1","meta":{"versionId":"3"}}', Rang(encounter="Encounter/e1", version="3")),
        ("Encounter", "e1", b"{broken", Rang(encounter="Encounter/e1")),
        ("", "", b'{"resourceType":"Encounter","id":"../../x"}', Rang()),
        ("Encounter", "e1?x=y", b"", Rang()),
        ("", "", b'{"resourceType":"Encounter","id":7,"meta":[]}', Rang(encounter="Encounter/7")),
        ("", "", json.dumps(bundle({"resourceType": "Parameters"}, {"resourceType": "Encounter", "id": "e1"})).encode(),
         Rang(encounter="Encounter/e1")),
        ("", "", json.dumps(bundle(*({"resourceType": "Encounter", "id": i} for i in "aa"))).encode(),
         Rang(encounter="Encounter/a")),
        ("", "", b'{"resourceType":"Bundle","entry":[7]}', Rang()),
        ("", "", b"[1]", Rang()),
    ],
)  # fmt: skip
def test_a_notification_names_the_visit_to_read_or_none(kind: str, name: str, body: bytes, rang: Rang) -> None:
    assert read_notification("POST", kind, name, body).rang == (rang,)


def test_a_poll_of_an_ehr_that_does_not_sort_is_read_to_its_end() -> None:
    visits: list[dict[str, Any]] = [
        {"resourceType": "Encounter", "id": str(n), "status": "finished",
         "meta": {"versionId": "1", "lastUpdated": f"2026-03-02T10:{minute:02}:00Z"}}
        for n, minute in enumerate([30, 10, 50, 20])
    ]  # fmt: skip
    looked = poll(wire(says(200, bundle(*visits))), "", datetime(2026, 3, 2, 11, tzinfo=UTC), most=1)
    assert len(looked.sightings) == 4
    assert looked.cursor == "2026-03-02T10:50:00+00:00"


def test_a_poll_that_stops_early_moves_on_next_time_even_when_all_changed_at_once() -> None:
    def visits(request: httpx2.Request) -> httpx2.Response:
        since = parse_qs(request.url.query.decode()).get("_lastUpdated", ["ge1970-01-01T00:00:00+00:00"])[0][2:]
        rows: list[dict[str, Any]] = [
            {"resourceType": "Encounter", "id": str(n), "status": "finished",
             "meta": {"versionId": "1", "lastUpdated": f"2026-03-02T10:{n // 10:02}:00+00:00"}}
            for n in range(100)
        ]  # fmt: skip
        return httpx2.Response(200, json=bundle(*(r for r in rows if r["meta"]["lastUpdated"] >= since)))

    seen: set[str] = set()
    cursor = ""
    for _ in range(20):
        looked = poll(wire(visits), cursor, datetime(2026, 3, 2, 11, tzinfo=UTC), most=5)
        seen |= {one.encounter for one in looked.sightings}
        if looked.cursor == cursor:
            break
        cursor = looked.cursor
    assert len(seen) == 100
    assert cursor == "2026-03-02T10:09:00+00:00"


# ---- writing


def store(
    refused: frozenset[str] = frozenset(), quicker: int = 0
) -> tuple[FhirClient, dict[str, dict[str, Any]], list[str]]:
    """An EHR that takes some kinds only; somebody else writes first as often as `quicker` says."""
    held: dict[str, dict[str, Any]] = {}
    wrote: list[str] = []
    left = [quicker]

    def answer(request: httpx2.Request) -> httpx2.Response:
        kind = request.url.path.removeprefix("/fhir/R4/").split("/")[0]
        if kind in {*refused, "Provenance"}:
            return httpx2.Response(403)
        if request.method == "GET":
            return httpx2.Response(200, json=bundle(*([held[kind]] if kind in held else [])))
        resource = json.loads(request.content)
        if request.method == "PUT" and left[0]:
            left[0] -= 1
            held[kind]["meta"]["versionId"] = str(int(held[kind]["meta"]["versionId"]) + 1)
            return httpx2.Response(412)
        wrote.append(f"{request.method} {kind} {request.headers.get('if-match', '')}".strip())
        version = str(int(held.get(kind, {}).get("meta", {}).get("versionId", "0")) + 1)
        held[kind] = {**resource, "id": f"{kind.lower()}-1", "meta": {"versionId": version}}
        return httpx2.Response(200, json=held[kind])

    return wire(answer), held, wrote


CLAIM = {"resourceType": "Claim", "identifier": identifier("C-1"), "status": "active"}
TASK = {
    "resourceType": "Task",
    "identifier": identifier("C-1"),
    "status": "ready",
    "focus": {"reference": where("Claim", "C-1")},
}


def test_a_task_points_at_the_claim_under_the_charts_own_id() -> None:
    client, held, wrote = store()
    assert told(client, [CLAIM, TASK]) == "Claim created, Task created"
    assert held["Task"]["focus"] == {"reference": "Claim/claim-1"}
    assert told(client, [CLAIM, TASK]) == "Claim unchanged, Task unchanged"
    assert told(client, [{**CLAIM, "status": "cancelled"}, TASK]) == "Claim updated, Task unchanged"
    assert wrote == ["POST Claim", "POST Task", 'PUT Claim W/"1"']


def test_an_ehr_that_takes_no_claims_still_gets_the_task_which_names_the_claim_by_number() -> None:
    client, held, _ = store(refused=frozenset({"Claim"}))
    assert told(client, [CLAIM, TASK]) == "Claim not taken (scope-missing), Task created"
    assert held["Task"]["focus"] == {"type": "Claim", "identifier": {"system": CLAIM_NUMBER, "value": "C-1"}}
    assert proof(client, "C-1").keys() == {"Task"}


def test_an_ehr_that_takes_nothing_says_so() -> None:
    client, _, _ = store(refused=frozenset({"Claim", "Task"}))
    with pytest.raises(ScopeMissing):
        told(client, [CLAIM, TASK])


def test_who_was_quicker_is_read_again_and_nobody_is_written_against_for_ever() -> None:
    client, held, _ = store(quicker=1)
    told(client, [CLAIM])
    assert told(client, [{**CLAIM, "status": "cancelled"}]) == "Claim updated"
    assert held["Claim"]["status"] == "cancelled"
    client, _, _ = store(quicker=9)
    told(client, [CLAIM])
    with pytest.raises(Contended):
        told(client, [{**CLAIM, "status": "cancelled"}])


def test_every_quirk_leaves_a_plain_resource_plain() -> None:
    for vendor in quirks.known():
        assert quirks.named(vendor)({"resourceType": "Patient", "id": "p"}) == {"resourceType": "Patient", "id": "p"}
    with pytest.raises(BillingError, match="plain"):
        quirks.named("unheard-of")
