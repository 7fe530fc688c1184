"""A rule is the same for all; how much it matters is the site's to say, and the payer's to say last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fhir_billing import edits
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim, a_line, a_payer, a_person, an_address
from fhir_billing.domain.finding import Context, Finding, Owner, Severity
from fhir_billing.domain.payer import PayerProfile

Settings = Mapping[str, Mapping[str, object]]
LATE = a_claim(served="2024-01-10")
NO_ZIP = a_person(address=an_address(zip=""))


def findings(claim: Claim, *, site: Settings | None = None, payer: PayerProfile | None = None) -> list[Finding]:
    context = Context(today=date(2026, 2, 1), payer=payer or a_payer())
    return edits.scrub(claim, edits.settled(context, site or {}))


def test_a_site_may_silence_a_rule_and_lower_it() -> None:
    assert [(f.key, f.severity) for f in findings(LATE)] == [("timely-filing", Severity.BLOCKING)]
    assert findings(LATE, site={"timely-filing": {"severity": "none"}}) == []
    (lowered,) = findings(LATE, site={"timely-filing": {"severity": "warning"}})
    assert lowered.severity is Severity.WARNING


def test_a_site_may_hold_on_what_is_only_a_warning() -> None:
    odd = a_claim(lines=(a_line("2026-01-09"),))
    assert [f.severity for f in findings(odd)] == [Severity.WARNING]
    assert [f.severity for f in findings(odd, site={"service-date": {"severity": "blocking"}})] == [Severity.BLOCKING]


def test_the_payer_has_the_last_word() -> None:
    payer = a_payer(edits={"timely-filing": {"severity": "blocking"}})
    assert [f.severity for f in findings(LATE, site={"timely-filing": {"severity": "none"}}, payer=payer)] == [
        Severity.BLOCKING
    ]


def test_settings_of_one_rule_do_not_reach_another() -> None:
    head = a_claim(lines=(a_line(procedure="70551"),))
    assert findings(head, site={"zero-charge": {"procedures": ["70551"]}}) == []
    payer = a_payer(edits={"prior-auth-missing": {"procedures": ["70551"]}})
    assert [f.key for f in findings(head, payer=payer)] == ["prior-auth-missing"]


def test_a_missing_diagnosis_is_told_before_all_others() -> None:
    keys = [f.key for f in findings(a_claim(diagnoses=(), patient=NO_ZIP, served="2024-01-10"))]
    assert keys[0] == "no-diagnosis"
    assert set(keys) == {"no-diagnosis", "zip-missing", "timely-filing"}


def test_a_clinician_is_asked_for_the_diagnosis_and_registration_for_the_zip_code() -> None:
    owners = {f.key: (f.fix_by, f.resource, f.at) for f in findings(a_claim(diagnoses=(), patient=NO_ZIP))}
    assert owners["no-diagnosis"][0] is Owner.CLINICIAN
    assert owners["zip-missing"] == (Owner.REGISTRATION, NO_ZIP.ref, "Patient.address.postalCode")


def test_a_setting_for_a_rule_that_is_not_there_is_told() -> None:
    (wrong,) = edits.unknown_settings({"timely-fileing": {"severity": "none"}})
    assert wrong.startswith("edits.timely-fileing: no such edit")
    (wrong,) = edits.unknown_settings({"timely-filing": {"severity": "soft"}})
    assert "write one of none, warning, blocking" in wrong


def test_there_are_at_least_sixteen_rules_each_with_a_key_of_its_own() -> None:
    keys = [rule.key for rule in edits.all_edits()]
    assert len(keys) == len(set(keys)) >= 16
