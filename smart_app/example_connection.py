"""An EHR that nobody runs, as a check would have found it: some of it works, some is ignored, some was never tried."""

from __future__ import annotations

from datetime import timedelta

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from smart_app.connection import Going, Way
from smart_app.example_people import NOW

_ROWS = (
    ("connection", "metadata", "It says what it is", True, Found.WORKS, "Example Charts 4.2, FHIR 4.0.1", ""),
    ("connection", "token", "It gives us a token with the scopes that we ask for", None, Found.PARTLY,
     "asked system/*.cruds, granted system/*.rs system/Task.cruds", "what was granted is used"),
    ("reading", "search-visit", "Finished visits, by search", True, Found.WORKS, "", ""),
    ("reading", "read-visit", "One visit, by id", True, Found.WORKS, "", ""),
    ("reading", "search-includes", "A visit with all that belongs to it, in one search (_include, _revinclude)", True,
     Found.IGNORED, "both are silently ignored", "what belongs to it is read by batch, or singly"),
    ("reading", "batch", "Several readings in one request (batch)", True, Found.WORKS, "3 in one", ""),
    ("finding closed visits", "search-by-last-updated", "Visits that changed since a time (_lastUpdated)", True,
     Found.WORKS, "", ""),
    ("finding closed visits", "subscription", "It rings when a visit closes (Subscription, rest-hook)", True,
     Found.NOT_TRIED, "run with --write", "it is polled"),
    ("finding closed visits", "bulk-export", "All visits as files (Bulk Data $export)", False, Found.MISSING,
     "it answers 404 (not-found)", "older visits are read by search"),
    ("writing back", "write-task", "Tasks: the living status of a bill", True, Found.WORKS,
     "made, found by our identifier, changed", ""),
    ("writing back", "write-claim", "Claims", False, Found.FORBIDDEN, "it answers 403 (forbidden)",
     "a lower rung of the ladder tells the chart"),
    ("writing back", "transaction", "All or nothing (transaction)", True, Found.PARTLY,
     "not atomic: one bad entry, and the good one stays",
     "each part is true by itself, in an order that holds; what fails is tried again"),
)  # fmt: skip


class ExampleConnection:
    """Implements `connection.Connection`; its check runs for ever when it is begun."""

    def __init__(self) -> None:
        self.url, self.by_hand = "https://ehr.example/fhir", ""
        self.began: list[bool] = []
        self.now: Going | None = None

    def last(self) -> Conformance | None:
        """A run of this morning."""
        return Conformance(
            url=self.url,
            at=NOW - timedelta(hours=3),
            software="Example Charts 4.2",
            fhir_version="4.0.1",
            granted_scopes=("system/*.rs", "system/Task.cruds"),
            triggers=("hook", "poll"),
            rung="task",
            gathering="batch",
            interactions=tuple(
                Interaction(group=group, key=key, what=what, declared=declared, found=found, say=say, instead=instead)
                for group, key, what, declared, found, say, instead in _ROWS
            ),
            facts={
                "sentences": "Visits are found by the EHR's ring (Subscription), then polling.\n"
                "A visit is read by a batch: several readings in one request.\n"
                "The chart is told by task: each claim's status is a Task on the visit."
            },
        )

    def ways(self) -> list[Way]:
        """The ring keeps no mark, the poll looked five minutes ago."""
        return [Way(name="hook", say="rings by itself"), Way(name="poll", at=NOW - timedelta(minutes=5))]

    def going(self) -> Going | None:
        """What a test wants to see."""
        return self.now

    def begin(self, *, writes: bool) -> bool:
        """It is as far as it gets."""
        self.began.append(writes)
        self.now = Going(done=3, total=12, row=self.last().interactions[3])  # type: ignore[union-attr]
        return True

    def stop(self) -> None:
        """It stops."""
        self.now = None
