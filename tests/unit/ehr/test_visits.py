"""EHRs answer a question about days in different ways: too little, too much, or not at all; what differs is found all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from fhir_billing.cycle.ports import Sighting
from fhir_billing.domain.errors import EhrBrokeContract, ScopeMissing
from fhir_billing.ehr import visits
from fhir_billing.ehr.client import FhirClient, Unsupported
from fhir_billing.ehr.quirks import named
from fhir_billing.worker.nightly import is_young

PLAIN = named("plain")
FIRST = date(2026, 3, 1)


def a_visit(number: int) -> dict[str, Any]:
    day = (FIRST + timedelta(days=number)).isoformat()
    return {
        "resourceType": "Encounter", "id": f"e{number}", "status": "finished", "period": {"start": day, "end": day},
        "meta": {"versionId": "1", "lastUpdated": f"{day}T10:00:00Z"},
    }  # fmt: skip


class Server:
    """Ten visits, one a day; it gives at most `most` of what it finds and names no next page."""

    def __init__(self, *, most: int = 100, knows_date: bool = True, looks: bool = True) -> None:
        self.most, self.knows_date, self.looks = most, knows_date, looks
        self.asked = 0

    def search(self, kind: str, params: list[tuple[str, str]], **_: object) -> Iterator[dict[str, Any]]:
        self.asked += 1
        if not self.knows_date and any(name == "date" for name, _ in params):
            raise Unsupported("no date")
        low = max((v[2:] for n, v in params if n in {"date", "_lastUpdated"} and v.startswith("ge")), default="")
        high = min((v[2:] for n, v in params if n == "date" and v.startswith("le")), default="9999")
        every = [a_visit(number) for number in range(10)]
        found = [v for v in every if not self.looks or low <= v["period"]["start"] <= high]
        yield from found[: self.most]
        if len(found) > self.most:
            raise EhrBrokeContract("it counts more and names no next page")


def seen(server: Server, first: int = 0, last: int = 9) -> set[str]:
    since, until = FIRST + timedelta(days=first), FIRST + timedelta(days=last)
    return {s.encounter for s in visits.between(cast("FhirClient", server), since, until, PLAIN)}


EVERY = {f"Encounter/e{number}" for number in range(10)}


def test_an_ehr_that_keeps_back_a_page_is_asked_for_fewer_days() -> None:
    assert seen(Server(most=2)) == EVERY


def test_an_ehr_without_the_parameter_is_asked_by_change() -> None:
    assert seen(Server(knows_date=False)) == EVERY


def test_an_ehr_that_does_not_look_at_the_question_is_read_with_a_day_on_each_side() -> None:
    server = Server(looks=False)
    since, until = FIRST + timedelta(days=3), FIRST + timedelta(days=4)
    days = visits._of_days(cast("FhirClient", server), since, until, PLAIN)
    assert {s.encounter for s in days} == {"Encounter/e3", "Encounter/e4"}


def test_one_day_that_is_kept_back_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(EhrBrokeContract):
        seen(Server(most=0))


def test_a_kind_that_is_forbidden_tells_nothing_and_stops_nothing() -> None:
    class Forbids:
        base = "https://ehr.example/fhir"

        def local(self, reference: str) -> str:
            return reference

        def search(self, kind: str, params: object, **_: object) -> Iterator[dict[str, Any]]:
            if kind == "Procedure":
                raise ScopeMissing("not yours")
            element = visits.PARTS[kind]
            yield {"resourceType": kind, "id": "a", element: {"reference": f"Encounter/{kind.lower()}"}}
            yield {"resourceType": kind, "id": "b", element: "no reference"}

    found = visits.touched(cast("FhirClient", Forbids()), FIRST, PLAIN)
    assert [s.encounter for s in found] == ["Encounter/chargeitem", "Encounter/condition"]


@pytest.mark.parametrize(
    ("at", "young"),
    [("2026-03-02T11:55:00Z", True), ("2026-03-02T12:02:00Z", True), ("2026-03-02T11:40:00Z", False),
     ("2026-11-02T12:00:00Z", False), ("", False), ("yesterday", False), ("2026-03-02T12:00:00", False)],
)  # fmt: skip
def test_what_changed_just_now_is_young_and_a_clock_that_is_far_off_excuses_nothing(at: str, young: bool) -> None:
    assert is_young(Sighting(encounter="Encounter/a", at=at), datetime(2026, 3, 2, 12, tzinfo=UTC)) is young
