"""A websocket is listened to in a thread of its own; what comes down it is kept like any notification, and the line is opened anew.

Each try after a break waits twice as long. What was told meanwhile is found by its number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from fhir_billing.cycle.looking import Subscribed
from fhir_billing.cycle.ports import Sighting
from fhir_billing.domain.errors import BillingError
from fhir_billing.fhir.notification import Says, read_notification
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import ringing, topics

_log = log("worker")
WAY: Final = "websocket"
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 300.0
IDLE: Final = 5.0
"""Seconds after which it is looked again whether the EHR holds a websocket subscription for us."""


class Listener:
    """Listens to the EHR's websocket, when it holds a subscription for us that rings by one."""

    def __init__(self, wiring: Wiring, wake: Callable[[], None], *, first_wait: float = FIRST_WAIT) -> None:
        self.wiring = wiring
        self._wake, self._first_wait = wake, first_wait
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="websocket", daemon=True)

    def start(self) -> None:
        """Listen in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        wait = self._first_wait
        while not self._stop.is_set():
            try:
                held = self._held()
                if held is None:
                    self._stop.wait(IDLE)
                    continue
                if self._listen(held):
                    wait = self._first_wait
            except BillingError as error:
                _log.warning("the EHR's line is down; it is opened again", code=error.code)
            except Exception as error:
                _log.error("a notification could not be kept", error=type(error).__name__)
            self._stop.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _held(self) -> Subscribed | None:
        return next((one for one in topics.held(self.wiring) if one.way == WAY), None)

    def _listen(self, held: Subscribed) -> bool:
        """Keep what comes until the line ends; whether anything came."""
        ehr, came = self.wiring.ehr, False
        if ehr is None:
            return False
        for body in ehr[0].listen(held.id, self._stop.is_set):
            came = True
            self._keep(body)
        return came

    def _keep(self, body: bytes) -> None:
        said = read_notification("POST", "", "", body)
        if said.says is not Says.PLAIN:
            if topics.keep(self.wiring, said, body, channel=WAY):
                self._wake()
        elif body.startswith(b"ping"):  # the R4 way: something has changed, look for yourself
            ringing.rang(self.wiring, Sighting(encounter=""), found_by=WAY)
            self._wake()


@contextmanager
def listening(wiring: Wiring, wake: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Listen while the block runs, as soon as the EHR holds a websocket subscription for us: a check may find one later."""
    if not wiring.settings.ehr_url:
        yield
        return
    listener = Listener(wiring, wake)
    listener.start()
    try:
        yield
    finally:
        listener.stop()
