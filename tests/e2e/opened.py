"""A chart that is open in one frame, without an EHR's server: the real pages on a real book, and a chart that obeys the test."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fhir_billing.domain.errors import ScopeMissing
from fhir_billing.doors import SCOPES, Door, Granted
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import SystemClock, Wiring
from fhir_billing.worker.beat import keep_visit
from smart_app.app import create_app
from smart_app.face import FaceSettings
from smart_app.launch.session import Kept, Launching, cookie_of, open_session
from smart_app.mount import Desk
from tests.e2e import charts

ROOT = Path(__file__).resolve().parents[2]
ISS = "https://ehr.example/fhir"
SECRET = "only-for-the-pages-of-this-test-0123456789"
Resource = dict[str, Any]


def problem(patient: str, name: str, code: str, words: str, since: str = "2026-03-02") -> Resource:
    """One line of the patient's problem list."""
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "category": [{"coding": [{"code": "problem-list-item"}]}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}], "text": words},
        "subject": {"reference": patient},
        "onsetDateTime": since,
    }


@dataclass
class Chart:
    """A chart as one user sees it; `refused` are kinds that the EHR does not let them read."""

    resources: list[Resource]
    problems: list[Resource] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    broken: Exception | None = None

    def gather(self, encounter: str) -> list[Resource]:
        self._ask("gather")
        if self.refused - {"Condition"}:
            raise ScopeMissing(f"the EHR forbids {min(self.refused)}")
        return copy.deepcopy(self.resources)

    def search(self, kind: str, params: Any) -> list[Resource]:
        self._ask(kind)
        if kind in self.refused:
            raise ScopeMissing(f"the EHR forbids {kind}")
        return [r for r in copy.deepcopy([*self.resources, *self.problems]) if r["resourceType"] == kind]

    def read(self, reference: str) -> Resource:
        self._ask(reference)
        return next(r for r in self.resources if f"{r['resourceType']}/{r['id']}" == reference)

    def check(self) -> str:
        return "a chart"

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.broken:
            raise self.broken

    @property
    def visit(self) -> Resource:
        return next(r for r in self.resources if r["resourceType"] == "Encounter")

    @property
    def patient(self) -> Resource:
        return next(r for r in self.resources if r["resourceType"] == "Patient")

    def without(self, kind: str) -> None:
        """Nothing of this kind is charted."""
        self.resources = [r for r in self.resources if r["resourceType"] != kind]


class NoSmart:
    """Nobody signs in here: sessions are opened by the test."""

    def begin(self, door: Door, *, back: str, launch: str = "", sent: str = "", tried: tuple[str, ...] = ()) -> Any:
        raise AssertionError

    def finish(self, door: Door, going: Any, *, code: str, back: str, iss: str = "") -> Granted:
        raise AssertionError

    def refresh(self, door: Door, granted: Granted) -> Granted:
        raise AssertionError

    def end(self, door: Door, granted: Granted) -> None: ...


@dataclass
class Room:
    """The pages, the book behind them, and the chart."""

    app: FastAPI
    wiring: Wiring
    chart: Chart
    client: TestClient

    def open(self, *, scopes: str = SCOPES, encounter: str | None = None, **more: Any) -> str:
        """A session as a launch would make it; the address that all its pages begin with."""
        kept = self.session(scopes=scopes, encounter=encounter, **more)
        handle = kept.launched.handle
        self.client.cookies.set(cookie_of(handle), kept.token, path=f"/v/{handle}")
        return f"/v/{handle}"

    def session(self, *, scopes: str = SCOPES, encounter: str | None = None, **more: Any) -> Kept:
        granted = Granted(
            access="token",
            ends=self.wiring.clock.now().timestamp() + 36_000,
            scopes=frozenset(scopes.split()),
            patient=f"Patient/{self.chart.patient['id']}",
            encounter=f"Encounter/{self.chart.visit['id']}" if encounter is None else encounter,
            practitioner="Practitioner/example-osei",
            who="Amara Example-Osei",
        )
        request = Request({"type": "http", "app": self.app, "headers": []})
        return open_session(request, self.app.state.face.settings.launching.doors["ehr"], replace(granted, **more))

    def finish(self) -> str:
        """The visit is finished and the book reads it."""
        self.chart.visit["status"] = "finished"
        encounter = f"Encounter/{self.chart.visit['id']}"
        body = dumps({"encounter": encounter, "found_by": "hook", "resources": self.chart.resources})
        keep_visit(self.wiring, encounter, body, found_by="hook", at=self.wiring.clock.now())
        self.work()
        return encounter

    def work(self) -> None:
        from fhir_billing.worker.beat import work

        work(self.wiring)

    def audited(self) -> list[str]:
        import sqlalchemy as sa

        from fhir_billing.store import tables

        with self.wiring.store._engine.connect() as connection:
            return [
                f"{r.who}: {r.what}" for r in connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id))
            ]


@contextmanager
def room(folder: Path, name: str = "ada", change: Callable[[Chart], None] | None = None, *, see_charges: bool = False) -> Iterator[Room]:  # fmt: skip
    """One patient's open chart."""
    from fhir_billing.mapping.site import Clinicians

    database = f"sqlite:///{folder / 'book.db'}"
    migrate(database)
    settings = Settings(
        database=database, channels=folder / "channels", site="demo", mappings=ROOT / "mappings", redis_url="",
        session_secret=SECRET, demo=True,
    )  # fmt: skip
    wiring = Wiring(settings=settings, clock=SystemClock())
    wiring.site.clinicians = Clinicians(see_charges=see_charges)
    chart = Chart(resources=copy.deepcopy(charts.chart(name)))
    today = wiring.site.local(wiring.clock.now()).isoformat()
    day = str(chart.visit["period"]["start"])[:10]
    chart.resources = loads(dumps(chart.resources).decode().replace(day, today).encode())
    if change:
        change(chart)
    faces = FaceSettings(
        organization="Example Family Clinic",
        demo=True,
        session_secret=SECRET,
        zone=wiring.site.days.zone,  # type: ignore[arg-type]
        site=wiring.site,
        codes=wiring.codes,
        launching=Launching(
            doors={"ehr": Door(name="ehr", iss=ISS, client_id="billing")},
            vault=wiring.vault,
            smart=NoSmart(),
            chart_as=lambda iss, token: chart,
            public_url="http://localhost",
        ),
    )
    app = create_app(wiring.views, Desk(wiring, lambda: None), faces)
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        yield Room(app=app, wiring=wiring, chart=chart, client=client)


class Form(HTMLParser):
    """The forms of a page with their fields, and its buttons, as a browser without script sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((said.get("action", ""), {}, []))
        elif self.forms and tag == "input" and said.get("name"):
            self.forms[-1][1].setdefault(said["name"], said.get("value", ""))
        elif self.forms and tag == "button":
            self.forms[-1][2].append((said.get("name", ""), said.get("value", "")))


def answer_form(html: str, number: int = 0) -> dict[str, str]:
    """The fields of the page's nth answer form."""
    forms = [fields for action, fields, _ in Form(html).forms if action.endswith("/answer")]
    return dict(forms[number])


def shown_text(html: str) -> str:
    """What somebody reads: no tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
