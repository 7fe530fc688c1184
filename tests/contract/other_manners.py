"""A real EHR with other manners: a proxy that refuses, ignores or throttles what the EHR behind it would do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.e2e.any_method import AnyMethod

DROPPED = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
Refuse = Callable[[str, str, dict[str, str]], int]
"""Method, path beneath the base, query: the status to refuse with, or 0."""


class OtherManners:
    """Stands before an EHR; counts what it lets through."""

    def __init__(
        self,
        behind: str,
        *,
        refuse: Refuse = lambda *_: 0,
        without: tuple[str, ...] = (),
        no_headers: tuple[str, ...] = (),
    ) -> None:
        self.behind, self.refuse, self.without, self.no_headers = behind, refuse, without, no_headers
        self.throttle = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = self.base + urlsplit(behind).path
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def passed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What comes of one request."""
        parts = urlsplit(path)
        query = parse_qsl(parts.query)
        beneath = parts.path.removeprefix(urlsplit(self.behind).path).strip("/")
        if self.throttle:
            self.throttle -= 1
            return 429, {"Retry-After": "1"}, b""
        if status := self.refuse(method, beneath, dict(query)):
            issue = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-supported"}]}
            return status, {"Content-Type": "application/fhir+json"}, json.dumps(issue).encode()
        kept = [(name, value) for name, value in query if name not in self.without]
        sent = {k: v for k, v in headers.items() if k.lower() not in DROPPED and k.lower() not in self.no_headers}
        root = self.behind.removesuffix(urlsplit(self.behind).path)
        answer = httpx2.request(
            method, f"{root}{parts.path}{'?' + urlencode(kept) if kept else ''}", headers=sent, content=body, timeout=30
        )
        said = {k: v for k, v in answer.headers.items() if k.lower() not in {*DROPPED, "content-encoding"}}
        text = answer.content.replace(root.encode(), self.base.encode())
        return answer.status_code, {k: v.replace(root, self.base) for k, v in said.items()}, text

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(AnyMethod):
            def serve(self) -> None:
                self.say(*proxy.passed(self.command, self.path, dict(self.headers.items()), self.body()))

        return Handler
