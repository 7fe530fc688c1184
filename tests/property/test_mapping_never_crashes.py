"""Whatever a chart says in whatever shape, a visit is drafted, held or refused with its place; the engine never falls over."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.cycle.draft import drafted
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.mapping.chart import gathered
from tests.unit.mapping.visits import CPT, charge, chart, coded, condition, procedure, site

BASE = chart(procedure(1), condition(2, "55822004"), charge(1, coded(CPT, "87880"), "30.00", quantity={"value": 2}))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["reference", "code", "value", "coding", "start"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
ODD = st.sampled_from(
    ["", " ", "0000-00-00", "9999-12-31T23:59:60Z", "2026-13-01", "urn:uuid:", "#", "?", "Patient/", "/", "Patient?identifier=|", "\x00", "٣",
     Decimal("1e999999"), Decimal("-0"), -1, 0, 10**40, {"reference": "#x"}, [], {}, [None]]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [p for key, inner in value.items() for p in places(inner, (*path, key))]
    if isinstance(value, list):
        return found + [p for i, inner in enumerate(value) for p in places(inner, (*path, i))]
    return found


PLACES = places(BASE)


def put(resources: Any, path: tuple[Any, ...], value: Any) -> None:
    holder = resources
    try:
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = copy.deepcopy(value)
    except (KeyError, IndexError, TypeError):
        return  # an earlier change has taken this place away


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING | ODD), min_size=1, max_size=4),
    st.sampled_from(["synthea", "demo"]),
)
def test_a_spoiled_chart_is_drafted_held_or_refused(changes: list[tuple[tuple[Any, ...], Any]], name: str) -> None:
    resources = copy.deepcopy(BASE)
    for path, value in changes:
        put(resources, path, value)
    found = gathered(resources, file="chart.json")
    for encounter in found.finished():
        visit = drafted(found, encounter, site(name))
        assert visit.outcome in {"claims", "self-pay", "not billable"}
        if visit.outcome == "claims" and not visit.claims:
            assert any(finding.is_blocking for finding in visit.findings)
        for claim in visit.claims:
            assert read_claim(loads(dumps(claim.resource))) == claim.claim
            assert sum(line.charge for line in claim.claim.lines) == claim.claim.charge
    for complaint in found.complaints:
        assert complaint.say
        assert complaint.fix
