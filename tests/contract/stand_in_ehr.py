"""An EHR of our own, for what no foreign server here does: `$events`, a websocket, an export that takes its time and has faults.

It keeps visits and subscriptions in memory, numbers its events, and loses, repeats or reorders what it tells when it is asked to.
What it proves is our side only: it was written by whoever wrote what it tests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from websockets.sync.server import Server, ServerConnection, serve

from fhir_billing.fhir.instant import instant

Resource = dict[str, Any]
TOPIC = "https://stand-in.example/SubscriptionTopic/encounter-closed"


@dataclass
class StandIn:
    """The EHR, and what its people and its faults do."""

    visits: dict[str, Resource] = field(default_factory=dict)
    patients: dict[str, Resource] = field(default_factory=dict)
    subscriptions: dict[str, Resource] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and token of every request."""
    has_events: bool = True
    loses: int = 0
    """How many of the next notifications are lost."""
    base: str = ""
    socket: str = ""
    lines: list[ServerConnection] = field(default_factory=list)
    bound: dict[str, list[ServerConnection]] = field(default_factory=dict)
    # the export
    waits: int = 2
    """How often an export says that it is not ready."""
    retry_after: str = "7"
    bad_lines: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    elsewhere: str = ""
    """The address of another server that an output file lies at."""
    needs_token: bool = True
    jobs: dict[str, int] = field(default_factory=dict)
    put_away: list[str] = field(default_factory=list)
    kicked: list[dict[str, str]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Kinds whose search is refused without a patient."""
    wants_a_status: bool = False

    def close(self, name: str, status: str = "finished", patient: str = "p") -> None:
        """Somebody changes a visit; whoever follows the topic is told when it closes."""
        before = self.visits.get(name, {"meta": {"versionId": "0"}})
        version = str(int(before["meta"]["versionId"]) + 1)
        self.visits[name] = {
            "resourceType": "Encounter", "id": name, "status": status, "subject": {"reference": f"Patient/{patient}"},
            "meta": {"versionId": version, "lastUpdated": datetime.now(UTC).isoformat(timespec="milliseconds")},
        }  # fmt: skip
        if status == "finished":
            for which in list(self.subscriptions):
                self.tell(which, name)

    def tell(self, which: str, name: str) -> None:
        """Number an event, and tell of it unless it is lost."""
        held = self.subscriptions[which]
        if held["status"] != "active":
            return
        self.events[which].append(name)
        if self.loses:
            self.loses -= 1
            return
        self.send(which, "event-notification", [len(self.events[which])])

    def send(self, which: str, says: str, numbers: list[int]) -> None:
        """Tell of events by their numbers, in this order; a heartbeat and a handshake tell of none."""
        held, body = self.subscriptions[which], json.dumps(self.notification(which, says, numbers))
        channel = held["channel"]
        if channel["type"] == "websocket":
            for line in self.bound.get(which, []):
                line.send(body)
            return
        headers = {"Content-Type": "application/fhir+json"}
        headers |= dict(one.split(": ", 1) for one in channel.get("header", []))
        answer = httpx2.post(channel["endpoint"], content=body, headers=headers)
        if says == "handshake":
            held["status"] = "active" if answer.status_code == 200 else "error"

    def notification(self, which: str, says: str, numbers: list[int]) -> Resource:
        """The Bundle of a notification; its names are written with hyphens by some and without by others: here without."""
        rows: list[Resource] = [
            {"name": "subscription", "valueReference": {"reference": f"{self.base}/Subscription/{which}"}},
            {"name": "status", "valueCode": self.subscriptions[which]["status"]},
            {"name": "type", "valueCode": says},
            {"name": "eventsSinceSubscriptionStart", "valueString": str(len(self.events[which]))},
        ]
        for number in numbers:
            focus = {"reference": f"{self.base}/Encounter/{self.events[which][number - 1]}"}
            part = [{"name": "eventNumber", "valueString": str(number)}, {"name": "focus", "valueReference": focus}]
            rows.append({"name": "notificationEvent", "part": part})
        status = {"resourceType": "Parameters", "parameter": rows}
        return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}

    # requests

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers."""
        parts = path.strip("/").split("/")
        if parts[0] == "Subscription":
            return self.subscription(method, parts[1:], dict(query), body)
        if parts[-1] == "$export":
            self.kicked.append({"path": path, **dict(query)})
            name = f"job{len(self.kicked)}"
            self.jobs[name] = self.waits
            return 202, None, {"Content-Location": f"{self.base}/jobs/{name}"}
        if parts[0] in {"jobs", "files"}:
            return self.job(method, parts)
        if parts[0] == "metadata":
            return 200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}, {}
        if parts[0] == "SubscriptionTopic":
            return 200, searchset([{"resourceType": "SubscriptionTopic", "id": "closed", "url": TOPIC}]), {}
        return self.chart(parts, dict(query), [value for name, value in query if name == "_lastUpdated"])

    def chart(self, parts: list[str], query: dict[str, str], since: list[str]) -> tuple[int, Any, dict[str, str]]:
        kind = parts[0]
        held = {"Encounter": self.visits, "Patient": self.patients}.get(kind, {})
        if len(parts) == 2:
            return (200, held[parts[1]], {}) if parts[1] in held else (404, outcome(), {})
        if kind in self.refuses and "patient" not in query and "_id" not in query:
            return 400, outcome(), {}
        if kind == "Encounter" and self.wants_a_status and not {"status", "_id", "patient"} & set(query):
            return 400, outcome(), {}
        rows = [row for name, row in held.items() if query.get("_id", name) == name]
        if since:
            rows = [
                row
                for row in rows
                if (at := instant(row["meta"]["lastUpdated"])) is None or at >= datetime.fromisoformat(since[0][2:])
            ]
        if "patient" in query and kind == "Encounter":
            rows = [row for row in rows if row["subject"]["reference"] == query["patient"]]
        if "status" in query:
            rows = [row for row in rows if row["status"] == query["status"]]
        return 200, searchset(sorted(rows, key=lambda row: str(row.get("meta", {}).get("lastUpdated", "")))), {}

    def subscription(
        self, method: str, rest: list[str], query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        if method == "GET" and not rest:
            return 200, searchset(list(self.subscriptions.values())), {}
        if method == "POST":
            which = f"s{len(self.events) + 1}"
            self.subscriptions[which] = {**body, "id": which, "status": "requested", "meta": {"versionId": "1"}}
            self.events[which] = []
            self.wake(which)
            return 201, self.subscriptions[which], {}
        if rest[0] not in self.subscriptions:
            return 404, outcome(), {}
        if method == "PUT":
            self.subscriptions[rest[0]] = {**body, "status": "requested", "meta": {"versionId": "2"}}
            self.wake(rest[0])
        if rest[1:] == ["$status"]:
            return 200, {**self.notification(rest[0], "query-status", []), "type": "searchset"}, {}
        if rest[1:] == ["$get-ws-binding-token"]:
            rows = [
                {"name": "token", "valueString": f"line-{rest[0]}"}, {"name": "websocket-url", "valueUrl": self.socket},
                {"name": "expiration", "valueDateTime": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
            ]  # fmt: skip
            return 200, {"resourceType": "Parameters", "parameter": rows}, {}
        if rest[1:] == ["$events"]:
            if not self.has_events:
                return 404, outcome(), {}
            numbers = range(int(query["eventsSinceNumber"]), int(query["eventsUntilNumber"]) + 1)
            return 200, self.notification(rest[0], "query-event", list(numbers)), {}
        return 200, self.subscriptions[rest[0]], {}

    def wake(self, which: str) -> None:
        if self.subscriptions[which]["channel"]["type"] == "websocket":
            self.subscriptions[which]["status"] = "active"
        else:
            threading.Thread(target=self.send, args=(which, "handshake", []), daemon=True).start()

    def job(self, method: str, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        name = parts[1]
        if name not in self.jobs:
            return 404, outcome(), {}
        if method == "DELETE":
            self.put_away.append(name)
            del self.jobs[name]
            return 202, None, {}
        if parts[0] == "files":
            return 200, self.file(parts[2]), {}
        if self.jobs[name]:
            self.jobs[name] -= 1
            return 202, None, {"Retry-After": self.retry_after, "X-Progress": "half way"}
        place = f"{self.base}/files/{name}"
        output = [{"type": "Encounter", "url": f"{place}/visits"}, {"type": "Patient", "url": f"{place}/patients"}]
        if self.elsewhere:
            output.append({"type": "Encounter", "url": self.elsewhere})
        manifest: Resource = {
            "transactionTime": datetime.now(UTC).isoformat(), "request": "", "requiresAccessToken": self.needs_token,
            "output": output, "error": [{"type": "OperationOutcome", "url": f"{place}/errors"}],
            "deleted": [{"type": "Bundle", "url": f"{place}/deleted"}] if self.deleted else [],
        }  # fmt: skip
        return 200, manifest, {}

    def file(self, which: str) -> bytes:
        rows: list[str] = []
        if which == "visits":
            rows = [json.dumps(row) for row in self.visits.values()]
            rows[1:1] = self.bad_lines
        elif which == "deleted":
            entry = [{"request": {"method": "DELETE", "url": f"Encounter/{name}"}} for name in self.deleted]
            rows = [json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entry})]
        elif which == "errors":
            rows = [
                json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]})
            ]
        return ("\n".join(rows) + "\n").encode()

    # the line

    def bind(self, line: ServerConnection) -> None:
        """A listener says which subscription it is, is greeted, and hears its events."""
        self.lines.append(line)
        said = str(line.recv())
        which = said.removeprefix("bind-with-token: line-")
        line.send(json.dumps(self.notification(which, "handshake", [])))
        self.bound.setdefault(which, []).append(line)
        for _ in line:
            pass
        self.bound[which].remove(line)

    def cut(self) -> None:
        """Every line breaks."""
        for line in self.lines:
            line.close()
        self.lines.clear()


def searchset(rows: list[Resource]) -> Resource:
    return {
        "resourceType": "Bundle", "type": "searchset", "total": len(rows),
        "entry": [{"resource": row, "search": {"mode": "match"}} for row in rows],
    }  # fmt: skip


def outcome() -> Resource:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-supported"}]}


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The EHR, on two free ports of loopback."""
    ehr = StandIn(patients={"p": {"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def reply(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            url = urlsplit(self.path)
            ehr.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            status, said, headers = ehr.answer(self.command, url.path.removeprefix("/fhir"), parse_qsl(url.query), body)
            out = said if isinstance(said, bytes) else json.dumps(said).encode() if said is not None else b""
            self.send_response(status)
            for name, value in {
                **headers,
                "Content-Length": str(len(out)),
                "Content-Type": "application/fhir+json",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(out)

        do_GET = do_POST = do_PUT = do_DELETE = reply  # noqa: N815

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    lines: Server = serve(ehr.bind, "127.0.0.1", 0)
    ehr.base = f"http://127.0.0.1:{http.server_address[1]}/fhir"
    ehr.socket = f"ws://127.0.0.1:{lines.socket.getsockname()[1]}"
    threads = [threading.Thread(target=one, daemon=True) for one in (http.serve_forever, lines.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield ehr
    finally:
        ehr.cut()
        lines.shutdown()
        http.shutdown()
        http.server_close()
