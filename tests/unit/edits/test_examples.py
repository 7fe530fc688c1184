"""Every claim edit passes what its file says it passes, and holds what it says it holds."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

from fhir_billing import edits
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_payer
from fhir_billing.domain.finding import Context, Edit, Example, Severity
from fhir_billing.edits import all_edits, scrub, settled, unknown_settings, weighed

MODULES = [
    importlib.import_module(f"fhir_billing.edits.{found.name}") for found in pkgutil.iter_modules(edits.__path__)
]
CASES = [
    pytest.param(rule, example, id=f"{rule.key}-{'blocks' if example.blocks else 'passes'}-{number}")
    for module in MODULES
    for rule in vars(module).values()
    if isinstance(rule, Edit)
    for number, example in enumerate(module.EXAMPLES)
]


def context_of(example: Example) -> Context:
    return Context(
        today=example.today,
        payer=example.payer or a_payer(),
        earlier=example.earlier,
        settings=example.settings,
        icd10_valid=example.icd10_valid,
    )


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_an_edit_does_what_its_examples_say(rule: Edit, example: Example) -> None:
    found = list(rule(example.claim, context_of(example)))
    assert any(finding.is_blocking for finding in found) is example.blocks, [f.say for f in found]


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_a_finding_says_what_where_how_and_who(rule: Edit, example: Example) -> None:
    for finding in rule(example.claim, context_of(example)):
        assert finding.key
        assert finding.say.endswith(".")
        assert finding.at.split(".")[0].split("[")[0] in {
            "Claim",
            "Encounter",
            "Patient",
            "Coverage",
            "Organization",
            "Condition",
            "Practitioner",
        }
        assert finding.fix
        assert finding.fix_by


def test_there_are_enough_rules_and_each_has_both_kinds_of_example() -> None:
    assert len(all_edits()) >= 25
    for module in MODULES:
        kinds = {example.blocks for example in module.EXAMPLES}
        assert kinds == {True, False}, module.__name__


@pytest.mark.parametrize("claim", [a_claim(), a_hospital_claim(place="11")])
def test_the_clean_examples_are_clean_to_every_rule(claim: Any) -> None:
    from datetime import date

    context = Context(today=date(2026, 2, 1), payer=a_payer())
    assert [f.say for f in scrub(claim, settled(context, {})) if f.is_blocking] == []


def test_a_site_quiets_a_rule_and_the_payer_has_the_last_word() -> None:
    from datetime import date

    late = a_claim(served="2024-01-10")
    site = {"timely-filing": {"severity": "none", "because": "old charts"}}
    quiet = Context(today=date(2026, 2, 1), payer=a_payer())
    assert "timely-filing" not in {f.key for f in scrub(late, settled(quiet, site))}
    strict = Context(today=date(2026, 2, 1), payer=a_payer(edits={"timely-filing": {"severity": "blocking"}}))
    assert "timely-filing" in {f.key for f in scrub(late, settled(strict, site))}


def test_a_word_that_no_rule_knows_is_named() -> None:
    wrong = unknown_settings({"timely-fillng": {}, "zero-charge": {"severity": "loud"}})
    assert len(wrong) == 2
    assert "timely-fillng" in wrong[0]
    assert "loud" in wrong[1]


def test_a_warning_stays_one_unless_the_site_sharpens_it() -> None:
    from fhir_billing.domain.finding import warning

    finding = warning("Soon.", at="Claim")
    assert weighed(finding, "").severity is Severity.WARNING
    assert weighed(finding, "blocking").severity is Severity.BLOCKING
