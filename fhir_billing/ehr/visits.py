"""What the chart closed is asked of the chart itself: every visit of some days, whatever anybody has rung for.

The days are asked by `date`, for a visit that was finished long ago and never rung for has no news to be found by; what
changed in the last days is asked too, whenever it took place. An EHR that gives less than it counts is asked for fewer days.
Spec: FHIR R4 Encounter search `date`, `_lastUpdated`; `_elements`, which an EHR may ignore.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta

from fhir_billing.cycle.ports import Sighting
from fhir_billing.domain.errors import EhrBrokeContract, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.quirks import Quirk
from fhir_billing.ehr.sightings import is_visit, seen

DAY = timedelta(days=1)
PARTS = {"ChargeItem": "context", "Procedure": "encounter", "Condition": "encounter"}
"""What a bill is made of, and the element by which it points at its visit."""
LATELY = timedelta(days=2)
MOST_PAGES = 5_000
USUAL = [("_elements", "identifier,status,class,period,meta"), ("_count", "200")]


def between(client: FhirClient, since: date, until: date, quirk: Quirk) -> Iterator[Sighting]:
    """Every visit of these days in any status, and what changed lately; a day more on each side, for days are local."""
    first, last = since - DAY, until + DAY
    try:
        yield from _of_days(client, first, last, quirk)
    except Unsupported:
        yield from _asked(client, [("_lastUpdated", f"ge{first}")], quirk)
        return
    with suppress(EhrBrokeContract):  # the days are whole by now; this is for visits of other days, or of none
        yield from _asked(client, [("_lastUpdated", f"ge{max(first, until - LATELY)}")], quirk)


def sight(client: FhirClient, encounter: str, quirk: Quirk) -> Sighting | None:
    """One visit as it is in the chart now; None when the chart has it no more."""
    try:
        return seen(quirk(client.read(encounter)))
    except NotThere:
        return None


def touched(client: FhirClient, since: date, quirk: Quirk) -> Iterator[Sighting]:
    """Visits of which a part changed since then: a charge may be corrected and its visit keep its version.

    A kind that this EHR does not find by change, or forbids, tells nothing; without versions no status is claimed.
    """
    for kind, element in PARTS.items():
        params = [("_lastUpdated", f"ge{since}"), ("_elements", f"{element},meta"), ("_count", "200")]
        with suppress(Unsupported, ScopeMissing, NotThere):
            for resource in client.search(kind, params, pages=MOST_PAGES):
                part = quirk(resource)
                held = part.get(element)
                reference = held.get("reference") if isinstance(held, dict) else None
                encounter = client.local(reference) if isinstance(reference, str) else ""
                if encounter.startswith("Encounter/"):
                    yield Sighting(encounter=encounter, at=seen(part).at)


def _of_days(client: FhirClient, first: date, last: date, quirk: Quirk) -> Iterator[Sighting]:
    try:
        for resource in _found(client, [("date", f"ge{first}"), ("date", f"le{last}")], quirk):
            if _touches(resource, first, last):
                yield seen(resource)
    except Unsupported:
        raise
    except EhrBrokeContract:
        if first >= last:
            raise
        middle = first + (last - first) // 2
        yield from _of_days(client, first, middle, quirk)
        yield from _of_days(client, middle + DAY, last, quirk)


def _asked(client: FhirClient, params: list[tuple[str, str]], quirk: Quirk) -> Iterator[Sighting]:
    for resource in _found(client, params, quirk):
        yield seen(resource)


def _found(client: FhirClient, params: list[tuple[str, str]], quirk: Quirk) -> Iterator[Resource]:
    for resource in client.search("Encounter", [*params, *USUAL], pages=MOST_PAGES, whole=True):
        if is_visit(resource):
            yield quirk(resource)


def _touches(resource: Resource, first: date, last: date) -> bool:
    """Whether a visit lies in these days, for an EHR that does not look at the question; without a period that can be read nobody knows."""
    period = resource.get("period")
    if not isinstance(period, dict):
        return True
    start = _day(period.get("start"))
    end = _day(period.get("end")) if period.get("end") else start
    return not (start and start > last.isoformat()) and not (end and end < first.isoformat())


def _day(found: object) -> str:
    """A whole day, as text; of what is less, or none, nobody knows where it lies."""
    try:
        return date.fromisoformat(str(found)[:10]).isoformat()
    except ValueError:
        return ""
