"""What a search means: dates with their precision, tokens with their system, and who may be sent to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_billing.api.fhir.answers import Refused
from fhir_billing.api.fhir.search import asked
from fhir_billing.cycle.published import Entry
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.topic import BACKPORT, TOPIC, read_subscription
from fhir_billing.store.outbox import Parcel, choose
from fhir_billing.worker.outward import is_open

NOW = datetime(2026, 3, 4, 12, 30, 15, 250_000, tzinfo=UTC)


def entry(**more: Any) -> Entry:
    return Entry(kind="Task", id="C-1", updated=NOW, build=dict, identifiers=(("urn:a", "7"),), **more)


def finds(one: Entry, name: str, value: str) -> bool:
    question = asked("Task", [(name, value)], lenient=False, chart="https://ehr.example/fhir", app="a", secret="s" * 32)
    return all(test(one) for test in question.tests)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026", True),
        ("2026-03", True),
        ("2026-03-04", True),
        ("2026-03-05", False),
        ("2026-03-04T12:30Z", True),
        ("2026-03-04T07:30:15-05:00", True),
        ("2026-03-04T12:30:15.250Z", True),
        ("2026-03-04T12:30:15.251Z", False),
        ("ne2026-03-04", False),
        ("gt2026-03-04", False),
        ("ge2026-03-04", True),
        ("ge2026-03-04T12:30:15.250Z", True),
        ("gt2026-03-04T12:30:15.250Z", False),
        ("lt2026-03-04T12:30:15.250Z", False),
        ("le2026-03-04", True),
        ("sa2026-03-03", True),
        ("eb2026-03-05", True),
        ("2025,2026", True),
    ],
)
def test_a_date_means_all_of_what_it_says(value: str, found: bool) -> None:
    assert finds(entry(), "_lastUpdated", value) is found


@pytest.mark.parametrize(
    "value", ["2026-13", "2026-02-30", "26", "ap2026", "2026-03-04T25:00Z", "now", "9999-99-99", "0000"]
)
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(Refused):
        finds(entry(), "_lastUpdated", value)


@pytest.mark.parametrize(
    ("value", "found"),
    [("7", True), ("urn:a|7", True), ("urn:a|", True), ("urn:b|7", False), ("|7", False), ("8,7", True)],
)
def test_a_token_is_a_code_in_its_system(value: str, found: bool) -> None:
    assert finds(entry(), "identifier", value) is found


def test_a_patient_is_known_by_id_reference_or_whole_address() -> None:
    for value in ("p1", "Patient/p1", "https://ehr.example/fhir/Patient/p1", "x,p1"):
        assert finds(entry(patient="Patient/p1"), "patient", value)
    for value in ("p2", "https://other.example/fhir/Patient/p1", "Group/p1"):
        assert not finds(entry(patient="Patient/p1"), "patient", value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "::1",
        "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::",
    ],
)  # fmt: skip
def test_an_address_inside_the_house_is_known_in_every_spelling(address: str) -> None:
    assert not is_open(address)


def test_notices_to_one_follower_never_pass_one_another() -> None:
    def parcel(number: int, to: str = "f", **more: Any) -> Parcel:
        return Parcel(id=number, kind="notice", claim="", destination=to, **more)

    later = NOW + timedelta(seconds=9)
    alive: dict[str, Any] = {"locked_until": later, "locked_by": "somebody"}

    def chosen(*parcels: Parcel) -> list[int]:
        return choose(parcels, NOW, lambda _: False)[0]

    assert chosen(parcel(1), parcel(2)) == [1, 2]
    assert chosen(parcel(1, retry_at=later), parcel(2), parcel(3, "g")) == [3]
    assert chosen(parcel(1), parcel(2, retry_at=later)) == [1, 2], "the first leads"
    assert chosen(parcel(1, **alive), parcel(2), parcel(3, "g")) == [3]


@pytest.mark.parametrize("name", ["backport-filter-criteria", "backport-payload-content"])
def test_an_extension_that_stands_twice_is_refused(name: str) -> None:
    twice = [{"url": f"{BACKPORT}{name}", "valueString": "Task?status=x", "valueCode": "empty"}] * 2
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "criteria": TOPIC,
        "_criteria": {"extension": twice},
        "channel": {"type": "rest-hook", "endpoint": "https://a.example", "_payload": {"extension": twice}},
    }
    with pytest.raises(MalformedResource, match="more than once"):
        read_subscription(resource)


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "x",
        {},
        {"resourceType": "Subscription"},
        {"resourceType": "Subscription", "criteria": TOPIC, "channel": []},
    ],
)
def test_what_is_no_subscription_is_refused_and_never_a_crash(found: Any) -> None:
    with pytest.raises(MalformedResource):
        read_subscription(found)
