"""Between us and an EHR stands a network that delays, refuses, cuts and repeats; a seed decides what happens to which request.

What it does to a request: nothing, a delay, 429 with Retry-After, 500, 503, a reset before the EHR saw it, a reset after the EHR
did it (the answer is lost), half a body, a 401 as for a token that has just ended; for as long as it is told to, silence, or
403 to everything. What it does to a hook on its way to us: nothing, loses it, sends it twice, holds it back behind later ones.
All ends when it is told to be kind.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

FAULTS: Final = ("delay", "429", "500", "503", "reset", "lost answer", "half a body", "401")
HOOKS: Final = ("lost", "twice", "late")
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"})


class FaultProxy:
    """One proxy on loopback before one server (`to`, an origin); `rate` of requests meet a fault."""

    def __init__(self, to: str, *, seed: int, rate: float, faults: tuple[str, ...] = FAULTS, skew: int = 0) -> None:
        self.to, self.rate, self.faults, self.skew = to.rstrip("/"), rate, faults, skew
        self.done: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.silent, self.forbids = threading.Event(), threading.Event()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._held: list[tuple[str, str, dict[str, str], bytes]] = []
        self._http = httpx2.Client(timeout=30, follow_redirects=False)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library gives it
                """Nothing."""

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop; hooks that were held back are delivered first."""
        self.be_kind()
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    def be_kind(self) -> None:
        """No more faults; what was held back arrives now."""
        self.rate = 0
        self.silent.clear()
        self.forbids.clear()
        with self._lock:
            held, self._held = self._held, []
        for one in held:
            self._forward(*one)

    # one request

    def handle(self, asked: BaseHTTPRequestHandler) -> None:
        """Read it, decide what happens to it, and let it happen."""
        body = asked.rfile.read(int(asked.headers.get("content-length") or 0))
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in _HOP}
        self.requests[asked.command] += 1
        if self.silent.is_set():
            self.done["silence"] += 1
            return self._cut(asked)
        if self.forbids.is_set():
            self.done["403"] += 1
            return self._say(asked, 403, {}, b"")
        with self._lock:
            fault = self._chance.choice(self.faults) if self._chance.random() < self.rate else ""
            wait = self._chance.uniform(0.005, 0.05)
        self.done[fault or "none"] += 1
        match fault:
            case "reset":
                return self._cut(asked)
            case "429":
                return self._say(asked, 429, {"Retry-After": "2"}, b'{"resourceType":"OperationOutcome","issue":[]}')
            case "500" | "503":
                return self._say(asked, int(fault), {}, b"<html>something went wrong</html>")
            case "401":
                return self._say(asked, 401, {"WWW-Authenticate": "Bearer"}, b"")
            case "lost":
                return self._say(asked, 200, {}, b"")
            case "late":
                with self._lock:
                    self._held.append((asked.command, asked.path, headers, body))
                return self._say(asked, 200, {}, b"")
            case "delay":
                time.sleep(wait)
        answer = self._forward(asked.command, asked.path, headers, body)
        if fault == "twice":
            self._forward(asked.command, asked.path, headers, body)
        if answer is None or fault == "lost answer":
            return self._cut(asked)
        said = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        if self.skew:
            said["date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + self.skew))
        content = answer.content
        if urlsplit(self.to).netloc.encode() in content:
            content = content.replace(self.to.encode(), self.url.encode())
        if fault == "half a body" and len(content) > 1:
            return self._say(asked, answer.status_code, said, content, send=len(content) // 2)
        return self._say(asked, answer.status_code, said, content)

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx2.Response | None:
        try:
            return self._http.request(method, f"{self.to}{path}", headers=headers, content=body or None)
        except httpx2.HTTPError:
            return None

    def _say(
        self,
        asked: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        send: int | None = None,
    ) -> None:
        try:
            asked.send_response_only(status)
            for name, value in headers.items():
                asked.send_header(name, value)
            asked.send_header("Content-Length", str(len(body)))
            asked.end_headers()
            if asked.command != "HEAD":
                asked.wfile.write(body if send is None else body[:send])
            if send is not None:
                self._cut(asked)
        except OSError:
            asked.close_connection = True

    def _cut(self, asked: BaseHTTPRequestHandler) -> None:
        """Reset the connection."""
        asked.close_connection = True
        try:
            asked.wfile.flush()
            asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            asked.connection.close()
        except OSError:
            pass
