"""Notifications are written in four ways (R4 Parameters with and without hyphens, R4B, R5), and say the same."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_billing.fhir.notification import Event, Notification, Rang, Says, read_notification
from fhir_billing.fhir.text import dumps

BASE = "https://ehr.example/fhir"


def parameters(hyphens: bool) -> dict[str, Any]:
    def named(*words: str) -> str:
        return "-".join(words) if hyphens else words[0] + "".join(word.title() for word in words[1:])

    def event(number: str, reference: str) -> dict[str, Any]:
        part = [
            {"name": named("event", "number"), "valueString": number},
            {"name": "focus", "valueReference": {"reference": reference}},
        ]
        return {"name": named("notification", "event"), "part": part}

    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": f"{BASE}/Subscription/s1"}},
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {"name": named("events", "since", "subscription", "start"), "valueString": "7"},
            event("6", f"{BASE}/Encounter/a"),
            event("7", "Encounter/b/_history/4"),
        ],
    }


def status(count: Any) -> dict[str, Any]:
    return {
        "resourceType": "SubscriptionStatus", "status": "active", "type": "event-notification",
        "eventsSinceSubscriptionStart": count, "subscription": {"reference": "Subscription/s1"},
        "notificationEvent": [
            {"eventNumber": "6", "focus": {"reference": f"{BASE}/Encounter/a"}},
            {"eventNumber": 7, "focus": {"reference": "Encounter/b/_history/4"}},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("history", parameters(hyphens=True)),
        ("history", parameters(hyphens=False)),
        ("history", status("7")),
        ("subscription-notification", status(7)),
    ],
)
def test_each_way_of_writing_says_the_same(kind: str, first: dict[str, Any]) -> None:
    body = dumps({"resourceType": "Bundle", "type": kind, "entry": [{"resource": first}]})
    a, b = Rang(encounter="Encounter/a"), Rang(encounter="Encounter/b", version="4")
    assert read_notification("POST", "", "", body) == Notification(
        says=Says.EVENT,
        rang=(a, b),
        subscription="s1",
        status="active",
        count=7,
        events=(Event(number=6, rang=a), Event(number=7, rang=b)),
    )


def test_a_visit_that_came_along_brings_its_version() -> None:
    visit = {"resourceType": "Encounter", "id": "a", "meta": {"versionId": "9"}}
    entry = [{"resource": parameters(hyphens=True)}, {"resource": visit}]
    body = dumps({"resourceType": "Bundle", "type": "history", "entry": entry})
    said = read_notification("POST", "", "", body)
    assert said.rang == (Rang(encounter="Encounter/a", version="9"), Rang(encounter="Encounter/b", version="4"))


@pytest.mark.parametrize("number", ["-1", "1e9", "", None, True, 1.5, "9" * 40, {"a": 1}])
def test_what_is_no_number_counts_nothing(number: Any) -> None:
    first = {**status(number), "notificationEvent": [{"eventNumber": number, "focus": {"reference": "Encounter/a"}}]}
    body = dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}]})
    said = read_notification("POST", "", "", body)
    assert (said.count, said.events[0].number, said.rang) == (0, 0, (Rang(encounter="Encounter/a"),))


def test_an_event_without_a_focus_names_no_visit() -> None:
    first = {**status(1), "notificationEvent": [{"eventNumber": "1"}]}
    body = dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}]})
    said = read_notification("POST", "", "", body)
    assert said.events == (Event(number=1),)
    assert said.rang == ()
