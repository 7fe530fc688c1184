"""An error at the edge is an OperationOutcome with a fitting status; it never holds patient data."""

from __future__ import annotations

from typing import Any

from fhir_billing.domain.errors import BillingError, NotAllowed, NotAMove, NotNow, NotThere, SignInNeeded, TheirContract

_STATUS: tuple[tuple[type[BillingError], int], ...] = (
    (SignInNeeded, 401),
    (NotAllowed, 403),
    (NotThere, 404),
    (NotAMove, 409),
    (TheirContract, 422),
    (NotNow, 503),
)


def outcome(error: BillingError) -> tuple[int, dict[str, Any]]:
    """Status and OperationOutcome of an error."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    issue = {
        "severity": "error",
        "code": error.issue_type,
        "details": {"coding": [{"system": "https://fhir-billing.example/fhir/CodeSystem/error", "code": error.code}]},
        "diagnostics": str(error),
    }
    return status, {"resourceType": "OperationOutcome", "issue": [issue]}
