"""Nobody gets in by a sign-in that was bent on its way: its state, its code, its proof, its issuer, its redirects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest

from tests.attacks.other_ehr import OtherEhr

if TYPE_CHECKING:
    from tests.attacks.conftest import Between, Visitor


def asked(address: str) -> dict[str, str]:
    """What an authorize address asks."""
    return dict(parse_qsl(urlsplit(address).query))


def nobody_is_in(visitor: Visitor, answer: Any) -> None:
    """The answer is a page that says so, not a redirect, and no session began."""
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.headers}"
    assert "location" not in answer.headers
    assert [name for name in visitor.cookies if name.startswith("v-")] == []


def test_an_honest_launch_opens_a_session(between: Between) -> None:
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    assert visitor.get(f"/v/{handle}/visit").status_code == 200


def test_a_sign_in_from_outside_a_chart_opens_the_patient_that_was_chosen_there(between: Between) -> None:
    visitor = between.visitor()
    began = str(visitor.get(f"/launch/alone?{urlencode({'iss': between.honest.iss})}").headers["location"])
    assert "launch/patient" in asked(began)["scope"].split()
    assert "launch" not in asked(began)
    handle = visitor.arrived(visitor.get(f"/launch/back?{between.honest.back(began)}"))
    assert visitor.get(f"/v/{handle}/visit").status_code == 200


def test_a_state_that_nobody_began_opens_nothing(between: Between) -> None:
    visitor = between.visitor()
    began = visitor.begin(between.honest)
    for state in ("", "made-up", asked(began)["state"][:-1], asked(began)["state"] + "A"):
        nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(began, state=state)}"))
    assert between.honest.forms == [], "no code was exchanged"


def test_a_state_is_used_once(between: Between) -> None:
    visitor, thief = between.visitor(), between.visitor()
    back = between.honest.back(visitor.begin(between.honest))
    visitor.arrived(visitor.get(f"/launch/back?{back}"))
    nobody_is_in(thief, thief.get(f"/launch/back?{back}"))
    assert len(between.honest.forms) == 1, "the used code was not even sent"


def test_a_code_that_was_used_opens_nothing_under_a_fresh_state(between: Between) -> None:
    visitor, thief = between.visitor(), between.visitor()
    back = between.honest.back(visitor.begin(between.honest))
    visitor.arrived(visitor.get(f"/launch/back?{back}"))
    state = asked(thief.begin(between.honest))["state"]
    code = dict(parse_qsl(back))["code"]
    nobody_is_in(thief, thief.get(f"/launch/back?{urlencode({'code': code, 'state': state})}"))


def test_a_stolen_code_is_worth_nothing_without_its_verifier(between: Between) -> None:
    victim, thief = between.visitor(), between.visitor()
    code = between.honest.authorize(victim.begin(between.honest))["code"]
    state = asked(thief.begin(between.honest))["state"]
    nobody_is_in(thief, thief.get(f"/launch/back?{urlencode({'code': code, 'state': state})}"))


def test_a_changed_challenge_opens_nothing(between: Between) -> None:
    visitor = between.visitor()
    began = visitor.begin(between.honest)
    assert asked(began)["code_challenge_method"] == "S256"
    for change in ({"code_challenge": "A" * 43}, {"code_challenge": ""}):
        bent = f"{began.partition('?')[0]}?{urlencode({**asked(began), **change})}"
        nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(bent)}"))
        began = visitor.begin(between.honest)


def test_the_verifier_never_leaves_for_the_browser(between: Between) -> None:
    visitor = between.visitor()
    visitor.launch(between.honest)
    verifier = between.honest.forms[-1]["code_verifier"]
    assert len(verifier) >= 43
    assert verifier not in " ".join([*visitor.addresses, *visitor.set_cookies])


def test_an_answer_of_another_issuer_is_refused(between: Between) -> None:
    visitor = between.visitor()
    back = between.honest.back(visitor.begin(between.honest), iss=between.mallory.root)
    nobody_is_in(visitor, visitor.get(f"/launch/back?{back}"))
    assert between.honest.forms == between.mallory.forms == [], "the code went to nobody"


def test_a_code_goes_only_to_the_server_that_its_state_was_made_for(between: Between) -> None:
    visitor = between.visitor()
    began = visitor.begin(between.mallory)
    code = between.honest.authorize(visitor.begin(between.honest))["code"]
    nobody_is_in(
        visitor,
        visitor.get(
            f"/launch/back?{urlencode({'code': code, 'state': asked(began)['state'], 'iss': between.honest.root})}"
        ),
    )
    assert between.mallory.forms == [], "an honest code is not carried to another server"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "app-mallory"},
        {"aud": ["app-honest", "app-mallory"]},
        {"iss": "https://ehr.example"},
        {"iss": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"sub": None},
    ],
    ids=lambda claims: "-".join(f"{name}={value}"[:30] for name, value in claims.items()),
)
def test_an_id_token_that_is_not_for_this_sign_in_opens_nothing(between: Between, claims: dict[str, Any]) -> None:
    between.honest.claims = claims
    visitor = between.visitor()
    nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(visitor.begin(between.honest))}"))


def test_an_id_token_signed_by_somebody_else_or_by_nobody_opens_nothing(between: Between) -> None:
    from joserfc import jwt

    visitor = between.visitor()
    between.honest.key, kept = between.mallory.key, between.honest.key
    between.honest.answer = _keys_stay(between.honest, kept)  # type: ignore[method-assign]
    nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(visitor.begin(between.honest))}"))
    unsigned = f"{_part({'alg': 'none'})}.{_part({'sub': 'dr', 'aud': 'app-honest', 'iss': between.honest.root})}."
    between.honest.context["id_token"] = unsigned
    nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(visitor.begin(between.honest))}"))
    from joserfc.jwk import OctKey

    public = kept.as_pem(private=False)
    between.honest.context["id_token"] = _hmac_by_public_key(jwt, OctKey, public, between.honest.root)
    nobody_is_in(visitor, visitor.get(f"/launch/back?{between.honest.back(visitor.begin(between.honest))}"))


def _part(said: dict[str, Any]) -> str:
    import base64
    import json

    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def _hmac_by_public_key(jwt: Any, oct_key: Any, public: bytes, iss: str) -> str:
    """The classic confusion: the public key as a shared secret."""
    import hashlib
    import hmac as mac
    from base64 import urlsafe_b64encode

    claims = {"sub": "dr", "aud": "app-honest", "iss": iss, "exp": int(time.time()) + 600}
    signed = f"{_part({'alg': 'HS256', 'kid': 'k1'})}.{_part(claims)}"
    digest = mac.new(public, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _keys_stay(ehr: OtherEhr, key: Any) -> Any:
    answer = ehr.answer

    def answered(method: str, path: str, body: str, bearer: str = "") -> Any:
        return (200, {"keys": [key.as_dict(private=False)]}) if path == "/jwks" else answer(method, path, body, bearer)

    return answered


def test_no_stranger_named_by_iss_is_asked_anything(between: Between) -> None:
    stranger = OtherEhr()
    known = between.honest.iss
    host = urlsplit(known).netloc
    wanted = [
        stranger.iss,
        f"{stranger.iss}/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_INFO",
        f"http://{host}@{urlsplit(stranger.iss).netloc}/fhir",
        f"http://{host}%40{urlsplit(stranger.iss).netloc}/fhir",
        f"http://{host}#@{urlsplit(stranger.iss).netloc}/fhir",
        f"{known}/../../../other",
        f"{known}/../fhir",
        f"{known}?x=",
        f"{known}//",
        known.replace("127.0.0.1", "127.0.0.1.example"),
        known.replace("127.0.0.1", "localhost"),
        known.replace("127.0.0.1", "0177.0.0.1"),
        known.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        known.upper(),
        "",
    ]
    visitor = between.visitor()
    for iss in wanted:
        answer = visitor.get(f"/launch?{urlencode({'iss': iss, 'launch': 'x'})}")
        assert 400 <= answer.status_code < 500, iss
        assert "location" not in answer.headers, iss
    doubled = visitor.get(f"/launch?iss={quote(known)}&iss={quote(stranger.iss)}&launch=x")
    assert stranger.root not in doubled.headers.get("location", "")
    assert stranger.requests == []
    stranger.close()


def test_an_issuer_with_or_without_its_last_slash_is_the_same(between: Between) -> None:
    visitor = between.visitor()
    answer = visitor.get(f"/launch?{urlencode({'iss': between.honest.iss + '/', 'launch': 'x'})}")
    assert answer.headers["location"].startswith(f"{between.honest.root}/authorize?")


def test_a_launch_goes_to_the_ehr_that_it_knows_and_comes_back_here(between: Between) -> None:
    visitor = between.visitor()
    evil = "https://evil.example/"
    more = dict.fromkeys(("redirect_uri", "next", "back", "url", "target_link_uri", "state", "aud", "client_id"), evil)
    answer = visitor.get(f"/launch?{between.honest.launch()}&{urlencode(more)}")
    went = answer.headers["location"]
    assert went.startswith(f"{between.honest.root}/authorize?")
    assert "evil" not in went
    assert parse_qs(urlsplit(went).query)["redirect_uri"] == [f"{between.base}/launch/back"]
    landed = visitor.get(f"/launch/back?{between.honest.back(went)}&{urlencode({'next': evil, 'redirect_uri': evil})}")
    assert urlsplit(landed.headers.get("location", "")).netloc in {"", urlsplit(between.base).netloc}
    assert "evil" not in landed.text


def test_the_host_header_does_not_say_where_an_ehr_sends_its_codes(between: Between) -> None:
    visitor = between.visitor()
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    answer = visitor.get(f"/launch?{between.honest.launch()}", headers=headers)
    assert "evil" not in answer.headers.get("location", "")


@pytest.mark.parametrize("place", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "http://evil.example/token", "file:///etc/passwd", "//evil.example"]
)
def test_a_smart_configuration_leads_nowhere_that_is_not_encrypted(between: Between, place: str, address: str) -> None:
    between.honest.says = {place: address}
    answer = between.visitor().get(f"/launch?{between.honest.launch()}")
    assert answer.status_code >= 400
    assert "location" not in answer.headers
    assert address not in answer.text


def test_what_the_ehr_says_when_it_refuses_stays_text(between: Between) -> None:
    visitor = between.visitor()
    state = asked(visitor.begin(between.honest))["state"]
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    query = urlencode(
        {"error": hostile, "error_description": hostile, "error_uri": "javascript:alert(3)", "state": state}
    )
    answer = visitor.get(f"/launch/back?{query}")
    nobody_is_in(visitor, answer)
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "javascript:" not in answer.text


def test_narrower_scopes_than_asked_for_are_obeyed_and_told(between: Between) -> None:
    between.honest.scopes = "openid fhirUser launch patient/Patient.rs"
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    before = len(between.honest.bearers)
    answer = visitor.get(f"/v/{handle}/visit")
    assert answer.status_code < 500
    assert "Open this page" in answer.text or "may" in answer.text or "allow" in answer.text
    read = {path for _, path in between.honest.requests if path.startswith("/fhir/") and "well-known" not in path}
    assert not any(path.startswith(("/fhir/Condition", "/fhir/Encounter")) for path in read), (before, read)


@pytest.mark.parametrize("context", [{"encounter": None}, {"encounter": ""}, {"encounter": "../../other"}])
def test_a_launch_without_a_visit_is_a_page_and_no_crash(between: Between, context: dict[str, Any]) -> None:
    between.honest.context.update(context)
    visitor = between.visitor()
    handle = visitor.launch(between.honest)
    assert visitor.get(f"/v/{handle}/visit").status_code < 500
    assert visitor.get(f"/v/{handle}/bills").status_code == 200


def test_a_launch_without_a_patient_says_so(between: Between) -> None:
    between.honest.context = {}
    visitor = between.visitor()
    answer = visitor.get(f"/launch/back?{between.honest.back(visitor.begin(between.honest))}")
    nobody_is_in(visitor, answer)
    assert "patient" in answer.text
