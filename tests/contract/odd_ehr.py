"""EHRs that no product likes: one that declares everything and does nothing, one that answers HTML, hangs, sends us on, refuses."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.any_method import AnyMethod

KINDS = (
    "Encounter", "Patient", "Coverage", "Condition", "Procedure", "ChargeItem", "Practitioner", "Organization", "Location",
    "Appointment", "Subscription", "Task", "Claim", "ClaimResponse", "ExplanationOfBenefit", "Communication",
    "DocumentReference", "Group", "Basic",
)  # fmt: skip
ACTS = ("read", "search-type", "create", "update", "delete")
VISIT = {
    "resourceType": "Encounter",
    "id": "one",
    "status": "finished",
    "subject": {"reference": "Patient/zztest"},
    "meta": {"versionId": "1", "lastUpdated": "2026-03-02T10:00:00Z"},
}
REFUSED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "login", "diagnostics": "Zztest"}],
}

Said = tuple[int, dict[str, str], bytes]


def everything() -> dict[str, Any]:
    """A statement of all that there is."""
    acts = [{"code": act} for act in ACTS]
    names = [{"name": name} for name in ("_lastUpdated", "_id", "identifier", "status", "patient")]
    resources = [
        {"type": kind, "interaction": acts, "searchParam": names, "searchInclude": ["*"], "searchRevInclude": ["*"],
         "operation": [{"name": name} for name in ("submit", "create", "events", "status", "export")]}
        for kind in KINDS
    ]  # fmt: skip
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "Promise", "version": "9"},
        "rest": [{
            "mode": "server",
            "extension": [{"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical",
                           "valueCanonical": "http://promise.example/encounter-complete"}],
            "resource": resources,
            "interaction": [{"code": "transaction"}, {"code": "batch"}, {"code": "search-system"}],
            "operation": [{"name": "export"}],
        }],
    }  # fmt: skip


def liar(method: str, path: str) -> Said:
    """It says yes to all, gives one visit for whatever is asked, and keeps nothing."""
    kind = path.removeprefix("/fhir/").partition("?")[0].split("/")
    if kind[0] == "metadata":
        return _json(200, everything())
    if kind[0] == "Encounter" and len(kind) == 2:
        return _json(200, {**VISIT, "id": kind[1]})
    if method == "GET" and len(kind) > 1:
        return _json(404, {"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]})
    if method == "POST" and kind[0] in KINDS:
        return 201, {"Location": f"/fhir/{kind[0]}/made-up/_history/1"}, b""
    if method == "POST":
        return _json(200, {"resourceType": "Bundle", "type": "batch-response", "entry": []})
    if method in {"PUT", "DELETE"}:
        return 204, {}, b""
    return _json(200, {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": VISIT}]})


def empty(method: str, path: str) -> Said:
    """It works, and nobody was charted so far."""
    kind = path.removeprefix("/fhir/").partition("?")[0].split("/")
    if kind[0] == "metadata":
        return _json(200, everything())
    if len(kind) > 1 or method != "GET":
        return _json(404, {"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]})
    return _json(200, {"resourceType": "Bundle", "type": "searchset", "total": 0})


def tokens(method: str, path: str, url: str) -> Said:
    """As the empty one, and it gives tokens to whoever asks."""
    if path.endswith("smart-configuration"):
        return _json(200, {"token_endpoint": f"{url}/token"})
    if path.endswith("/token"):
        return _json(200, {"access_token": "one", "token_type": "bearer", "expires_in": 300, "scope": "system/*.rs"})
    return empty(method, path)


def _json(status: int, body: dict[str, Any], **headers: str) -> Said:
    return status, {"Content-Type": "application/fhir+json", **headers}, json.dumps(body).encode()


class OddEhr:
    """One of them, on loopback, by its temper."""

    def __init__(self, temper: str) -> None:
        self.temper = temper
        self.asked: list[tuple[str, str]] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/fhir"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str) -> Said:
        """What it says."""
        if self.temper == "liar":
            return liar(method, path)
        if self.temper == "empty":
            return empty(method, path)
        if self.temper == "tokens":
            return tokens(method, path, self.url)
        if self.temper == "elsewhere":
            return _json(404, {"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]})
        if self.temper == "html":
            return 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title><p>Ada Zztest</p>"
        if self.temper == "redirects":
            return 302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""
        if self.temper == "crashes":
            return _json(500, {"resourceType": "OperationOutcome", "issue": [{"code": "exception"}]})
        if self.temper == "nonsense":
            return _json(200, {"resourceType": "Bundle", "entry": [7, {"resource": 8}, {"resource": {"resourceType": "Encounter"}}],
                               "link": "next", "total": "many"})  # fmt: skip
        if self.temper == "half":
            self.over.wait(30 if len(self.asked) > 4 else 0)
            return liar(method, path)
        if self.temper == "hangs":
            self.over.wait(30)
        return _json(401, REFUSED)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ehr = self

        class Handler(AnyMethod):
            def serve(self) -> None:
                self.body()
                ehr.asked.append((self.command, self.path))
                self.say(*ehr.answer(self.command, self.path))

        return Handler
