"""The analysts' own cases, run as they are written: `mappings/**/cases/*.yaml`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_billing.cycle.draft import drafted
from fhir_billing.domain.money import show
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.chart import Chart
from tests.unit.mapping.visits import ROOT, site

CASES = sorted((ROOT / "mappings").rglob("cases/*.yaml"))


def differences(want: Any, got: Any, at: str) -> list[str]:
    """Where what was expected is not part of what came; a list must have an element for each expected one, in order."""
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return [f"{at}: wanted an object, got {got!r}"]
        return [d for key, inner in want.items() for d in differences(inner, got.get(key), f"{at}.{key}")]
    if isinstance(want, list):
        rest = list(got or [])
        missing = []
        for position, inner in enumerate(want):
            found = next((i for i, one in enumerate(rest) if not differences(inner, one, at)), None)
            if found is None:
                missing.append(f"{at}[{position}]: nothing there is like {inner!r}")
            else:
                rest = rest[found + 1 :]
        return missing
    return [] if want == got or (isinstance(want, float) and got == want) else [f"{at}: wanted {want!r}, got {got!r}"]


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.relative_to(ROOT / "mappings").as_posix())
def test_the_case_holds(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    chart = Chart()
    given = case["given"] if isinstance(case["given"], list) else [case["given"]]
    for name in given:
        for entry in loads((path.parents[1] / name).read_bytes())["entry"]:
            chart.add(entry["resource"], file=name)
    chart.index()
    (encounter,) = chart.finished()
    as_of = date.fromisoformat(case["as_of"]) if "as_of" in case else None
    visit = drafted(chart, encounter, site(case.get("site", "demo")), today=as_of)
    expect = case["expect"]
    got = {
        "outcome": visit.outcome,
        "findings": [f.key for f in visit.findings if f.is_blocking],
        "charge": show(visit.charge),
        "claim": visit.claims[0].resource if visit.claims else None,
        "claims": [claim.resource for claim in visit.claims],
    }
    assert got["findings"] == expect.get("findings", [])
    assert differences({k: v for k, v in expect.items() if k != "findings"}, plain(got), "expect") == []


def plain(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float(value) if isinstance(value, Decimal) else value


def test_there_are_cases() -> None:
    assert len(CASES) >= 4
