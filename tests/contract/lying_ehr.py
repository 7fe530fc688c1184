"""An EHR whose chart and whose manners a test decides: it takes batches or none, brings what is included or nothing, and lies where it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.ways import Ways
from fhir_billing.fhir.text import dumps, loads

BASE = "https://ehr.example/fhir/R4"
Resource = dict[str, Any]
Lie = Callable[[str], httpx2.Response | None]
"""An answer in place of the honest one, by `Type/id` or `Type?query`; None to be honest."""


class LyingEhr:
    """Charts by `Type/id`."""

    def __init__(self, *resources: Resource, lie: Lie = lambda _: None, batch: bool = False) -> None:
        self.held = {f"{r['resourceType']}/{r['id']}": r for r in resources}
        self.lie, self.batch = lie, batch
        self.forbids_batch = False
        self.asked: list[str] = []
        self.hosts: set[str] = set()
        self.etags: list[str] = []

    def client(self, ways: Ways | None = None) -> FhirClient:
        """Somebody who asks it."""
        known = ways or Ways(includes=False, batch=self.batch)
        return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(self._answer)), ways=known)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.hosts.add(request.url.host)
        if request.method == "POST":
            return self._batch(loads(request.content))
        path = request.url.path.removeprefix("/fhir/R4/")
        query = request.url.query.decode()
        return self.one(f"{path}?{query}" if query else path)

    def _batch(self, asked: Resource) -> httpx2.Response:
        self.asked.append("batch")
        if not self.batch or self.forbids_batch:
            return httpx2.Response(403 if self.forbids_batch else 405)
        rows: list[Resource] = []
        for entry in asked["entry"]:
            answer = self.one(entry["request"]["url"], inside=True)
            row: Resource = {"response": {"status": f"{answer.status_code} Whatever"}}
            if answer.content:
                row["resource"] = loads(answer.content)
            rows.append(row)
        return httpx2.Response(200, content=dumps({"resourceType": "Bundle", "type": "batch-response", "entry": rows}))

    def one(self, url: str, *, inside: bool = False) -> httpx2.Response:
        """The answer to one read or search."""
        if not inside:
            self.asked.append(url)
        told = self.lie(url)
        if told is not None:
            return told
        kind, mark, query = url.partition("?")
        if not mark:
            found = self.held.get(kind)
            return httpx2.Response(200, content=dumps(found)) if found else httpx2.Response(404)
        wanted = [
            value for name, value in parse_qsl(query) if name in {"encounter", "context", "patient", "beneficiary"}
        ]
        rows = [
            r
            for r in self.held.values()
            if r["resourceType"] == kind and all(f'"{value}"'.encode() in dumps(r) for value in wanted)
        ]
        return httpx2.Response(200, content=dumps(bundle(*rows)))


def bundle(*resources: Resource, **more: Any) -> Resource:
    """A page of a search."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources], **more}


def to(reference: str) -> Resource:
    """A reference."""
    return {"reference": reference}


def visit(**more: Any) -> Resource:
    """A visit of a patient."""
    return {"resourceType": "Encounter", "id": "e", "status": "finished", "subject": to("Patient/p"), **more}


def patient(**more: Any) -> Resource:
    """Who was there."""
    return {"resourceType": "Patient", "id": "p", "name": [{"family": "Zztest"}], **more}
