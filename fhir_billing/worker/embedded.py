"""Without Redis the beat runs in a thread of the process that serves, from the same outbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

from fhir_billing.logs import log, of_tenant
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat, listening, mllp
from fhir_billing.worker.nightly import nightly

_log = log("worker")
LATER = 15.0
"""Seconds after which a tenant whose book is not there is tried again."""


class Heart:
    """Beats until it is told to stop; `wake` makes it beat at once."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._last: dict[str, float] = {}
        self._ears = mllp.Listener(wiring, self.wake) if wiring.settings.mllp_listen else None
        self._thread = threading.Thread(target=self.run, name="beat", daemon=True)

    def start(self) -> None:
        """Beat in a thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something has arrived."""
        self._wake.set()

    def ask_to_stop(self) -> None:
        """Stop after this beat."""
        self._stop.set()
        self._wake.set()

    def stop(self) -> None:
        """Finish the beat and stop."""
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def run(self) -> None:
        """Beat, wait, beat; a fault is logged and the next beat tries again."""
        with of_tenant(self.wiring.settings.tenant):
            while not self._stop.is_set():
                try:
                    self._beat_and_listen()
                except Exception as error:
                    _log.error("nothing can be listened to yet", error=type(error).__name__)
                    self._stop.wait(LATER)

    def _beat_and_listen(self) -> None:
        with listening.listening(self.wiring, self.wake), self._ears or nullcontext():
            while not self._stop.is_set():
                self._once()
                self._wake.wait(self.wiring.settings.beat_seconds)
                self._wake.clear()

    def _once(self) -> None:
        settings = self.wiring.settings
        try:
            self._every("subscribe", settings.chase_seconds, beat.subscribe)
            self._every("ring", settings.poll_seconds, beat.ring)
            self._every("chase", settings.chase_seconds, beat.chase)
            self._every("nightly", settings.poll_seconds, nightly)
            beat.beat(self.wiring)
        except Exception as error:
            _log.error("the beat failed", error=type(error).__name__)

    def _every(self, name: str, seconds: float, step: Callable[[Wiring], int]) -> None:
        now = time.monotonic()
        if now - self._last.get(name, float("-inf")) >= seconds:
            self._last[name] = now
            step(self.wiring)
