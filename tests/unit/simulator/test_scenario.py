from __future__ import annotations

from typing import Any

import pytest

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.simulator import Scenario, read_scenario
from fhir_billing.simulator.parameters import share, span
from tests.unit.simulator.bills import scenario, visit


def chosen(how: Scenario, given: str = "Ada", attempt: int = 1, **more: Any) -> str:
    return how.rule(visit(given, **more), attempt).name


def test_the_first_rule_that_fits_decides_and_what_none_fits_is_paid() -> None:
    how = scenario(
        {"when": {"patient": "Cy"}, "does": "denies-all"}, {"when": {"patient": ["Cy", "Gus"]}, "does": "silent"}
    )
    assert [chosen(how, name) for name in ("Cy", "Gus", "Ada")] == ["denies-all", "silent", "pays"]


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"payer": "EXC01"}, True),
        ({"payer": "EXC02"}, False),
        ({"patient": "Ada"}, True),
        ({"patient": "ada zztest"}, True),
        ({"family": "Zztest"}, True),
        ({"given": "Zztest"}, False),
        ({"member": "ZZTADA"}, True),
        ({"procedure": "99213"}, True),
        ({"procedure": ["70551", "99214"]}, False),
        ({"diagnosis": "J069"}, True),
        ({"charge": "125.00"}, True),
        ({"charge": "> 125"}, False),
        ({"charge": "< 1000"}, True),
        ({"claim": "C-A"}, True),
        ({"claim": "C-B"}, False),
        ({"attempt": "1"}, True),
        ({"attempt": "2"}, False),
        ({"kind": "837I"}, False),
        ({"rank": "P"}, True),
        ({"frequency": "7"}, False),
        ({"patient": "Ada", "payer": "EXC02"}, False),
    ],
)
def test_a_rule_asks_for_facts_of_the_claim(when: dict[str, Any], fits: bool) -> None:
    assert (chosen(scenario({"when": when, "does": "silent"})) == "silent") is fits


def test_a_name_is_found_however_the_bill_spells_it() -> None:
    how = scenario({"when": {"patient": "Zoë"}, "does": "silent"})
    assert chosen(how, "ZOE") == "silent"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"rulez": []}, "file.rulez"),
        ({"rules": [{"does": "explodes"}]}, "file.rules[1].does"),
        ({"rules": [{"does": "pays"}, {"does": "pays", "with": {"copey": "1"}}]}, "file.rules[2].with.copey"),
        ({"rules": [{"when": {"pateint": "Bo"}}]}, "file.rules[1].when.pateint"),
        ({"rules": [{"does": "pays", "with": {"copay": "1.234"}}]}, "file.rules[1].with.copay"),
        ({"rules": [{"does": "pays", "with": {"coinsurance": "120%"}}]}, "file.rules[1].with.coinsurance"),
        ({"rules": [{"does": "pays", "with": {"allowed": {"99213": "lots"}}}]}, "file.rules[1].with.allowed.99213"),
        ({"rules": [{"does": "denies-all", "with": {"reason": "197"}}]}, "file.rules[1].with.reason"),
        ({"rules": [{"does": "rejects-277ca", "with": {"code": "A7562"}}]}, "file.rules[1].with.code"),
        ({"rules": [{"when": {"charge": "much"}}]}, "file.rules[1].when.charge"),
        ({"rules": "none"}, "file.rules"),
        ({"delays": {"decided": "soon"}}, "file.delays.decided"),
        ({"payers": {"EXC01": {"number": "12"}}}, "file.payers.EXC01.number"),
    ],
)
def test_a_scenario_that_is_wrong_is_refused_with_its_place(content: dict[str, Any], place: str) -> None:
    with pytest.raises(MappingInvalid, match=place.replace("[", r"\[").replace("]", r"\]").replace(".", r"\.")):
        read_scenario(content)


def test_terms_of_a_payer_are_laid_over_everybodys() -> None:
    how = scenario(terms={"EXC01": {"copay": "20.00"}, "*": {"allowed": {"*": "50%"}, "coinsurance": "10%"}})
    assert (how.terms_of("EXC01").copay, how.terms_of("EXC01").coinsurance) == (2000, 1000)
    assert how.terms_of("EXC09").copay == 0


def test_spans_and_shares_are_read_or_refused() -> None:
    assert span("2 weeks") is not None and span("14 days") == span("2 weeks")
    assert [span("-1 days"), span("1.5 hours"), share("101"), share("1.234%")] == [None] * 4
