"""A check that only reads takes nothing from what probes found, and believes nothing of another EHR."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.ehr.check.merging import merged

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def row(key: str, group: str, found: Found, say: str = "") -> Interaction:
    return Interaction(key=key, group=group, what=key, found=found, say=say)


PROBED = Conformance(
    url="https://ehr.example/fhir", at=AT, triggers=("hook", "poll"), rung="document", gathering="batch",
    interactions=(
        row("read-visit", "reading", Found.WORKS),
        row("subscription", "finding closed visits", Found.WORKS),
        row("events", "finding closed visits", Found.WORKS),
        row("write-task", "writing back", Found.FORBIDDEN, "it answers 403"),
    ),
    facts={"probes": "yes", "rung-by": "tried", "transaction": "atomic", "etag": "number"},
)  # fmt: skip
READ = Conformance(
    url="https://ehr.example/fhir", at=AT.replace(hour=12), triggers=("poll",), rung="claim-and-response", gathering="singly",
    interactions=(
        row("read-visit", "reading", Found.NOT_TRIED, "no visit is there"),
        row("subscription", "finding closed visits", Found.NOT_TRIED, "run with --write"),
        row("events", "finding closed visits", Found.MISSING, "not declared, and no subscription to ask of"),
        row("write-task", "writing back", Found.NOT_TRIED, "run with --write"),
    ),
    facts={"probes": "no", "rung-by": "declared", "etag": "uuid"},
)  # fmt: skip


def test_reading_again_keeps_rows_rung_ring_and_facts_of_the_probes_with_their_time() -> None:
    for found in (merged(PROBED, READ), merged(merged(PROBED, READ), replace(READ, at=AT.replace(hour=15)))):
        rows = {one.key: one.found for one in found.interactions}
        assert rows == {
            "read-visit": Found.NOT_TRIED, "subscription": Found.WORKS, "events": Found.WORKS, "write-task": Found.FORBIDDEN,
        }  # fmt: skip
        assert (found.rung, found.triggers, found.gathering) == ("document", ("hook", "poll"), "singly")
        assert (found.facts["transaction"], found.facts["etag"], found.facts["rung-by"]) == ("atomic", "uuid", "tried")
        assert found.facts["kept-at"] == AT.isoformat()
        assert found.facts["kept"].split() == ["subscription", "events", "write-task"]
        assert "document" in found.facts["sentences"]


def test_another_ehr_a_first_check_and_new_probes_stand_alone() -> None:
    assert merged(None, READ) == READ
    assert merged(READ, READ) == READ
    other = replace(PROBED, url="https://other.example/fhir")
    assert merged(other, READ) == READ
    assert merged(merged(PROBED, READ), PROBED) == PROBED
