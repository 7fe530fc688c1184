"""An edit is what its examples say: each passes or is held as written, and a clean claim has no finding at all."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import date

import pytest

from fhir_billing import edits
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_hospital_claim, a_payer
from fhir_billing.domain.finding import Context, Edit, Example, Owner

FILES = sorted(entry.name for entry in pkgutil.iter_modules(edits.__path__) if not entry.name.startswith("_"))


def rule_and_examples(name: str) -> tuple[Edit, list[Example]]:
    module = importlib.import_module(f"fhir_billing.edits.{name}")
    (rule,) = [value for value in vars(module).values() if isinstance(value, Edit)]
    return rule, module.EXAMPLES


CASES = [
    pytest.param(rule, example, id=f"{name}-{number}")
    for name in FILES
    for rule, examples in [rule_and_examples(name)]
    for number, example in enumerate(examples, 1)
]


def context_of(example: Example) -> Context:
    return Context(
        today=example.today,
        payer=example.payer or a_payer(),
        earlier=example.earlier,
        icd10_valid=example.icd10_valid,
        settings=example.settings,
    )


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_the_edit_does_what_its_example_says(rule: Edit, example: Example) -> None:
    found = list(rule(example.claim, context_of(example)))
    assert any(finding.is_blocking for finding in found) is example.blocks, found


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_a_finding_says_what_where_how_and_who(rule: Edit, example: Example) -> None:
    for finding in rule(example.claim, context_of(example)):
        assert finding.key == rule.key
        assert finding.say.endswith(".") and finding.fix.endswith(".")
        assert finding.at[0].isupper() and " " not in finding.at
        assert finding.fix_by in Owner


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_after_the_key_of_its_rule(name: str) -> None:
    assert rule_and_examples(name)[0].key == name.replace("_", "-")


@pytest.mark.parametrize("claim", [a_claim(), a_hospital_claim()], ids=["office", "stay"])
def test_a_clean_claim_has_no_finding(claim: Claim) -> None:
    context = Context(today=date(2026, 2, 1), payer=a_payer())
    assert edits.scrub(claim, edits.settled(context, {})) == []
