"""The one place that knows versions: EHRs speak R4, and R4B's published models check what we write.

Claim, ClaimResponse, ExplanationOfBenefit, Task, Subscription and every resource that a bill is read from have the same
elements in R4 and R4B; the models are used to judge, never to carry, and are loaded only when asked for.
Spec: FHIR R4 4.0.1; R4B 4.3.0 appendix "Changes from R4".
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from fhir_billing.fhir.text import dumps

VERSION: Final = "4.0.1"
SAME_IN_R4B: Final = frozenset(
    {
        "Account", "Bundle", "CapabilityStatement", "ChargeItem", "Claim", "ClaimResponse", "CodeSystem", "ConceptMap",
        "Condition", "Coverage", "Encounter", "ExplanationOfBenefit", "Immunization", "Location", "OperationOutcome",
        "Organization", "Parameters", "Patient", "PaymentReconciliation", "Practitioner", "PractitionerRole",
        "Procedure", "RelatedPerson", "Subscription", "Task",
    }
)  # fmt: skip


def complaints(resource: Mapping[str, Any]) -> list[str]:
    """What the models find wrong, as `element: what`; empty when all is well."""
    kind = str(resource.get("resourceType", ""))
    if kind not in SAME_IN_R4B:
        return [f"{kind or 'a resource without a type'}: not one that is read or written here"]
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    try:
        model.model_validate_json(dumps(resource))
    except ValueError as error:
        found = error.errors(include_url=False, include_input=False)  # type: ignore[attr-defined]
        return [f"{kind}{_path(e['loc'])}: {str(e['msg'])[0].lower()}{str(e['msg'])[1:]}" for e in found]
    return []


def _path(steps: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
