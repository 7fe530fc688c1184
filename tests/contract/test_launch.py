"""A real EHR opens our page: oidc-provider signs in, Medplum's router holds the charts, and a browser without script follows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing.doors import read_doors
from fhir_billing.ehr.smart import SmartClient
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import Wiring
from smart_app.app import create_app
from smart_app.example import Example
from smart_app.face import FaceSettings
from smart_app.launch.session import Here, Launching, chart_of, kept_of
from tests.conftest import Peer
from tests.e2e.bedside import served

SECRET = "only-for-this-test-" * 2
CHART: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p1", "name": [{"family": "Zztest-One"}]},
    {"resourceType": "Patient", "id": "p2", "name": [{"family": "Zztest-Two"}]},
    *(
        {
            "resourceType": "Encounter",
            "id": f"e{n}",
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": f"Patient/p{n}"},
        }
        for n in (1, 2)
    ),
    {"resourceType": "Practitioner", "id": "dr-lin", "name": [{"family": "Example-Lin", "prefix": ["Dr."]}]},
]


class Later:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.more = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.more


@dataclass
class Clinic:
    """The faces with three doors to one EHR: a public client, one with a secret, one with a key."""

    base: str
    ehr: dict[str, str]
    example: Example
    clock: Later
    launching: Launching
    doors: Path
    asked: list[str] = field(default_factory=list)

    def context(self, patient: str = "p1", encounter: str | None = "e1", **more: Any) -> str:
        """The EHR's own launch id."""
        said = {"patient": patient, **({"encounter": encounter} if encounter else {}), **more}
        answer = httpx2.post(f"{self.ehr['CI_EHR_AUTH']}/launch-context", json=said, timeout=20)
        return str(answer.json()["launch"])

    def address(self, *, iss: str = "", **more: Any) -> str:
        asked = {"iss": iss or self.ehr["CI_EHR_FHIR"], "launch": self.context(**more)}
        return f"{self.base}/launch?{urlencode(asked)}"


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def ehr(peers_run: Path, port: int) -> Iterator[dict[str, str]]:
    """An EHR of its own, whose tokens live a minute and which sends browsers back to us."""
    folder = peers_run / "launch"
    folder.mkdir()
    peer = Peer("ci-ehr.sh", folder)
    back = f"http://127.0.0.1:{port}/launch/back"
    found = peer.start(FHIR_PORT="0", AUTH_PORT="0", REDIRECT_URIS=back, FHIR_USER="Practitioner/dr-lin", TTL="60")
    said = httpx2.post(
        f"{found['CI_EHR_AUTH']}/auth/token",
        auth=("billing-backend-secret", "backend-secret"),
        data={"grant_type": "client_credentials", "scope": "system/*.cruds"},
    ).json()
    for resource in CHART:
        answer = httpx2.put(
            f"{found['CI_EHR_FHIR']}/{resource['resourceType']}/{resource['id']}",
            json=resource,
            headers={"Authorization": f"Bearer {said['access_token']}"},
        )
        assert answer.status_code < 300, answer.text
    yield found
    peer.stop()


KINDS = {
    "public": "client_id: billing-app-public\n",
    "secret": "client_id: billing-app\nclient: secret\nsecret_env: LAUNCH_TEST_SECRET\n",
    "key": "client_id: billing-app-key\nclient: key\nkey: {key}\nkey_id: k1\n",
}


@pytest.fixture
def kind() -> str:
    return "public"


@pytest.fixture
def scopes() -> str:
    return ""


@pytest.fixture
def clinic(
    ehr: dict[str, str], port: int, kind: str, scopes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clinic]:
    monkeypatch.setenv("LAUNCH_TEST_SECRET", "billing-secret")
    doors = tmp_path / "launches"
    doors.mkdir()
    text = f"iss: {ehr['CI_EHR_FHIR']}\ntitle: Example EHR\nframe_ancestors: ['https://ehr.example']\n"
    text += KINDS[kind].format(key=ehr["CI_EHR_KEY"]) + (f"scopes: {scopes}\n" if scopes else "")
    (doors / "ci.yaml").write_text(text, encoding="utf-8")
    database = f"sqlite:///{tmp_path / 'book.db'}"
    migrate(database)
    clock = Later()
    base = f"http://127.0.0.1:{port}"
    wiring = Wiring(
        settings=Settings(database=database, session_secret=SECRET, launches=doors, public_url=base, redis_url=""),
        clock=clock,
    )
    launching = Launching(
        doors=wiring.doors, vault=wiring.vault, smart=wiring.smart, chart_as=wiring.chart_as, public_url=base
    )
    example = Example()
    app = create_app(example, example, FaceSettings(session_secret=SECRET, launching=launching, now=clock.now))
    app.include_router(_probe())
    with served(app, port):
        yield Clinic(base=base, ehr=ehr, example=example, clock=clock, launching=launching, doors=doors)


def _probe() -> APIRouter:
    """What a page of a launched chart sees."""
    router = APIRouter()

    @router.get("/v/{handle}/probe")  # noqa: FAST003 - `Here` reads it
    def probe(request: Request, here: Here) -> Response:
        granted = kept_of(request, here.handle).granted
        return JSONResponse(
            {
                "patient": here.patient,
                "encounter": here.encounter,
                "practitioner": here.practitioner,
                "who": here.who,
                "banner": here.banner,
                "may": {p: here.may(p) for p in ("Patient.r", "Condition.r", "Condition.u", "Coverage.s")},
                "refresh": bool(granted.refresh),
                "csrf": here.csrf,
            }
        )

    @router.get("/v/{handle}/chart/{encounter}")  # noqa: FAST003
    def chart(request: Request, here: Here, encounter: str) -> Response:
        found = chart_of(request, here).gather(f"Encounter/{encounter}")
        return JSONResponse([f"{r['resourceType']}/{r.get('id', '')}" for r in found])

    return router


class Browser:
    """A browser without script: it follows redirects and keeps cookies."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.http = httpx2.Client(follow_redirects=False, timeout=30)
        self.went: list[str] = []

    def go(self, url: str, *, until: str = "") -> httpx2.Response:
        """Follow to the end, or until an address holds a word, which is not opened: the visit's page is another room's."""
        for _ in range(15):
            self.went.append(url)
            answer = self.http.get(url)
            if not answer.is_redirect:
                return answer
            url = str(httpx2.URL(url).join(answer.headers["location"]))
            if (until or "/v/") in url:
                self.went.append(url)
                return answer
        raise AssertionError("it goes round in circles")

    def handle(self) -> str:
        return next(url.split("/v/")[1].split("/")[0] for url in reversed(self.went) if "/v/" in url)

    def probe(self, handle: str = "") -> dict[str, Any]:
        answer = self.http.get(f"{self.clinic.base}/v/{handle or self.handle()}/probe")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def browser(clinic: Clinic) -> Iterator[Browser]:
    found = Browser(clinic)
    yield found
    found.http.close()


@pytest.mark.parametrize("kind", ["public", "secret", "key"])
def test_an_ehr_opens_a_visit_with_each_kind_of_client(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    assert "/visit" in browser.went[-1]
    seen = browser.probe()
    assert (seen["patient"], seen["encounter"], seen["practitioner"]) == (
        "Patient/p1",
        "Encounter/e1",
        "Practitioner/dr-lin",
    )
    assert seen["who"] == "Dr. Example-Lin", "named by the chart, for this EHR's id_token has no name"
    assert seen["may"] == {"Patient.r": True, "Condition.r": True, "Condition.u": False, "Coverage.s": True}
    assert ("Dr. Example-Lin <Practitioner/dr-lin>", "opened the visit", "Encounter/e1") in clinic.example.audited


def test_what_is_asked_of_the_ehr_is_what_the_specification_says(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/auth/authorize")
    asked = dict(parse_qsl(urlsplit(browser.went[-1]).query))
    assert asked["aud"] == clinic.ehr["CI_EHR_FHIR"]
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{clinic.base}/launch/back"
    assert "launch" in asked["scope"].split()
    assert len(asked["state"]) > 30
    assert len(asked["nonce"]) > 20


def test_a_visit_opens_without_cookies_by_a_ticket_that_works_once(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/launch/back")
    bare = httpx2.get(browser.went[-1])
    assert bare.status_code == 200, bare.text
    assert "Opening this visit" in bare.text
    handle = bare.text.split('data-handle="')[1].split('"')[0]
    ticket = bare.text.split('data-ticket="')[1].split('"')[0]
    place = f"{clinic.base}/v/{handle}"
    assert httpx2.get(f"{place}/probe").status_code == 401
    token = httpx2.post(f"{place}/ticket", data={"ticket": ticket}).json()["token"]
    assert httpx2.post(f"{place}/ticket", data={"ticket": ticket}).status_code == 403
    assert httpx2.get(f"{place}/probe", headers={"X-Visit-Token": token}).json()["patient"] == "Patient/p1"
    assert token not in bare.text


def test_it_opens_from_outside_a_chart_too(clinic: Clinic, browser: Browser) -> None:
    answer = browser.go(f"{clinic.base}/launch/alone")
    asked = next(url for url in browser.went if "/auth/authorize" in url)
    assert "launch%2Fpatient" in asked
    assert answer.status_code == 403, "this EHR lets nobody choose a patient"
    assert "The EHR named no patient" in answer.text


def test_a_state_works_once_and_only_if_it_was_begun_here(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/launch/back")
    back = browser.went[-1]
    tampered = browser.http.get(back.replace("state=", "state=x"))
    assert tampered.status_code == 401
    assert browser.http.get(back).status_code == 303
    again = browser.http.get(back)
    assert again.status_code == 401
    assert "used already" in again.text
    assert "Traceback" not in again.text


def test_a_sign_in_of_another_browser_is_refused(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/launch/back")
    [name] = [c for c in browser.http.cookies if c.startswith("l-")]
    answer = httpx2.get(browser.went[-1], headers={"cookie": f"{name}=planted"})
    assert answer.status_code == 403
    assert "another window" in answer.text


def test_the_code_of_another_sign_in_is_refused(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/launch/back")
    first = dict(parse_qsl(urlsplit(browser.went[-1]).query))
    other = Browser(clinic)
    other.go(clinic.address(patient="p2", encounter="e2"), until="/launch/back")
    second = dict(parse_qsl(urlsplit(other.went[-1]).query))
    mixed = {**second, "code": first["code"]}
    answer = other.http.get(f"{clinic.base}/launch/back?{urlencode(mixed)}")
    assert answer.status_code == 403, "its verifier is another's"
    assert "The EHR refused the sign-in" in answer.text


def test_an_unknown_ehr_is_asked_nothing(clinic: Clinic, browser: Browser) -> None:
    heard: list[Any] = []
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        stranger.settimeout(0.5)
        url = f"http://127.0.0.1:{stranger.getsockname()[1]}/fhir"

        def listen() -> None:
            try:
                heard.append(stranger.accept())
            except TimeoutError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        for iss in (url, clinic.ehr["CI_EHR_FHIR"] + ".evil.example", "file:///etc/passwd", "//x"):
            answer = browser.http.get(f"{clinic.base}/launch?{urlencode({'iss': iss, 'launch': 'x'})}")
            assert answer.status_code == 403
            assert "not known here" in answer.text
        thread.join()
    assert not heard


def test_an_iss_with_a_last_slash_is_the_same_ehr(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(iss=clinic.ehr["CI_EHR_FHIR"] + "/"))
    assert browser.probe()["patient"] == "Patient/p1"


@pytest.mark.parametrize("scopes", ["openid fhirUser launch patient/Patient.read"])
def test_narrow_scopes_are_obeyed(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    assert browser.probe()["may"] == {
        "Patient.r": True,
        "Condition.r": False,
        "Condition.u": False,
        "Coverage.s": False,
    }


@pytest.mark.parametrize("scopes", ["openid fhirUser launch patient/Encounter.rs"])
def test_without_the_patient_s_record_nothing_opens_and_it_is_said(clinic: Clinic, browser: Browser) -> None:
    answer = browser.go(clinic.address())
    assert answer.status_code == 403
    assert "too few permissions" in answer.text
    assert not [c for c in browser.http.cookies if c.startswith("v-")]


def test_a_refusal_of_the_ehr_is_a_page(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(), until="/auth/authorize")
    state = dict(parse_qsl(urlsplit(browser.went[-1]).query))["state"]
    answer = browser.http.get(f"{clinic.base}/launch/back?{urlencode({'state': state, 'error': 'access_denied'})}")
    assert answer.status_code == 403
    assert "You may not open this page" in answer.text


def test_a_launch_without_a_visit_opens_the_patient(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address(encounter=None))
    assert browser.probe()["encounter"] == ""


def test_two_charts_in_one_browser_never_mix(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    one = browser.handle()
    browser.go(clinic.address(patient="p2", encounter="e2"))
    two = browser.handle()
    assert browser.probe(one)["patient"] == "Patient/p1"
    assert browser.probe(two)["patient"] == "Patient/p2"
    token = next(c.value for c in browser.http.cookies.jar if c.name == f"v-{one}")
    for headers in ({"X-Visit-Token": str(token)}, {"cookie": f"v-{two}={token}"}):
        assert httpx2.get(f"{clinic.base}/v/{two}/probe", headers=headers).status_code == 401


def test_another_patient_s_visit_is_not_read(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    place = f"{clinic.base}/v/{browser.handle()}/chart"
    mine = browser.http.get(f"{place}/e1")
    assert mine.status_code == 200, mine.text
    assert {"Encounter/e1", "Patient/p1"} <= set(mine.json())
    other = browser.http.get(f"{place}/e2")
    assert other.status_code == 403
    assert "Zztest-Two" not in other.text
    assert ("Dr. Example-Lin <Practitioner/dr-lin>", "read the chart", "Encounter/e1") in clinic.example.audited


def test_silence_of_half_an_hour_ends_it_and_use_keeps_it_for_ten_hours(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    for _ in range(24):
        clinic.clock.more += timedelta(minutes=25)
        if clinic.clock.more >= timedelta(hours=10):
            break
        assert browser.probe()["patient"] == "Patient/p1"
    ended = browser.http.get(f"{clinic.base}/v/{browser.handle()}/probe")
    assert ended.status_code == 401
    assert "Open this page again from the chart" in ended.text
    browser.go(clinic.address())
    clinic.clock.more += timedelta(minutes=31)
    assert browser.http.get(f"{clinic.base}/v/{browser.handle()}/probe").status_code == 401


@pytest.mark.parametrize("kind", ["public", "secret", "key"])
@pytest.mark.parametrize(
    "scopes",
    ["openid fhirUser launch offline_access patient/Patient.rs patient/*.rs user/*.rs"],
)
def test_a_token_that_ends_is_renewed_and_leaving_revokes_it(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    handle, seen = browser.handle(), browser.probe()
    assert seen["refresh"]
    clinic.clock.more = timedelta(seconds=50)  # our clock: its token is about to end
    assert browser.http.get(f"{clinic.base}/v/{handle}/chart/e1").status_code == 200
    assert browser.probe()["refresh"]
    ended = browser.http.post(f"{clinic.base}/v/{handle}/end", data={"csrf": seen["csrf"]})
    assert "You are signed out" in ended.text
    assert browser.http.get(f"{clinic.base}/v/{handle}/probe").status_code == 401
    assert any(what == "signed out" for _, what, _ in clinic.example.audited)


def test_leaving_needs_the_page_s_own_form(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    answer = browser.http.post(f"{clinic.base}/v/{browser.handle()}/end", data={"csrf": "guessed"})
    assert answer.status_code == 403
    assert browser.probe()["patient"] == "Patient/p1"


def test_a_revoked_token_opens_the_ehr_no_more(clinic: Clinic) -> None:
    browser = Browser(clinic)
    browser.go(clinic.address(), until="/launch/back")
    [door] = read_doors(clinic.doors).values()
    client = SmartClient()
    going = client.begin(door, back=f"{clinic.base}/launch/back", launch=clinic.context())
    other = Browser(clinic)
    other.go(going.url, until="/launch/back")
    code = dict(parse_qsl(urlsplit(other.went[-1]).query))["code"]
    granted = client.finish(door, going, code=code, back=f"{clinic.base}/launch/back")
    chart = clinic.launching.chart_as(door.iss, granted.access)
    assert chart.read("Patient/p1")["id"] == "p1"
    client.end(door, granted)
    time.sleep(0.1)
    asked = httpx2.get(f"{door.iss}/Patient/p1", headers={"Authorization": f"Bearer {granted.access}"})
    assert asked.status_code == 401


def test_only_the_ehr_may_frame_a_chart_and_nobody_the_desk(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    answer = browser.http.get(f"{clinic.base}/v/{browser.handle()}/probe")
    assert "frame-ancestors https://ehr.example" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    desk = browser.http.get(f"{clinic.base}/sign-in").headers["content-security-policy"]
    assert "frame-ancestors 'self'" in desk


def test_no_token_and_no_chart_id_stands_in_our_addresses(clinic: Clinic, browser: Browser) -> None:
    browser.go(clinic.address())
    token = next(str(c.value) for c in browser.http.cookies.jar if c.name.startswith("v-"))
    ours = [url for url in browser.went if url.startswith(clinic.base)]
    assert not [url for url in ours if token in url]
    assert not [url for url in ours if "/v/" in url and ("p1" in url.split("/v/")[1][17:] or "e1" in url[-20:])]
