"""Some EHRs find visits by patient and by nothing else: so the day's schedule is read, and each of its patients asked for.

Yesterday is looked at again, for a visit may be closed the day after; days that nobody looked at are made up for. Where the
schedule cannot be asked for by day, the patients whom the book knows from the last weeks are asked for.
Spec: FHIR R4 Appointment search `date`, Encounter search `patient`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Looked, Sighting
from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotAllowed, NotNow, NotThere
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.sightings import is_visit, seen

DAY: Final = timedelta(days=1)
MOST_DAYS: Final = 7
"""How many days are made up for; what is older is the nightly comparison's."""
RECENT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Asks for the visits of everybody on the schedule."""

    client: FhirClient
    remembered: Remembered
    name: str = "sweep"

    def look(self, cursor: str, now: datetime) -> Looked:
        """The visits of these days' patients; the cursor is the last day that was swept."""
        today = now.date()
        first = max(min(_day(cursor) or today, today) - DAY, today - MOST_DAYS * DAY)
        found: dict[Sighting, None] = {}
        failed: BillingError | None = None
        for patient in self._patients(first, today):
            try:
                found.update(dict.fromkeys(self._visits(patient)))
            except NotNow:
                raise
            except BillingError as error:
                failed = error  # one patient whose chart is closed to us hides nobody else's
        if failed is not None and not found:
            raise failed
        return Looked(sightings=tuple(found), cursor=today.isoformat())

    def _patients(self, first: date, today: date) -> list[str]:
        try:
            days = [first + DAY * count for count in range((today - first).days + 2)]
            found = [patient for day in days for patient in self._scheduled(day)]
        except (NotAllowed, NotThere, EhrBrokeContract):
            return list(self.remembered.patients(today - RECENT))
        return list(dict.fromkeys(found))

    def _scheduled(self, day: date) -> Iterator[str]:
        of_day = [("date", f"ge{day}"), ("date", f"lt{day + DAY}"), ("_count", "200")]
        for resource in self.client.search("Appointment", of_day):
            if resource.get("resourceType") != "Appointment":
                continue
            for row in _rows(resource, "participant"):
                actor = row.get("actor")
                reference = self.client.local(str(actor.get("reference", ""))) if isinstance(actor, dict) else ""
                if reference.startswith("Patient/"):
                    yield reference

    def _of(self, patient: str) -> list[Resource]:
        """A patient is named as a reference, or, where that is refused, by the bare id."""
        try:
            return list(self.client.search("Encounter", {"patient": patient, "_count": "200"}))
        except Unsupported:
            query = {"patient": patient.partition("/")[2], "_count": "200"}
            return list(self.client.search("Encounter", query))

    def _visits(self, patient: str) -> Iterator[Sighting]:
        for resource in self._of(patient):
            if is_visit(resource):
                yield seen(resource)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _rows(resource: Resource, name: str) -> list[Resource]:
    found = resource.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def make(client: FhirClient, remembered: Remembered, word: str) -> Sweep:
    """The sweep of one EHR."""
    return Sweep(client, remembered)
