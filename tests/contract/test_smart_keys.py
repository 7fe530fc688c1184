"""An EHR changes the keys that it signs with, and its sign-in goes on; a smart-configuration is asked for once in five minutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from joserfc.jwk import RSAKey

from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotAllowed
from fhir_billing.doors import Door, Granted
from fhir_billing.ehr.smart import SmartClient
from tests.attacks.other_ehr import OtherEhr

BACK = "http://127.0.0.1:1/launch/back"


@pytest.fixture
def ehr() -> Iterator[OtherEhr]:
    found = OtherEhr()
    yield found
    found.close()


def sign_in(client: SmartClient, ehr: OtherEhr, iss: str = "") -> Granted:
    door = Door(name="other", iss=ehr.iss, client_id="app")
    going = client.begin(door, back=BACK, launch="x")
    return client.finish(door, going, code=ehr.authorize(going.url)["code"], back=BACK, iss=iss)


def test_new_keys_are_fetched_once_when_an_unknown_one_signs(ehr: OtherEhr) -> None:
    client = SmartClient()
    assert sign_in(client, ehr).practitioner == "Practitioner/dr-example"
    ehr.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
    sign_in(client, ehr)
    sign_in(client, ehr)
    assert [path for _, path in ehr.requests].count("/jwks") == 2
    assert [path for _, path in ehr.requests].count("/fhir/.well-known/smart-configuration") == 1


@pytest.mark.parametrize(
    ("claims", "practitioner"),
    [
        ({"fhirUser": "Practitioner/rel"}, "Practitioner/rel"),
        ({"fhirUser": "https://elsewhere.example/Practitioner/x"}, ""),
        ({"fhirUser": "Practitioner/../Patient/x"}, ""),
        ({"fhirUser": None, "profile": "Practitioner/old"}, "Practitioner/old"),
        ({"fhirUser": None}, ""),
    ],
)
def test_who_signed_in_is_read_from_what_the_ehr_says(
    ehr: OtherEhr, claims: dict[str, str | None], practitioner: str
) -> None:
    ehr.claims = claims
    assert sign_in(SmartClient(), ehr).practitioner == practitioner


def test_an_ehr_that_promises_to_name_itself_must(ehr: OtherEhr) -> None:
    ehr.says = {"authorization_response_iss_parameter_supported": True}
    assert sign_in(SmartClient(), ehr, iss=ehr.root).patient == "Patient/pat-1"
    for wrong in ("", "https://mallory.example"):
        with pytest.raises(NotAllowed, match="Another server answered"):
            sign_in(SmartClient(), ehr, iss=wrong)


@pytest.mark.parametrize(
    "says",
    [
        {"authorization_endpoint": "http://ehr.example/authorize"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"authorization_endpoint": "https://ehr.example/a#b"},
        {"code_challenge_methods_supported": ["plain"]},
        {"filler": "x" * 300_000},
    ],
)
def test_a_smart_configuration_that_cannot_be_trusted_leads_nowhere(ehr: OtherEhr, says: dict[str, object]) -> None:
    ehr.says = says
    with pytest.raises(EhrBrokeContract):
        sign_in(SmartClient(), ehr)


def test_both_spellings_of_the_audience_are_tried_and_no_third(ehr: OtherEhr) -> None:
    client, door = SmartClient(), Door(name="other", iss=ehr.iss, client_id="app")
    first = client.begin(door, back=BACK, sent=f"{ehr.iss}/")
    second = client.begin(door, back=BACK, sent=f"{ehr.iss}/", tried=(first.aud,))
    assert [first.aud, second.aud] == [f"{ehr.iss}/", ehr.iss]
    with pytest.raises(BillingError, match="refuses its own address"):
        client.begin(door, back=BACK, tried=(first.aud, second.aud))
