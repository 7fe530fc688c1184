"""When someone else may have to pay, the payer wants to know what happened, when, and for a car, in which state.

Spec: CLM11 (AA auto with the state, EM employment, OA other) and DTP*439; Claim.accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhir_billing.domain.claim import Accident, Claim
from fhir_billing.domain.codes import icd10
from fhir_billing.domain.examples import a_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes, warning

CAUSES = {"AA", "EM", "OA"}


@edit("accident-needs-date", fix_by=Owner.REGISTRATION)
def accident_needs_date(claim: Claim, context: Context) -> Iterator[Finding]:
    """An accident has a known cause, a day not after the visit, and for a car its state; a car's trace needs an accident."""
    accident = claim.accident
    if accident is None:
        first = next((d for d in claim.diagnoses if icd10(d.code)[:2] in ("V4", "V5")), None)
        if first is not None:
            yield warning(
                "A diagnosis tells of a car accident; the claim does not say when it happened.",
                at="Claim.accident",
                fix="Ask for day and state: another insurance may come first.",
                resource=first.ref,
            )
        return
    if accident.cause not in CAUSES:
        say, at = f"The accident's cause {accident.cause or '(none)'} is not AA, EM or OA.", "Claim.accident.type"
    elif claim.served_from and accident.on > claim.served_from:
        say, at = f"The accident of {accident.on} is later than the visit.", "Claim.accident.date"
    elif accident.cause == "AA" and not accident.state:
        say, at = "A car accident needs the state where it happened.", "Claim.accident.locationAddress.state"
    else:
        return
    yield blocking(say, at=at, fix="Ask the patient, and enter it.", resource=claim.encounter)


def _after(cause: str, on: date, state: str = "") -> Claim:
    return a_claim(accident=Accident(cause=cause, on=on, state=state))


EXAMPLES = [
    passes(a_claim()),
    passes(_after("AA", date(2026, 1, 9), "MA")),
    passes(_after("EM", date(2026, 1, 10))),
    blocks(_after("AA", date(2026, 1, 9))),
    blocks(_after("OA", date(2026, 1, 11))),
    blocks(_after("", date(2026, 1, 9))),
]
