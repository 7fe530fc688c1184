"""Somebody calls a CDS service who may not, or for what they may not see: each way is tried once and refused."""

from __future__ import annotations

import base64
import copy
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.cds_ehr import (
    ISS,
    PUBLIC,
    Ehr,
    FhirServer,
    as_it_was,
    bundle,
    installed,
    key,
    prefetch,
    public_keys,
    serving,
    the_chart,
)

HOOK = "billing-encounter-discharge"
PATH = f"/cds-services/{HOOK}"


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


def status(ehr: Ehr, bearer: str) -> int:
    answer = ehr.post(PATH, ehr.body(HOOK), bearer=bearer)
    found: int = answer.status_code
    return found


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_the_token_that_all_the_others_are_changed_from_is_taken(ehr: Ehr) -> None:
    assert status(ehr, ehr.token(PATH)) == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None])
def test_a_token_without_a_signature_is_refused(ehr: Ehr, alg: Any) -> None:
    _, claims, signature = ehr.token(PATH).split(".")
    head = part({"alg": alg, "kid": "one", "typ": "JWT"})
    assert status(ehr, f"{head}.{claims}.") == 401
    assert status(ehr, f"{head}.{claims}.{signature}") == 401


def test_a_public_key_is_no_shared_secret(ehr: Ehr) -> None:
    claims = ehr.token(PATH).split(".")[1]
    for secret in (json.dumps(public_keys()["keys"][0]).encode(), key().as_pem(private=False)):
        signed = f"{part({'alg': 'HS384', 'kid': 'one'})}.{claims}"
        made = base64.urlsafe_b64encode(hmac.new(secret, signed.encode(), "sha384").digest()).rstrip(b"=").decode()
        assert status(ehr, f"{signed}.{made}") == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example/cds-services/x"},
        {"aud": f"{PUBLIC}/cds-services"},
        {"aud": f"{PUBLIC}/cds-services/billing-patient-view"},
        {"aud": f"{PUBLIC}{PATH}.evil"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"jti": None},
        {"jti": ""},
        {"exp": None},
        {"iat": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iss": f"{ISS}.evil"},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(ehr: Ehr, claims: dict[str, Any]) -> None:
    assert status(ehr, ehr.token(PATH, **claims)) == 401


@pytest.mark.parametrize(
    ("iat", "exp", "taken"),
    [(-400, -100, 401), (-290, -30, 200), (30, 200, 200), (100, 300, 401), (0, 3600, 401), (0, 0, 401), (0, -1, 401)],
)
def test_a_token_is_of_this_moment_and_lives_five_minutes(ehr: Ehr, iat: int, exp: int, taken: int) -> None:
    now = int(ehr.story.clock.time.timestamp())
    assert status(ehr, ehr.token(PATH, iat=now + iat, exp=now + exp)) == taken


def test_a_token_is_used_once(ehr: Ehr) -> None:
    token = ehr.token(PATH)
    assert [status(ehr, token), status(ehr, token)] == [200, 401]
    assert status(ehr, ehr.token(PATH, jti="again")) == 200
    assert status(ehr, ehr.token(PATH, jti="again")) == 401


def test_a_key_that_the_token_brings_along_is_not_looked_at(ehr: Ehr) -> None:
    class Lure:
        def __init__(self) -> None:
            self.asked: list[tuple[str, str]] = []

        def answer(self, path: str) -> Any:
            return public_keys("evil")

    lure = Lure()
    with serving(lure) as url:
        for head in (
            {"jku": f"{url}/jwks"},
            {"x5u": f"{url}/cert"},
            {"jwk": key("evil").as_dict(private=False)},
            {"jku": f"{url}/jwks", "kid": "one"},
            {"jwk": key("evil").as_dict(private=False), "kid": "one"},
        ):
            assert status(ehr, ehr.token(PATH, by="evil", header=head)) == 401
        assert status(ehr, ehr.token(PATH, header={"jku": f"{url}/jwks"})) == 200  # named, and not followed
    assert lure.asked == []


@pytest.mark.parametrize("bearer", ["", "x", "a.b.c", "a.b", "....", "é.é.é", "A" * 9000, "[].[].[]"])
def test_what_is_no_token_is_refused(ehr: Ehr, bearer: str) -> None:
    headers = {"Authorization": f"Bearer {bearer}".encode()}
    assert ehr.http.post(PATH, content=b"{}", headers=headers).status_code == 401  # type: ignore[arg-type]


def test_no_token_goes_to_an_address_that_only_the_caller_knows(ehr: Ehr, server: FhirServer) -> None:
    foreign = FhirServer(the_chart())
    given = {
        "access_token": "secret",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/*.read",
        "subject": "cds",
    }
    with serving(foreign) as url:
        for address in (f"{url}/fhir", f"{server.url}@{url.removeprefix('http://')}", f"{server.url}.evil.example"):
            body = ehr.body(HOOK, fhirServer=address, fhirAuthorization=given)
            answer = ehr.post(PATH, body)
            assert answer.status_code == 400 or answer.json() == {"cards": []}
    assert foreign.asked == [] and server.asked == []


def test_a_giant_body_is_refused_before_it_is_read(ehr: Ehr) -> None:
    answer = ehr.post(PATH, b'{"hook": "' + b"x" * 5_000_000 + b'"}')
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "too-large"


@pytest.mark.parametrize("depth", [100, 2_000, 100_000])
def test_a_deep_prefetch_is_refused(ehr: Ehr, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    body = json.dumps(ehr.body(HOOK, prefetch={"patient": 0})).encode().replace(b'"patient": 0', b'"patient": ' + deep)
    assert ehr.post(PATH, body).status_code == 400


def test_a_prefetch_of_too_many_resources_is_refused(ehr: Ehr, server: FhirServer) -> None:
    come = {**prefetch(server.chart, HOOK), "charges": bundle([{"resourceType": "ChargeItem"}] * 6000)}
    assert ehr.post(PATH, ehr.body(HOOK, prefetch=come)).status_code == 400


@pytest.mark.parametrize("name", ["patient", "encounter", "coverages", "problems", "charges"])
def test_a_prefetch_of_another_patient_is_refused(ehr: Ehr, server: FhirServer, name: str) -> None:
    chart = copy.deepcopy(server.chart)
    chart[name] = json.loads(json.dumps(chart[name], default=str).replace("Patient/p", "Patient/q"))
    if name == "patient":
        chart[name][0]["id"] = "q"
    answer = ehr.post(PATH, ehr.body(HOOK, prefetch=prefetch(chart, HOOK)))
    assert answer.status_code == 400 and "another patient" in answer.json()["error"]["say"]


@pytest.mark.parametrize("name", ["encounter", "coverages", "problems", "charges"])
def test_a_chart_read_that_is_another_patients_gives_no_card(ehr: Ehr, server: FhirServer, name: str) -> None:
    server.chart[name] = json.loads(json.dumps(server.chart[name], default=str).replace("Patient/p", "Patient/q"))
    given = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "user/*.read", "subject": "cds"}
    found = ehr.cards(HOOK, fhirServer=server.url, fhirAuthorization=given)
    assert "q" not in {r.get("subject") for r in found} and (name == "problems" or found == [])
    assert all("suggestions" not in card for card in found)


def test_a_draft_order_of_another_patient_is_refused(ehr: Ehr, server: FhirServer) -> None:
    order = {"resourceType": "ServiceRequest", "id": "o", "status": "draft", "subject": {"reference": "Patient/q"}}
    body = ehr.body("billing-order-sign", context={"draftOrders": bundle([order])})
    assert ehr.post("/cds-services/billing-order-sign", body).status_code == 400


def test_a_prefetch_on_another_server_is_another_patients(ehr: Ehr, server: FhirServer) -> None:
    chart = copy.deepcopy(server.chart)
    chart["encounter"][0]["subject"] = {"reference": "https://other.example/fhir/Patient/p"}
    body = ehr.body(HOOK, prefetch=prefetch(chart, HOOK), fhirServer=server.url)
    assert ehr.post(PATH, body).status_code == 400


HOSTILE = [
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "https://evil.example www.evil.example",
    "# heading\n\n* list\n| a | b |",
    "\u202egpj.exe\x00\x07",
    "A" * 5000,
    "{{context.patientId}}",
]


ACTIVE = re.compile(r"(?<!\\)[<\[\]`|]|(?<!\\)://|www(?<!\\)\.|^#", re.MULTILINE)
"""What Markdown would act upon."""


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_chart_text_has_no_effect_on_a_card(ehr: Ehr, server: FhirServer, text: str) -> None:
    server.chart["problems"][0]["code"]["text"] = text
    server.chart["problems"][0]["code"]["coding"][0]["display"] = text
    server.chart["coverages"][0] = {
        **server.chart["coverages"][0], "period": {"end": "2026-02-28"}, "payor": [{"display": text}],
    }  # fmt: skip
    found = ehr.cards(HOOK, prefetch=prefetch(server.chart, HOOK))
    found += ehr.cards("billing-patient-view", prefetch=prefetch(server.chart, "billing-patient-view"))
    assert found
    for card in found:
        shown = [card["summary"], card["source"]["label"], *(s["label"] for s in card.get("suggestions", ()))]
        assert all(one.isprintable() and len(one) < 140 for one in shown)
        detail = card.get("detail", "")
        assert "\u202e" not in detail and not ACTIVE.search(detail), detail
