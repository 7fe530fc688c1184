"""What is still open for one visit is an Account: what the payers and what the patient owe, as the ledger sums it.

Spec: FHIR R4 Account; R4 has no element for a balance, so it is an extension of ours: whose turn, and how much.
"""

from __future__ import annotations

from typing import Final

from fhir_billing.domain.money import Money
from fhir_billing.fhir.ours import BASE, Resource, identifier, meta, usd

BALANCE: Final = f"{BASE}StructureDefinition/account-balance"


def account(
    *, number: str, patient: str, encounter: str, served: str, payer_owes: Money, patient_owes: Money, is_open: bool
) -> Resource:
    """The Account of one visit. `served` is an ISO date, or empty."""
    return {
        "resourceType": "Account",
        "meta": meta(),
        "extension": [_balance("payer", payer_owes), _balance("patient", patient_owes)],
        "identifier": identifier(number),
        "status": "active" if is_open else "inactive",
        "subject": [{"reference": patient}, {"reference": encounter}] if patient else [{"reference": encounter}],
        **({"servicePeriod": {"start": served, "end": served}} if served else {}),
    }


def _balance(who: str, amount: Money) -> Resource:
    return {
        "url": BALANCE,
        "extension": [{"url": "of", "valueCode": who}, {"url": "amount", "valueMoney": usd(amount)}],
    }
