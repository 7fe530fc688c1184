"""For each element of a claim it can be said which line of which mapping made it, and from which version of which resource."""

from __future__ import annotations

from tests.unit.mapping.visits import ROOT, chart, draft, procedure


def test_every_leaf_of_the_claim_has_an_origin() -> None:
    claim = draft(chart(procedure(1)), trace=True).claims[0]
    origins = {origin.at: origin for origin in claim.trace}
    for path in leaves(claim.resource, "Claim"):
        assert any(path == at or path.startswith((f"{at}.", f"{at}[")) for at in origins), path


def leaves(value: object, at: str) -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() if key != "extension" for leaf in leaves(inner, f"{at}.{key}")]
    if isinstance(value, list):
        return [leaf for i, inner in enumerate(value) for leaf in leaves(inner, f"{at}[{i}]")]
    return [at]


def test_an_origin_names_the_line_of_the_mapping_and_the_version_of_the_resource() -> None:
    claim = draft(chart(procedure(1)), trace=True).claims[0]
    origins = {origin.at: origin for origin in claim.trace}
    assert origins["Claim.billablePeriod"].resources == ("Encounter/e/_history/7",)
    assert origins["Claim.item[1].productOrService.coding"].resources == ("Procedure/pr1",)
    assert origins["Claim.diagnosis[0].diagnosisCodeableConcept.coding"].resources == ("Condition/c",)
    file, _, line = origins["Claim.billablePeriod"].mapping.partition(":")
    text = (ROOT / "mappings" / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert text.strip().startswith("billablePeriod:")


def test_nobody_pays_for_a_trace_that_nobody_asked_for() -> None:
    assert draft(chart()).claims[0].trace == ()
    assert draft(chart(), trace=True).claims[0].resource == draft(chart()).claims[0].resource
