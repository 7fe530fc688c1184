"""An EHR that calls our CDS services: it has a key of its own, a FHIR server that counts who asks, and charts of invented people."""

from __future__ import annotations

import copy
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_billing.api.app import create_app
from fhir_billing.cds import all_hooks
from fhir_billing.fhir.text import dumps
from tests.e2e.story import Story
from tests.unit.mapping import visits

Resource = dict[str, Any]
ISS = "https://ehr.example/cds-client"
PUBLIC = "https://billing.example"
SCHEMA = json.loads((Path(__file__).parent / "cds-hooks-2.0.schema.json").read_text(encoding="utf-8"))
KNEE = {"system": visits.ICD, "code": "M17.11", "display": "Arthritis of the right knee"}


@cache
def key(name: str = "one") -> ECKey:
    return ECKey.generate_key("P-384", {"kid": name, "use": "sig", "alg": "ES384"})


def public_keys(*names: str) -> Resource:
    return {"keys": [key(name).as_dict(private=False) for name in names or ("one",)]}


def checked(body: Any, what: str) -> Any:
    """The answer, when the specification's shape holds."""
    jsonschema.Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{what}"}).validate(body)
    return body


def the_chart() -> dict[str, list[Resource]]:
    """A visit on the demo's site that names no diagnosis, of a patient with an old one, by prefetch key."""
    visit = {
        **visits.ENCOUNTER, "status": "in-progress", "type": [],
        "period": {"start": "2026-03-03T09:00:00-05:00"},
    }  # fmt: skip
    problem = {
        "resourceType": "Condition", "id": "old", "code": {"coding": [KNEE]}, "subject": {"reference": "Patient/p"},
        "clinicalStatus": {"coding": [{"code": "active"}]}, "category": [{"coding": [{"code": "problem-list-item"}]}],
        "onsetDateTime": "2025-03-01",
    }  # fmt: skip
    payer = {"resourceType": "Organization", "id": "payer-exc01", "name": "Example Commercial Health"}
    coverage = {**visits.COVERAGE, "payor": [{"reference": "Organization/payer-exc01"}]}
    chart = {
        "patient": [visits.PATIENT],
        "encounter": [visit],
        "coverages": [coverage, payer],
        "conditions": [],
        "problems": [problem],
        "procedures": [],
        "charges": [visits.charge(1, visits.coded(visits.CPT, "99213"), "125.00")],
        "immunizations": [],
    }
    return copy.deepcopy(chart)  # a test may spoil its own


def bundle(resources: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}


def prefetch(chart: Mapping[str, list[Resource]], hook: str) -> Resource:
    """The chart as an EHR sends it along."""
    single = {"patient", "encounter"}
    return {key: chart[key][0] if key in single else bundle(chart[key]) for key in all_hooks()[hook].prefetch}


@dataclass
class FhirServer:
    """A FHIR server over one chart that remembers what was asked, and with which token."""

    chart: dict[str, list[Resource]]
    asked: list[tuple[str, str]] = field(default_factory=list)
    slow: float = 0.0
    url: str = ""

    def answer(self, path: str) -> Any:
        parts = urlsplit(path)
        kind, _, identity = parts.path.removeprefix("/fhir/").partition("/")
        every = [one for found in self.chart.values() for one in found]
        if identity:
            return next((r for r in every if r["resourceType"] == kind and r["id"] == identity), None)
        query = parse_qs(parts.query)
        name = "conditions" if kind == "Condition" and "encounter" in query else kind
        keys = {"Coverage": "coverages", "Condition": "problems", "Procedure": "procedures", "ChargeItem": "charges"}
        return bundle(self.chart[keys.get(name, name if name in self.chart else "immunizations")])


@contextmanager
def serving(server: Any) -> Iterator[str]:
    """Serve `server.answer(path)` on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("Authorization", "")))
            time.sleep(getattr(server, "slow", 0.0))
            found = server.answer(self.path)
            body = dumps(found if found is not None else {"resourceType": "OperationOutcome"})
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


class Ehr:
    """Calls the whole application, as an EHR whose keys are pinned in a launch file."""

    def __init__(
        self, folder: Path, *, iss: str, cds: Mapping[str, str] | None = None, day: str = "2026-03-03"
    ) -> None:
        self.story = Story(folder=folder, database=f"sqlite:///{folder / 'book.db'}", scenario="demo", day=day)
        self.iss, launches = iss, folder / "launches"
        launches.mkdir()
        (launches / "keys.json").write_text(json.dumps(public_keys()), encoding="utf-8")
        pinned = cds if cds is not None else {"jwks": "keys.json"}
        entry = "".join(f", {name}: '{value}'" for name, value in pinned.items())
        lines = [f"iss: '{iss}'", "client_id: billing", "frame_ancestors: [https://pages.ehr.example]"]
        lines += [f"cds: [{{iss: '{ISS}'{entry}}}]"] if pinned else []
        (launches / "ehr.yaml").write_text("\n".join(lines), encoding="utf-8")
        settings = self.story.wiring.settings
        settings.launches, settings.public_url, settings.session_secret = launches, PUBLIC, "0123456789abcdef" * 2
        self.http = TestClient(create_app(self.story.wiring, beats=False), raise_server_exceptions=True)

    def close(self) -> None:
        self.story.wiring.store.close()

    def token(self, path: str, *, by: str = "one", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        now = int(self.story.clock.time.timestamp())
        said = {"iss": ISS, "aud": PUBLIC + path, "iat": now, "exp": now + 240, "jti": str(uuid.uuid4()), **claims}
        head = {"alg": "ES384", "typ": "JWT", "kid": by, **(header or {})}
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=["ES384"], strict_check_header=False)
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(head, said, key(by), algorithms=["ES384"], registry=registry)

    def body(self, hook: str, **more: Any) -> Resource:
        found = all_hooks()[hook]
        context: Resource = {"userId": "Practitioner/dr", "patientId": "p"}
        if "encounterId" in found.needs:
            context["encounterId"] = "e"
        if found.orders:
            context[found.orders] = bundle([])
        if "selections" in found.needs:
            context["selections"] = []
        return {
            "hook": found.hook, "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": context | more.pop("context", {}), **more,
        }  # fmt: skip

    def post(self, path: str, body: Any, *, bearer: str | None = None, **headers: str) -> Any:
        sent = body if isinstance(body, bytes) else dumps(body)
        token = self.token(path) if bearer is None else bearer
        send = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **headers,
        }
        return self.http.post(path, content=sent, headers=send)

    def cards(self, hook: str, **more: Any) -> list[Resource]:
        """What a call is answered, when it is answered as the specification says."""
        answer = self.post(f"/cds-services/{hook}", self.body(hook, **more))
        assert answer.status_code == 200, answer.text
        found: list[Resource] = checked(answer.json(), "response")["cards"]
        return found

    def audit(self) -> list[tuple[str, str, str, str]]:
        from sqlalchemy import select

        from fhir_billing.store.tables import audit

        with self.story.wiring.store.reading() as connection:
            rows = connection.execute(select(audit.c.who, audit.c.what, audit.c.about, audit.c.why)).all()
        return [tuple(row) for row in rows]


@contextmanager
def installed(folder: Path) -> Iterator[tuple[Ehr, FhirServer]]:
    """An installation, and the EHR that calls it."""
    server = FhirServer(the_chart())
    with serving(server) as url:
        server.url = f"{url}/fhir"
        ehr = Ehr(folder, iss=server.url)
        yield ehr, server
        ehr.close()


def as_it_was(server: FhirServer) -> FhirServer:
    """The EHR's FHIR server with its chart as it was."""
    server.chart, server.slow = the_chart(), 0.0
    server.asked.clear()
    return server
