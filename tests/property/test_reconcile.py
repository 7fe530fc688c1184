"""Whatever two sides hold: the comparison tells exactly what differs, once, in any order; and rows explain a change of a bill."""

from __future__ import annotations

import copy
import random
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing import mapping_files
from fhir_billing.cycle.diff import differences
from fhir_billing.cycle.draft import draft_and_scrub
from fhir_billing.cycle.ports import Known, Sighting
from fhir_billing.cycle.reconcile import compare
from fhir_billing.settings import mappings_root
from tests.e2e import charts

NAMES = st.sampled_from([f"Encounter/{n}" for n in range(12)])
STATUS = st.sampled_from(["finished", "in-progress", "entered-in-error", "cancelled"])
OUTCOME = st.sampled_from(["billed", "held", "self-pay", "not billable", "voided"])
VERSION = st.sampled_from(["1", "2", "3", ""])


def expected(theirs: dict[str, tuple[str, str]], ours: dict[str, tuple[str, str]]) -> set[tuple[str, str]]:
    """The same said the slow way, one rule a line."""
    found = set()
    for name in theirs.keys() | ours.keys():
        version, status = theirs.get(name, ("", "absent"))
        read, outcome = ours.get(name, ("", ""))
        if name not in ours:
            kind = "missing" if status == "finished" else ""
        elif outcome == "voided":
            kind = "changed" if status == "finished" else ""
        elif status != "finished":
            kind = "gone"
        else:
            kind = "changed" if version and read and version != read else ""
        if kind:
            found.add((name, kind))
    return found


@given(
    st.dictionaries(NAMES, st.tuples(VERSION, STATUS)),
    st.dictionaries(NAMES, st.tuples(VERSION, OUTCOME)),
    st.integers(0, 5),
)
def test_any_two_sides_differ_in_exactly_what_is_told(
    theirs: dict[str, tuple[str, str]], ours: dict[str, tuple[str, str]], seed: int
) -> None:
    sightings = [Sighting(encounter=name, version=v, status=s) for name, (v, s) in theirs.items()]
    random.Random(seed).shuffle(sightings)
    told = [
        (one.encounter, one.kind)
        for one in compare(sightings, [Known(encounter=n, version=v, outcome=o) for n, (v, o) in ours.items()])
    ]
    assert len(told) == len(set(told))
    assert set(told) == expected(theirs, ours)


def _claim() -> dict[str, Any]:
    chart = charts.finished(charts.chart("nia"))
    site = mapping_files.load("demo", mappings_root())
    drafted = draft_and_scrub(chart, site, encounter=charts.encounter_of(chart), today=date(2026, 3, 2))
    assert drafted is not None
    return drafted.claims[0].resource


CLAIM = _claim()


@given(st.data())
def test_rows_explain_every_change_of_a_line(data: st.DataObject) -> None:
    now = copy.deepcopy(CLAIM)
    wanted = set()
    for place, item in enumerate(now["item"]):
        if data.draw(st.booleans()):
            item["quantity"] = {**item.get("quantity", {}), "value": data.draw(st.integers(50, 99))}
            wanted.add((f"Claim.item[{place}].quantity.value", str(item["quantity"]["value"])))
        if data.draw(st.booleans()):
            item["modifier"] = [{"coding": [{"code": code}]} for code in data.draw(st.permutations(["X1", "X2"]))]
            wanted.add((f"Claim.item[{place}].modifier", ", ".join(m["coding"][0]["code"] for m in item["modifier"])))
    told = differences(CLAIM, now)
    assert {(row["at"], row["now"]) for row in told} == wanted
    back = differences(now, CLAIM)
    assert [(row["at"], row["now"], row["was"]) for row in back] == [(r["at"], r["was"], r["now"]) for r in told]
