"""The tables of the guides, held against a stranger's maps and against the page that is printed from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pyx12

from fhir_billing.x12.envelope import read
from fhir_billing.x12.guides import g835, g837i, g837p
from fhir_billing.x12.guides.loops import Guide, walk
from fhir_billing.x12.guides.page import page
from tests.unit.x12.samples import a_secondary, sent

ROOT = Path(__file__).resolve().parents[3]
MAPS = {"837P": "837.5010.X222.A1.xml", "837I": "837Q3.I.5010.X223.A1.xml", "835": "835.5010.X221.A1.xml"}


@pytest.mark.parametrize("guide", [g837p.GUIDE, g837i.GUIDE, g835.GUIDE], ids=lambda one: one.kind)
def test_our_loops_are_the_ones_that_pyx12_knows(guide: Guide) -> None:
    folder = Path(pyx12.__file__).parent / "map"
    found = sorted(folder.glob(MAPS[guide.kind].replace(".xml", "*")))
    assert found
    text = "".join(one.read_text(encoding="utf-8", errors="replace") for one in found)
    known = set(re.findall(r'<loop xid="([0-9A-Z_]+)"', text))
    assert {loop.id for loop in guide.loops()} - {"HEADER"} <= known


def test_each_segment_of_a_bill_gets_its_loop() -> None:
    (one,) = read(sent(a_secondary())).sets
    loops = [step.place.id if step.place else "" for step in walk(g837p.GUIDE, one.segments, "*")]
    assert "" not in loops
    assert list(dict.fromkeys(loops)) == [
        "HEADER", "1000A", "1000B", "2000A", "2010AA", "2000B", "2010BA", "2010BB", "2300", "2310B", "2320", "2330A", "2330B",
        "2400", "2430",
    ]  # fmt: skip


def test_the_page_is_printed_from_the_tables() -> None:
    written = (ROOT / "docs" / "x12.md").read_text(encoding="utf-8")
    assert written.split("-->\n\n", 1)[1] == page()
