"""Behind the real channel, with the real store: each habit of a payer leaves the claim in the state and the book with the sums it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_billing.domain.lifecycle import State
from tests.e2e import charts
from tests.e2e.story import Story

ADDRESS = [{"line": ["12 Example Street"], "city": "Sampleton", "state": "MA", "postalCode": "99999-0001"}]
NPI = "http://hl7.org/fhir/sid/us-npi"
CLINIC: list[dict[str, Any]] = [
    {
        "resourceType": "Organization",
        "id": "clinic",
        "name": "Example Family Clinic",
        "identifier": [{"system": NPI, "value": "1234567893"}],
        "address": ADDRESS,
    },
    {"resourceType": "Organization", "id": "payer-exc01", "name": "Example Commercial Health"},
    {"resourceType": "Organization", "id": "payer-exc02", "name": "Example Mutual Benefit"},
    {"resourceType": "Organization", "id": "payer-exh", "name": "Example Health Maintenance"},
    {
        "resourceType": "Practitioner",
        "id": "rolf",
        "name": [{"family": "Zztest", "given": ["Rolf"]}],
        "identifier": [{"system": NPI, "value": "1999999992"}],
    },
]


def visit(
    given: str, *charges: tuple[str, str], payer: str = "exc01", day: str = "2026-03-02"
) -> tuple[str, list[dict[str, Any]]]:
    """A closed office visit with priced charges."""
    name = given.lower()
    patient = {"reference": f"Patient/{name}"}
    one: list[dict[str, Any]] = [
        {
            "resourceType": "Patient",
            "id": name,
            "name": [{"family": "Zztest", "given": [given]}],
            "gender": "female",
            "birthDate": "1980-02-29",
            "address": ADDRESS,
        },
        {
            "resourceType": "Coverage",
            "id": name,
            "status": "active",
            "subscriberId": f"EX{name.upper()}01",
            "beneficiary": patient,
            "subscriber": patient,
            "relationship": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"}]
            },
            "payor": [{"reference": f"Organization/payer-{payer}"}],
            "period": {"start": "2020-01-01"},
        },
        {
            "resourceType": "Encounter",
            "id": name,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": patient,
            "period": {"start": f"{day}T14:00:00Z", "end": f"{day}T14:30:00Z"},
            "serviceProvider": {"reference": "Organization/clinic"},
            "participant": [{"individual": {"reference": "Practitioner/rolf"}}],
        },
        {
            "resourceType": "Condition",
            "id": name,
            "encounter": {"reference": f"Encounter/{name}"},
            "subject": patient,
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J02.9"}]},
        },
    ]
    for count, (code, price) in enumerate(charges or (("99213", "125.00"), ("87880", "30.00"))):
        one.append(
            {
                "resourceType": "ChargeItem",
                "id": f"{name}-{count}",
                "status": "billable",
                "subject": patient,
                "context": {"reference": f"Encounter/{name}"},
                "occurrenceDateTime": f"{day}T14:10:00Z",
                "quantity": {"value": 1},
                "code": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": code}]},
                "priceOverride": {"value": int(price.partition(".")[0]), "currency": "USD"},
            }
        )
    return f"Encounter/{name}", [*one, *CLINIC]


def told(folder: Path, scenario: str, day: str = "2026-03-02") -> Story:
    return Story(folder=folder, database=f"sqlite:///{folder / 'book.db'}", scenario=scenario, day=day)


def exchange(story: Story) -> None:
    """Ready claims leave, their answers come."""
    story.send()
    story.collect()


def by_name(story: Story) -> dict[str, tuple[State, dict[str, str]]]:
    """Given name → state and balances."""
    return {
        claim.patient_name.split()[0]: (claim.state, story.balances(number)) for number, claim in story.claims().items()
    }


@pytest.fixture
def demo(tmp_path: Path) -> Story:
    story = told(tmp_path, "demo")
    names = ("Ada", "Bo", "Cy", "Eli", "Gus", "Jo", "Kit", "Ona", "Pat", "Zoe")
    for name in names:
        story.visit(*visit(name))
    story.visit(*visit("Lu", payer="exh"))
    exchange(story)
    return story


def test_every_habit_of_the_demos_payers_leaves_its_mark(demo: Story, tmp_path: Path) -> None:
    paid = {"AC": "49.00", "CL": "86.00", "PT": "20.00"}
    unpaid = {"RP": "155.00"}
    assert by_name(demo) == {
        "Ada": (State.PAID, paid),
        "Bo": (State.REJECTED, unpaid),
        "Cy": (State.DENIED, {"RD": "155.00"}),
        "Eli": (State.DENIED, {"RD": "155.00"}),
        "Gus": (State.RECEIVED, unpaid),
        "Jo": (State.DENIED, {"AC": "12.00", "CL": "14.40", "PT": "3.60", "RD": "125.00"}),
        "Kit": (State.PAID, paid),
        "Lu": (State.REJECTED, unpaid),
        "Ona": (State.ACCEPTED, unpaid),
        "Pat": (State.PENDED, unpaid),
        "Zoe": (State.PAID, paid),
    }
    with demo.wiring.store.begin() as book:
        refused = [one.say for one in book.remittances() if one.status == "quarantined"]
    assert len(refused) == 1 and "12.40 off" in refused[0]
    assert demo.whole_book() == 0
    assert demo.replay_is_equal(tmp_path)


def test_the_demos_own_charts_meet_every_habit(tmp_path: Path) -> None:
    story = told(tmp_path, "demo", "2026-03-16")
    for path in sorted(charts.FOLDER.glob("*.json")):
        if path.stem != "clinic":
            resources = charts.finished(charts.chart(path.stem))
            story.visit(charts.encounter_of(resources), resources)
    exchange(story)
    states = {name: state for name, (state, _) in by_name(story).items() if state is not State.HELD}
    habits = {
        "Bo": State.REJECTED,
        "Cy": State.DENIED,
        "Eli": State.DENIED,
        "Gus": State.RECEIVED,
        "Jo": State.DENIED,
        "Lu": State.REJECTED,
        "Ona": State.ACCEPTED,
        "Pat": State.PENDED,
    }
    assert states == {name: habits.get(name, State.PAID) for name in states}
    assert habits.keys() < states.keys()
    sums = {name: balances for name, (_, balances) in by_name(story).items()}
    assert sums["Ada"] == {"AC": "49.00", "CL": "86.00", "PT": "20.00"}
    assert sums["Fay"] == {"AC": "3275.75", "CL": "6640.00", "PT": "3160.00"}
    assert sums["Dee"] == {"AC": "51.60", "CL": "78.40", "RP": "20.00"}
    assert sums["Jo"] == {"AC": "114.00", "CL": "76.80", "PT": "19.20", "RD": "125.00"}
    assert story.whole_book() == 0
    assert story.replay_is_equal(tmp_path)


def test_nothing_comes_twice_when_nothing_new_was_sent(demo: Story) -> None:
    before = by_name(demo)
    demo.clock.to("2026-12-01")
    exchange(demo)
    assert by_name(demo) == before


def test_an_appeal_that_is_won_and_a_take_back_after_close_post_the_stories_sums(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    story = told(tmp_path / "s3", "story-s3")
    story.visit(*visit("Cy", ("70551", "1240.00"), payer="exc02"))
    exchange(story)
    story.clock.to("2026-03-16")
    story.collect()
    assert by_name(story) == {"Cy": (State.DENIED, {"RD": "1240.00"})}
    story.clock.to("2026-04-15")
    story.collect()
    assert by_name(story) == {"Cy": (State.PAID, {"AC": "630.00", "CL": "488.00", "PT": "122.00"})}

    (tmp_path / "s5").mkdir()
    story = told(tmp_path / "s5", "story-s5")
    story.visit(*visit("Eli", ("99215", "220.00")))
    exchange(story)
    story.clock.to("2026-03-16")
    story.collect()
    assert by_name(story) == {"Eli": (State.PAID, {"AC": "78.00", "CL": "117.00", "PT": "25.00"})}
    story.clock.to("2026-07-02")
    story.visit(*visit("Oda", ("99215", "410.00"), day="2026-07-01"))
    exchange(story)
    story.clock.to("2026-07-16")
    story.collect()
    assert by_name(story) == {
        "Eli": (State.DENIED, {"RD": "220.00"}),
        "Oda": (State.PAID, {"AC": "110.00", "CL": "300.00"}),
    }
    assert story.whole_book() == 0
