"""`serve`: the desk, the clinician's page and the HTTP edge; without REDIS_URL the beat runs here too."""

from __future__ import annotations

import argparse
import contextlib
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from fhir_billing.api.hosts import ByHost
    from fhir_billing.wiring import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """Where to listen: loopback unless told otherwise."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--no-worker", action="store_true", help="do not beat in this process")


def run(args: argparse.Namespace) -> int:
    """Serve until stopped: one tenant, or each at its host."""
    import uvicorn

    class Server(uvicorn.Server):
        """Streams that would go on for minutes are told to end, so that stopping takes a moment."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            closing = getattr(app.state, "closing", None)
            if closing is not None:
                closing.set()
            super().handle_exit(sig, frame)

    from fhir_billing.logs import set_up
    from fhir_billing.wiring import install

    set_up()
    found = install()
    app = _of_many(found, args) if found.tenants else _of_one(args)
    config = uvicorn.Config(
        app,
        host=args.host,
        port=args.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C, raised again once everything has ended
        Server(config).run()
    return 0


def _of_one(args: argparse.Namespace) -> FastAPI:
    from fhir_billing.api.app import create_app
    from fhir_billing.cli.opening import opened
    from fhir_billing.wiring import with_secret

    with opened() as wiring:
        with_secret(wiring)
        return create_app(wiring, beats=not args.no_worker and not wiring.settings.redis_url)


def _of_many(found: Installation, args: argparse.Namespace) -> ByHost:
    from fhir_billing.api.hosts import ByHost

    return ByHost(found, beats=not args.no_worker and not found.shared.redis_url)
