"""Bills, a payment and a sending to start from, told in the words of `domain.examples`."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from fhir_billing.domain.claim import Adjustment, Claim, Payer, PriorPayment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.examples import a_claim, an_address, an_insurance
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, ProviderAdjustment, Remittance
from fhir_billing.x12 import read_837, write_835, write_837
from fhir_billing.x12.write_837 import Controls, Receiver, Sender

AT = datetime.combine(date(2026, 2, 1), time(8, 30))
OURS = Sender(id="EXAMPLE", name="Example Family Medicine", contact_name="Billing Desk", contact_phone="555-555-0100")
THEIRS = Sender(id="EXC01", name="Example Commercial Health", contact_name="Provider Desk", contact_phone="5555550111")
TO_THEM = Receiver(id="EXC01", name="Example Commercial Health")
TO_US = Receiver(id="EXAMPLE", name="Example Family Medicine")


def sent(*claims: Claim, test: bool = False, number: int = 42, group: int = 7, first_set: int = 3) -> bytes:
    """An 837 of these claims."""
    controls = Controls(interchange=number, group=group, set_start=first_set)
    return write_837.write(claims, sender=OURS, receiver=TO_THEM, controls=controls, at=AT, test=test)


def a_secondary(**changes: Any) -> Claim:
    decided = (
        PriorPayment(
            line=1, paid=9000, paid_on=date(2026, 1, 31), procedure="99213",
            adjustments=(Adjustment(group=Group.CO, reason="45", amount=2500), Adjustment(group=Group.PR, reason="2", amount=1000)),
        ),
        PriorPayment(line=2, paid=1500, paid_on=date(2026, 1, 31), procedure="36415"),
    )  # fmt: skip
    first = an_insurance(
        rank="P", payer=Payer(id="MCRB1", name="Example Medicare"), filing_indicator="MB", prior=decided, prior_icn="ICN-1",
        remaining=1000,
    )  # fmt: skip
    return a_claim(insurance=(an_insurance(rank="S"), first), **changes)


def a_remittance() -> Remittance:
    line = LinePayment(
        procedure="99213", modifiers=("25",), charge=12500, paid=10000, control="1", served_on=date(2026, 1, 10), allowed=11000,
        adjustments=(
            Adjustment(group=Group.CO, reason="45", amount=1500), Adjustment(group=Group.PR, reason="1", amount=1000),
        ), remarks=("N130",),
    )  # fmt: skip
    payment = ClaimPayment(
        claim="C-EXAMPLE00001", status="1", charge=12500, paid=10000, patient_share=1000, filing_indicator="12", icn="ICN1",
        facility="11", frequency="1", lines=(line,), patient_family="ZZTEST", patient_given="ANA", member_id="ZZT0000001",
    )  # fmt: skip
    taken = ProviderAdjustment(reason="FB", reference="ICN0", amount=2500, provider="1234567893")
    return Remittance(
        payer_id="1999999999", payer_name="EXAMPLE COMMERCIAL HEALTH", trace="TRACE-1", paid=7500, method="CHK",
        paid_on=date(2026, 2, 1), payee_npi="1234567893", payee_name="EXAMPLE FAMILY MEDICINE", claims=(payment,),
        provider_adjustments=(taken,),
    )  # fmt: skip


def written(*remittances: Remittance, test: bool = False) -> bytes:
    controls = Controls(interchange=1, group=1)
    return write_835.write(
        remittances, sender=THEIRS, receiver=TO_US, controls=controls, at=AT, payer_address=an_address(), test=test
    )


def submission() -> read_837.Submission:
    """Two claims as the payer reads them."""
    return read_837.submissions(sent(a_claim(), a_claim(id="C-EXAMPLE00002"), number=1, group=2))[0]
