"""How a decided claim reads in FHIR: each amount with its category, each reduction with its group and CARC, each remark with its RARC.

Spec: ClaimResponse.item.adjudication, ExplanationOfBenefit.item.adjudication; category from
http://terminology.hl7.org/CodeSystem/adjudication.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.money import Money
from fhir_billing.fhir.ours import Resource, usd

CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/adjudication"
CARC: Final = "https://x12.org/codes/claim-adjustment-reason-codes"
RARC: Final = "https://x12.org/codes/remittance-advice-remark-codes"
GROUP: Final = "https://x12.org/codes/claim-adjustment-group-codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedLine:
    """One line as decided; `sequence` is the claim's own line number."""

    sequence: int
    charge: Money
    paid: Money
    adjustments: tuple[Adjustment, ...] = ()
    remarks: tuple[str, ...] = ()
    """RARC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the last remittance said of a claim, reversals netted."""

    charge: Money
    paid: Money
    patient: Money
    lines: tuple[DecidedLine, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    """Claim level only."""
    icn: str = ""
    on: str = ""
    """ISO date of the payment."""
    trace: str = ""


def amounts(
    charge: Money, paid: Money, adjustments: Iterable[Adjustment], remarks: Iterable[str] = ()
) -> list[Resource]:
    """Submitted, each adjustment, paid: submitted less the adjustments is the benefit. Then the payer's remark codes."""
    rows: list[Resource] = [{"category": _category("submitted"), "amount": usd(charge)}]
    rows += [
        {
            "category": {"coding": _codings(a), "text": a.group.value},
            "reason": {"coding": [{"system": CARC, "code": a.reason}], "text": f"{a.group.value}-{a.reason}"},
            "amount": usd(a.amount),
        }
        for a in adjustments
    ]
    rows.append({"category": _category("benefit"), "amount": usd(paid)})
    return [*rows, *(_remark(code) for code in remarks)]


def _category(code: str) -> Resource:
    return {"coding": [{"system": CATEGORY, "code": code}]}


def _remark(code: str) -> Resource:
    """A remark has no amount of its own: it explains, and its code is the reason."""
    return {"category": {"text": "remark"}, "reason": {"coding": [{"system": RARC, "code": code}], "text": code}}


_SHARES = {"1": "deductible", "3": "copay"}
"""What FHIR's own categories have a word for; the rest is told by its group (CO, PR, OA, PI, CR) and its reason alone."""


def _codings(adjustment: Adjustment) -> list[Resource]:
    share = _SHARES.get(adjustment.reason, "") if adjustment.group.value == "PR" else ""
    own = [{"system": CATEGORY, "code": share}] if share else []
    return [*own, {"system": GROUP, "code": adjustment.group.value}]


def totals(decision: Decision) -> list[Resource]:
    """What the whole claim comes to."""
    return [
        {"category": _category("submitted"), "amount": usd(decision.charge)},
        {"category": _category("benefit"), "amount": usd(decision.paid)},
        {
            "category": {"coding": [{"system": GROUP, "code": "PR"}], "text": "Patient's share"},
            "amount": usd(decision.patient),
        },
    ]


def items(lines: Sequence[DecidedLine]) -> list[Resource]:
    """ClaimResponse.item of each line."""
    return [
        {"itemSequence": line.sequence, "adjudication": amounts(line.charge, line.paid, line.adjustments, line.remarks)}
        for line in lines
    ]
