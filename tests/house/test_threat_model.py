"""A threat that is written down names the test that guards it, and that test exists."""

from __future__ import annotations

import ast
import re

from tests.house.source import ROOT

MODEL = ROOT / "docs" / "threat-model.md"
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
ROW = re.compile(r"^\| ([STRIDE]) \|(.*)\|$", re.MULTILINE)
FLOWS = (
    "EHR launch",
    "Token exchange",
    "Frame and page",
    "CDS call",
    "Chart read and write",
    "Answers",
    "Sessions at rest",
    "Live events",
    "Payer files",
    "HL7 v2 messages",
    "Our FHIR API",
    "Tenants",
)


def test_every_test_that_the_threat_model_names_exists() -> None:
    missing = []
    for file, name in NAMED.findall(MODEL.read_text(encoding="utf-8")):
        path = ROOT / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_threat_names_its_test_or_says_who_bears_it() -> None:
    rows = ROW.findall(MODEL.read_text(encoding="utf-8"))
    assert len(rows) >= 6 * len(FLOWS)
    assert [cells for _, cells in rows if not NAMED.search(cells) and "Borne by" not in cells] == []


def test_every_flow_is_looked_at_with_all_six_letters() -> None:
    text = MODEL.read_text(encoding="utf-8")
    parts = {flow: text.partition(f"\n## {flow}")[2].partition("\n## ")[0] for flow in FLOWS}
    letters = {flow: {letter for letter, _ in ROW.findall(part)} for flow, part in parts.items()}
    assert {flow: found for flow, found in letters.items() if found != set("STRIDE")} == {}
