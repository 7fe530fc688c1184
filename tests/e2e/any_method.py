"""A small server of a test answers every method in one place, says nothing to the log, and bears that whoever asked has gone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler


class AnyMethod(BaseHTTPRequestHandler):
    """Answers by `serve`, whatever the method."""

    def serve(self) -> None:
        """Answer this request."""
        raise TypeError("each server answers in its own way")

    def body(self) -> bytes:
        """What came with the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The whole answer."""
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def do_PUT(self) -> None:
        self.serve()

    def do_DELETE(self) -> None:
        self.serve()

    def log_message(self, *_: object) -> None:
        """Silence."""
