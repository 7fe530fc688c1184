"""Map and scrub one visit, against what fhir.resources (R4B) needs to parse the Claim that comes of it.

Equal first: the model that fhir.resources makes of our Claim, written out again, says the same as our Claim.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.timing import median
from fhir_billing import mapping_files
from fhir_billing.cli.drafting import read_charts
from fhir_billing.cycle.draft import draft_and_scrub, drafted
from fhir_billing.fhir.text import dumps
from fhir_billing.mapping.chart import Chart

ROOT = Path(__file__).resolve().parents[1]


def measure() -> list[dict[str, Any]]:
    """One row: our median over theirs, per visit."""
    from fhir.resources.R4B.claim import Claim

    site = mapping_files.load("synthea", ROOT / "mappings")
    chart = Chart()
    read_charts([ROOT / "tests" / "corpus" / "fhir"], chart)
    chart.index()
    visits = [(e, v) for e in chart.finished() if (v := drafted(chart, e, site)).claims]
    read = [(v.encounter, gathered(chart, e)) for e, v in visits]
    assert all(
        draft_and_scrub(found, site, encounter=name) == v for (name, found), (_, v) in zip(read, visits, strict=True)
    )
    texts = [dumps(claim.resource) for _, visit in visits for claim in visit.claims]
    assert not chart.complaints, chart.complaints
    for text in texts:
        theirs = json.loads(Claim.model_validate_json(text).model_dump_json(exclude_none=True))
        assert plain(theirs) == plain(json.loads(text))
    ours = median(lambda: [draft_and_scrub(found, site, encounter=name) for name, found in read])
    models = median(lambda: [Claim.model_validate_json(text) for text in texts])
    lines = sum(len(visit.claims[0].claim.lines) for _, visit in visits)
    sizes = f"{len(texts)} claims, {lines} lines, {sum(map(len, texts)) // len(texts)} bytes each; {ours / len(visits) * 1e6:.0f} µs a visit"
    return [
        {
            "name": "map + scrub one encounter",
            "ratio": ours / models,
            "against": "fhir.resources R4B parses the Claim",
            "sizes": sizes,
        }
    ]


def gathered(chart: Chart, encounter: dict[str, Any]) -> list[dict[str, Any]]:
    """The visit as the EHR gives it: the encounter, what points at it, the patient, coverages, payers, providers."""
    own = [
        r for kind in ("Condition", "Procedure", "Immunization", "ChargeItem") for r in chart.of_visit(encounter, kind)
    ]
    patient = chart.resolve(encounter["subject"], encounter)
    assert patient is not None
    coverages = chart.coverages(("Patient", patient["id"]))
    people = [p["individual"] for p in encounter.get("participant", [])]
    references = [encounter["serviceProvider"], *people, *(p for c in coverages for p in c["payor"])]
    references += [place["location"] for place in encounter.get("location", [])]
    named = [r for reference in references if (r := chart.resolve(reference, encounter))]
    return [encounter, patient, *coverages, *named, *own]


def plain(value: Any) -> Any:
    """Numbers by value and times by moment, for each side writes them in its own form."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "resourceType"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return value.replace("+00:00", "Z")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
