"""What holds a visit is told to the chart's software in the chart's own words: an OperationOutcome, the worst first.

Spec: FHIR R4 OperationOutcome; `details.coding.code` is the finding's key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_billing.domain.finding import Finding, Severity
from fhir_billing.fhir.ours import BASE

Resource = dict[str, Any]

_SEVERITY = {Severity.BLOCKING: "error", Severity.WARNING: "warning", Severity.NOTE: "information"}


def operation_outcome(findings: Iterable[Finding], *, encounter: str) -> Resource:
    """One OperationOutcome for a visit."""
    return {
        "resourceType": "OperationOutcome",
        "extension": [{"url": f"{BASE}StructureDefinition/encounter", "valueReference": {"reference": encounter}}],
        "issue": [_issue(finding) for finding in findings],
    }


def _issue(finding: Finding) -> Resource:
    say = f"{finding.say.rstrip('.')}; {finding.fix}" if finding.fix else finding.say
    issue: Resource = {
        "severity": _SEVERITY[finding.severity],
        "code": "required" if finding.key.endswith(("-missing", "no-diagnosis")) else "business-rule",
        "details": {"coding": [{"system": f"{BASE}CodeSystem/finding", "code": finding.key}], "text": finding.say},
        "diagnostics": f"{say} [{finding.fix_by.value}]" + (f" ({finding.resource})" if finding.resource else ""),
    }
    if finding.at:
        issue["expression"] = [finding.at]
    return issue
