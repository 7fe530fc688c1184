"""What the desk knows of its EHR: the last check, where each way of finding visits stands, and the check that runs now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_billing.cycle.conformance import Conformance, Interaction
from fhir_billing.domain.errors import BillingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of finding closed visits: how far it has looked."""

    name: str
    at: datetime | None = None
    """Up to when it has looked; None when it has not, or keeps no time."""
    say: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """A check that runs: n of m, and the row that came last."""

    done: int = 0
    total: int = 0
    row: Interaction | None = None
    failed: str = ""
    over: bool = False


class Connection(Protocol):
    """What the page of the connection reads and does."""

    @property
    def url(self) -> str:
        """The EHR's address; empty when none is set up."""
        ...

    @property
    def by_hand(self) -> str:
        """The rung that a person chose; empty when the check chooses."""
        ...

    def last(self) -> Conformance | None:
        """What the last check found."""
        ...

    def ways(self) -> list[Way]:
        """Where each way of finding visits stands."""
        ...

    def going(self) -> Going | None:
        """The check that runs now, or the last one of this process when it failed."""
        ...

    def begin(self, *, writes: bool) -> bool:
        """Check again, in the background; False when one runs already."""
        ...

    def stop(self) -> None:
        """Stop the check that runs; what it made is taken away."""
        ...


class Stopped(BillingError):
    """Somebody stopped the check."""

    code = "stopped"


Step = Callable[[int, int, Interaction], None]


class Checker:
    """Runs one check at a time in a thread of this process; whoever leaves the page finds it again."""

    def __init__(self, check: Callable[[bool, Step], Conformance], keep: Callable[[Conformance], object]) -> None:
        self._check, self._keep = check, keep
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._going: Going | None = None

    def going(self) -> Going | None:
        """What runs, or how the last one failed."""
        with self._lock:
            found = self._going
        return None if found and found.over and not found.failed else found

    def begin(self, *, writes: bool) -> bool:
        """Start, unless one runs."""
        with self._lock:
            if self._going and not self._going.over:
                return False
            self._going = Going()
            self._stop.clear()
        threading.Thread(target=self._run, args=(writes,), name="ehr-check", daemon=True).start()
        return True

    def stop(self) -> None:
        """Stop before the next row."""
        self._stop.set()

    def _step(self, done: int, total: int, row: Interaction) -> None:
        self._say(Going(done=done, total=total, row=row))
        if self._stop.is_set():
            raise Stopped("The check was stopped. What it had made is taken away, and nothing was kept")

    def _run(self, writes: bool) -> None:
        failed = ""
        try:
            self._keep(self._check(writes, self._step))
        except BillingError as error:
            failed = error.say
        except Exception as error:
            failed = f"The check broke ({type(error).__name__}). Nothing was kept"
        self._say(Going(over=True, failed=failed))

    def _say(self, going: Going) -> None:
        with self._lock:
            self._going = going
