"""What a check concludes follows from what works, from what is declared where nothing may be tried, and from the scopes granted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.ehr.check import choosing
from fhir_billing.ehr.check.asking import Answer, Bench
from fhir_billing.ehr.check.probes import KEYS, is_ours, probe
from fhir_billing.ehr.check.statement import Statement
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Need

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
WRITES = {"rest": [{"resource": [{"type": "Task", "interaction": [{"code": "create"}, {"code": "update"}]}]}]}


def bench(body: dict[str, Any] | None = None, /, **facts: str) -> Bench:
    client = FhirClient("http://ehr.example/fhir", httpx2.Client())
    return Bench(client=client, statement=Statement(body=body or {}), now=NOW, facts=dict(facts))


def rows(*works: str) -> list[Interaction]:
    return [Interaction(key=key, group="reading", what=key, found=Found.WORKS) for key in works]


@pytest.mark.parametrize(
    ("works", "facts", "ways"),
    [
        (("subscription",), {"visits-by": "state"}, ("hook", "poll")),
        (("subscription", "topic-subscription"), {"visits-by": "state"}, ("topic", "poll")),
        (("search-appointments",), {"visits-by": "patient"}, ("sweep",)),
        (("bulk-export",), {}, ("bulk",)),
        (("bulk-export",), {"bulk-group": "everybody"}, ("bulk=everybody",)),
        ((), {}, ()),
    ],
)
def test_closed_visits_are_found_by_what_works(works: tuple[str, ...], facts: dict[str, str], ways: tuple[str, ...]) -> None:  # fmt: skip
    assert choosing.ways(rows(*works), bench(None, **facts)) == ways
    sentence = choosing.found_sentence(ways)
    assert sentence.startswith("Visits are found by ")
    assert "=" not in sentence


def test_what_hears_without_fhir_is_named_too() -> None:
    assert choosing.ways([], bench(), ("hl7v2",)) == ("hl7v2",)


@pytest.mark.parametrize(
    ("granted", "is_able"),
    [
        ("", True),
        ("system/*.cruds", True),
        ("system/Task.cud", True),
        ("system/Task.write", True),
        ("system/*.*", True),
        ("system/*.rs", False),
        ("system/Task.read", False),
        ("system/Encounter.cruds", False),
        ("patient/Task.cruds", False),
    ],
)
def test_a_declared_write_counts_only_where_its_scope_was_granted(granted: str, is_able: bool) -> None:
    assert choosing.able(Need(kind="Task", act="create"), bench(WRITES, granted=granted)) is is_able


def test_what_was_tried_and_failed_is_not_believed_for_its_declaration() -> None:
    found = bench(WRITES)
    found.tried.add("Task")
    assert not choosing.able(Need(kind="Task", act="create"), found)
    found.able |= {("Task", "create")}
    assert choosing.able(Need(kind="Task", act="create"), found)


def test_a_billing_call_that_cannot_be_tried_is_taken_at_its_word() -> None:
    body = {"rest": [{"resource": [{"type": "ChargeItem", "operation": [{"name": "create"}]}]}]}
    found = bench(body)
    found.tried.add("ChargeItem")
    assert choosing.able(Need(kind="ChargeItem", act="$create"), found)
    assert not choosing.able(Need(kind="ChargeItem", act="$credit"), found)


def test_nothing_tried_and_nothing_declared_leaves_the_rung_open() -> None:
    assert choosing.rung(bench()) is None
    chosen = choosing.rung(bench(WRITES))
    assert chosen is not None
    assert chosen.name == "task"


@pytest.mark.parametrize("body", [{}, {"rest": "x"}, {"rest": [7]}, {"rest": [{"resource": [{"type": 1}, None]}]}, {"software": []}])  # fmt: skip
def test_a_statement_of_any_shape_is_read_without_harm(body: dict[str, Any]) -> None:
    said = Statement(body=body)
    assert said.declares("Task", "create") in {None, False}
    assert said.operates("export") in {None, False}
    assert said.extension("x") == ""
    assert said.includes() is None
    assert isinstance(said.software, str)


def test_every_probe_is_marked_and_stands_as_an_error() -> None:
    for kind in KEYS:
        made = probe(kind, "one", "Patient/zztest", NOW)
        assert made is not None
        assert is_ours(made)
        assert made["status"] == "entered-in-error"
        assert "conformance-probe" in {tag["code"] for tag in made["meta"]["tag"]}
    assert probe("Claim", "one", "", NOW) is None, "a claim belongs to somebody"
    assert probe("Provenance", "one", "", NOW) is None, "there is no harmless one"
    assert not is_ours({"identifier": [{"system": "http://elsewhere", "value": "one"}]})


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("http://ehr.example/fhir/Task/1/_history/2", "Task/1"),
        ("Task/1", "Task/1"),
        ("http://ehr.example/fhir/Patient/1", ""),
        ("", ""),
        ("Task/", ""),
        ("Task/../Patient/1", ""),
    ],
)
def test_where_a_thing_was_put_is_believed_only_for_its_own_kind(said: str, place: str) -> None:
    assert Answer(status=201, headers={"location": said}).place("Task") == place


def test_what_is_said_of_a_refusal_quotes_no_chart() -> None:
    issue = {
        "severity": "error",
        "code": "forbidden",
        "diagnostics": "Ada Zztest may not",
        "details": {"text": "Zztest"},
    }
    said = Answer(
        status=403, body={"resourceType": "OperationOutcome", "issue": [issue, {"code": "Ada Zztest"}]}
    ).refusal()
    assert said.found is Found.FORBIDDEN
    assert said.say == "it answers 403 (forbidden)"


@pytest.mark.parametrize(
    ("found", "usable"),
    [
        ({}, True),
        ({"read-patient": Found.FORBIDDEN}, False),
        ({"read-coverage": Found.MISSING}, False),
        ({"read-condition": Found.FORBIDDEN}, False),
        ({"read-coverage": Found.NOT_TRIED}, True),
        ({"read-procedure": Found.FORBIDDEN}, True),
        ({"read-procedure": Found.FORBIDDEN, "read-charge-item": Found.MISSING}, False),
        ({"read-location": Found.FORBIDDEN}, True),
    ],
)
def test_an_ehr_is_usable_when_all_can_be_read_that_a_bill_needs(found: dict[str, Found], usable: bool) -> None:
    keys = ("search-visit", "read-visit", "read-patient", "read-coverage", "read-condition", "read-procedure", "read-charge-item")  # fmt: skip
    rows = [Interaction(key=key, group="reading", what=key, found=found.get(key, Found.WORKS)) for key in {*keys, *found}]  # fmt: skip
    run = Conformance(url="http://ehr.example/fhir", at=NOW, interactions=tuple(rows), triggers=("poll",))
    assert run.is_usable() is usable
    assert bool(run.lacking()) is not usable


def test_an_ehr_where_no_visit_is_charted_is_usable_as_far_as_can_be_seen() -> None:
    rows = (
        Interaction(key="search-visit", group="reading", what="Finished visits", found=Found.WORKS),
        Interaction(key="read-visit", group="reading", what="One visit"),
    )
    run = Conformance(
        url="http://ehr.example/fhir", at=datetime(2026, 1, 1, tzinfo=UTC), interactions=rows, triggers=("poll",)
    )
    assert run.is_empty()
    assert run.is_usable()
    assert choosing.gathering(rows) == "", "the first visit will show"
