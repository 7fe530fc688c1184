"""An EHR with its page and its charts, and the product framed in it from another origin: what the browser proofs stand on.

The EHR is `ci_ehr` (oidc-provider and Medplum's router) on 127.0.0.1; its chart page is on 127.0.0.1 too, the product on
`localhost`: two sites for a browser, so a cookie of the product is a third party's there, as it is inside an EHR.
"""

from __future__ import annotations

import copy
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import uvicorn

from fhir_billing.api.app import create_app
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import SystemClock, Wiring
from fhir_billing.worker import beat, ringing
from tests.e2e import charts

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = "allow-scripts allow-same-origin allow-forms"
"""What EHRs put on the frame. None of them allows top navigation, and few allow pop-ups."""
SECRET = "only-for-the-bedside-of-this-test"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
Resource = dict[str, Any]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One patient whose visit goes on, as the EHR keeps them."""

    id: str
    family: str
    given: str
    encounter: str

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"


class ChartPage(BaseHTTPRequestHandler):
    """The EHR's own page: a banner, and a frame around whatever address it is given."""

    sandbox = SANDBOX
    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        wanted = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        type(self).asked.append((self.path, dict(self.headers.items())))
        sandbox = wanted.get("sandbox", [self.sandbox])[0]
        held = f' sandbox="{escape(sandbox)}"' if sandbox != "none" else ""
        frames = "".join(
            f'<iframe name="app{n}" title="Billing of this visit" src="{escape(src)}"{held}></iframe>'
            for n, src in enumerate(wanted.get("src", []))
        )
        body = (
            '<!doctype html><html lang="en"><title>Example EHR</title>'
            "<style>body{margin:0}iframe{border:0;width:100%;height:96vh}</style>"
            f"<h1 style='font-size:1rem;margin:4px'>Example EHR</h1>{frames}</html>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence: a test says what went wrong."""


@dataclass
class Ward:
    """Everything there is at one bedside."""

    base: str
    """The product, for the browser."""
    page: str
    """The EHR's own page that frames it."""
    ehr: Mapping[str, str]
    """CI_EHR_FHIR, CI_EHR_AUTH, CI_EHR_KEY, CI_EHR_KID."""
    wiring: Wiring
    chart: FhirClient
    """The EHR, by a backend client that may do everything."""
    framed_requests: list[tuple[str, dict[str, str]]]
    _admitted: int = field(default=0)

    # the EHR's side

    @property
    def iss(self) -> str:
        return self.ehr["CI_EHR_FHIR"]

    def admit(
        self,
        name: str = "ada",
        *,
        given: str = "",
        family: str = "",
        diagnosed: bool = False,
        problems: tuple[tuple[str, str], ...] = (
            ("J02.9", "Sore throat"),
            ("M17.11", "Right knee arthritis"),
        ),
        change: Callable[[list[Resource]], None] | None = None,
    ) -> Patient:
        """A patient whose visit is open; by default the visit has no diagnosis and the problem list has some."""
        self._admitted += 1
        suffix = f"{self._admitted}{int(time.monotonic() * 1000) % 100000}"
        day = (self.wiring.site.local(self.wiring.clock.now()) - timedelta(days=1)).isoformat()
        own = _renamed(charts.bundle(f"{name}.json"), suffix, day)
        (visit,) = [r for r in own if r["resourceType"] == "Encounter"]
        (patient,) = [r for r in own if r["resourceType"] == "Patient"]
        patient["name"][0] = {
            "use": "official",
            "family": family or f"Zztest-{suffix}",
            "given": [given or name.capitalize()],
        }
        if not diagnosed:
            own = [r for r in own if r["resourceType"] != "Condition"]
            visit.pop("diagnosis", None)
        own += [
            problem(patient["id"], f"{patient['id']}-p{n}", code, words) for n, (code, words) in enumerate(problems)
        ]
        if change:
            change(own)
        self.put(own)
        return Patient(
            id=patient["id"],
            family=patient["name"][0]["family"],
            given=patient["name"][0]["given"][0],
            encounter=f"Encounter/{visit['id']}",
        )

    def put(self, resources: list[Resource]) -> None:
        """Resources into the EHR, under their own ids."""
        entry = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        answer = self.chart.batch({"resourceType": "Bundle", "type": "batch", "entry": entry})
        refused = [e for e in answer.get("entry", []) if str(e["response"]["status"]) >= "400"]
        assert not refused, refused

    def finish(self, patient: Patient) -> None:
        """The clinician signs off: the visit is finished in the EHR, which is polled."""
        visit = self.chart.read(patient.encounter)
        self.chart.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])

    def launch_context(self, patient: Patient, **more: Any) -> str:
        """The EHR's own launch id for a patient and their visit. `encounter=None` leaves the visit out."""
        known: dict[str, Any] = {"patient": patient.id, "encounter": patient.encounter.partition("/")[2], **more}
        known = {key: value for key, value in known.items() if value is not None}
        answer = httpx2.post(f"{self.ehr['CI_EHR_AUTH']}/launch-context", json=known, timeout=20)
        return str(answer.json()["launch"])

    def launch_url(self, patient: Patient, *, iss: str = "", **more: Any) -> str:
        """The address that the EHR opens."""
        asked = {"iss": iss or self.iss, "launch": self.launch_context(patient, **more)}
        return f"{self.base}/launch?{urllib.parse.urlencode(asked)}"

    def framing(self, *addresses: str, sandbox: str = SANDBOX) -> str:
        """The EHR's page around these addresses."""
        asked = [("src", address) for address in addresses] + [("sandbox", sandbox)]
        return f"{self.page}/chart?{urllib.parse.urlencode(asked)}"

    # the product's side

    def poll(self) -> None:
        """What the worker does in a minute: look for finished visits, and move all that waits."""
        beat.ring(self.wiring)
        beat.until_quiet(self.wiring)

    def send(self) -> None:
        """What the worker does in a minute while the payer has not answered yet: bills leave, the chart is told, nothing comes."""
        beat.ring(self.wiring)
        for step in (beat.answer_doorbells, beat.work, beat.send, beat.work, beat.relay, beat.work, beat.relay):
            step(self.wiring)

    def beat(self) -> None:
        """What the worker does each second."""
        beat.until_quiet(self.wiring)

    def audited(self) -> list[Any]:
        """The audit trail, oldest first."""
        import sqlalchemy as sa

        from fhir_billing.store import tables

        with self.wiring.store._engine.connect() as connection:
            return list(connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)))

    # the browser's side

    def open(self, page: Page, patient: Patient, **more: Any) -> FrameLocator:
        """Open the chart in the EHR's page, and wait until the product stands in its frame."""
        page.goto(self.framing(self.launch_url(patient, **more)))
        return page.frame_locator("iframe[name=app0]")


def problem(patient: str, name: str, code: str, words: str) -> Resource:
    """One entry of a problem list."""
    terms = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": {"coding": [{"system": f"{terms}/condition-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{terms}/condition-ver-status", "code": "confirmed"}]},
        "category": [{"coding": [{"system": f"{terms}/condition-category", "code": "problem-list-item"}]}],
        "code": {"coding": [{"system": ICD10CM, "code": code, "display": words}], "text": words},
        "subject": {"reference": f"Patient/{patient}"},
        "recordedDate": "2026-03-01",
    }


def _renamed(own: list[Resource], suffix: str, day: str) -> list[Resource]:
    from fhir_billing.fhir.text import dumps, loads

    text = dumps(copy.deepcopy(own)).decode().replace("2026-03-02", day)
    for resource in own:
        kind, name = resource["resourceType"], resource["id"]
        text = text.replace(f'"{kind}/{name}"', f'"{kind}/{name}-{suffix}"')
        text = text.replace(f'"id":"{name}"', f'"id":"{name}-{suffix}"')
    found: list[Resource] = loads(text.encode())
    for resource in found:
        if resource["resourceType"] == "Coverage":
            resource["subscriberId"] = f"EX{suffix:0>8}"
    return found


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """Serve an application on a loopback port until the block ends."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the product did not start"
        assert time.monotonic() < deadline, "the product did not start"
        time.sleep(0.05)
    yield
    server.should_exit = True
    thread.join(timeout=10)


@contextmanager
def chart_page(port: int) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """The EHR's page; the answer is what was asked of it."""
    asked: list[tuple[str, dict[str, str]]] = []
    handler = type("Page", (ChartPage,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield asked
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def backend(ehr: Mapping[str, str]) -> EhrSettings:
    """The product's own client at the EHR, that reads whole visits and writes what became of them."""
    return EhrSettings(
        url=ehr["CI_EHR_FHIR"],
        client_id="billing-backend",
        key=Path(ehr["CI_EHR_KEY"]),
        key_id=ehr["CI_EHR_KID"],
        token_url=ehr["CI_EHR_AUTH"] + "/auth/token",
        scopes="system/*.cruds",
    )


@contextmanager
def ward(folder: Path, start: Callable[[str], Mapping[str, str]], **settings: Any) -> Iterator[Ward]:
    """A bedside in a folder of its own. `start` starts the EHR, given where its apps may be sent back to."""
    port, framing = free_port(), free_port()
    base = f"http://localhost:{port}"
    ehr = start(f"{base}/launch/back")
    doors = folder / "launches"
    doors.mkdir(parents=True, exist_ok=True)
    page = f"http://127.0.0.1:{framing}"
    (doors / "ci-ehr.yaml").write_text(door(ehr, page), encoding="utf-8")
    database = f"sqlite:///{folder / 'book.db'}"
    migrate(database)
    own = backend(ehr)
    wiring = Wiring(
        settings=Settings(
            database=database,
            channels=folder / "channels",
            scenario=ROOT / "examples" / "scenarios" / "pays.yaml",
            site="demo",
            redis_url="",
            public_url=base,
            session_secret=SECRET,
            launches=doors,
            ehr_url=own.url,
            ehr_client_id=own.client_id,
            ehr_key=own.key,
            ehr_key_id=own.key_id,
            ehr_token_url=own.token_url,
            ehr_scopes=own.scopes,
            **settings,
        ),
        clock=SystemClock(),
    )
    chart = connect(own)[0].client
    with chart_page(framing) as asked, served(create_app(wiring, beats=False), port):
        made = Ward(base=base, page=page, ehr=ehr, wiring=wiring, chart=chart, framed_requests=asked)
        made.put(charts.clinic())
        wiring.store.set_cursor(f"{ringing.CURSOR}:poll", datetime.now(UTC).isoformat())
        yield made


def door(ehr: Mapping[str, str], page: str, *, client: str = "billing-app-public", more: str = "") -> str:
    """The launch file of this EHR."""
    return f"""\
iss: {ehr["CI_EHR_FHIR"]}
client_id: {client}
frame_ancestors: ["{page}"]
{more}"""
