"""The application in a thread of this process, so that the demo can look at the same store."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn

from fhir_billing.api.app import create_app
from fhir_billing.domain.errors import BillingError
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat


class Server:
    """Serves on loopback until the block ends. The demo beats by itself, so that each act can be told when it is over."""

    def __init__(self, wiring: Wiring, port: int) -> None:
        self.wiring = wiring
        app = create_app(wiring, beats=False)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", access_log=False, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="serve", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 15
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise SystemExit("the desk did not start; is the port free?")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def quiet(self) -> None:
        """Beat until nothing moves."""
        beat.until_quiet(self.wiring)

    def wait(self) -> None:
        """Go on beating and polling until Ctrl-C or a TERM."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        last = time.monotonic()
        while not stop.wait(1.0):
            try:
                if time.monotonic() - last > self.wiring.settings.poll_seconds:
                    last = time.monotonic()
                    beat.ring(self.wiring)
                beat.beat(self.wiring)
            except BillingError as error:
                print(f"   {error.say}; it is asked again", file=sys.stderr, flush=True)
                stop.wait(10)
