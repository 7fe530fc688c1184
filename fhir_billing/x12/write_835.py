"""A payer explains its payment claim by claim; ours writes only what balances.

The simulator's side of an 835. Reversals keep the original groups and reasons with amounts negated, and a denial
is never written as CLP02 4 unless the remittance says so.
Spec: 005010X221A1 loops 1000A to 2110 and PLB. Bank accounts (BPR06 to BPR15) are not ours to make up: left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby

from fhir_billing.domain.claim import Address
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, Remittance
from fhir_billing.x12.elements import clean, d8, money, number
from fhir_billing.x12.partners import Controls, Receiver, Sender, around, phone
from fhir_billing.x12.pieces import address, adjustments, comp, seg
from fhir_billing.x12.seal import seal

VERSION = "005010X221A1"


def write(
    remittances: Sequence[Remittance], *, sender: Sender, receiver: Receiver, controls: Controls, at: datetime,
    payer_address: Address | None = None, test: bool = False,
) -> bytes:  # fmt: skip
    """One interchange with a transaction set for each remittance. What does not balance is written as it is."""
    sets = []
    for count, remittance in enumerate(remittances):
        control = f"{controls.set_start + count:04d}"
        sets.append((control, list(_set(remittance, control, sender, at, payer_address))))
    return seal(around(sender, receiver, controls, at, functional="HP", version=VERSION, test=test), sets)


def _set(one: Remittance, control: str, sender: Sender, at: datetime, payer_address: Address | None) -> Iterator[str]:
    paid_on = one.paid_on or at.date()
    yield seg("ST", "835", control)
    form = "CCP" if one.method == "ACH" else ""
    yield seg("BPR", one.handling, money(one.paid), "C", one.method, form, *[""] * 10, d8(paid_on))
    yield seg("TRN", "1", clean(one.trace, 50), clean(one.payer_id))
    yield seg("DTM", "405", d8(at))
    yield seg("N1", "PR", clean(one.payer_name, 60))
    if payer_address is not None:
        yield from address(payer_address)
    contact = ("TE", phone(sender.contact_phone)) if sender.contact_phone else ()
    yield seg("PER", "BL", clean(sender.contact_name or sender.name, 60), *contact)
    yield seg("N1", "PE", clean(one.payee_name, 60), *(("XX", one.payee_npi) if one.payee_npi else ()))
    if one.claims:
        yield seg("LX", "1")
    for payment in one.claims:
        yield from _claim(payment)
    yield from _taken(one, paid_on)


def _claim(one: ClaimPayment) -> Iterator[str]:
    share = money(one.patient_share) if one.patient_share else ""
    yield seg(
        "CLP", clean(one.claim, 38), one.status, money(one.charge), money(one.paid), share, one.filing_indicator, clean(one.icn, 50),
        one.facility, one.frequency,
    )  # fmt: skip
    yield from adjustments(one.adjustments)
    member = ("MI", clean(one.member_id)) if one.member_id else ()
    yield seg("NM1", "QC", "1", clean(one.patient_family, 60), clean(one.patient_given, 35), "", "", "", *member)
    if one.next_payer:
        yield seg("NM1", "TT", "2", clean(one.next_payer, 60))
    if one.other_payer:
        yield seg("NM1", "PR", "2", clean(one.other_payer, 60))
    for start in range(0, len(one.remarks), 5):
        yield seg("MOA", "", "", *one.remarks[start : start + 5])
    yield from _date("232", one.served_from)
    yield from _date("233", one.served_to)
    yield from _date("050", one.received_on)
    if one.interest:
        yield seg("AMT", "I", money(one.interest))
    for line in one.lines:
        yield from _line(line)


def _line(one: LinePayment) -> Iterator[str]:
    if one.revenue_code and one.procedure == one.revenue_code:
        code, revenue = comp("NU", one.revenue_code), ""
    else:
        code, revenue = comp("HC", one.procedure, *one.modifiers), one.revenue_code
    billed = comp("HC", one.billed_procedure) if one.billed_procedure else ""
    yield seg("SVC", code, money(one.charge), money(one.paid), revenue, number(one.units), billed)
    yield from _date("472", one.served_on)
    yield from adjustments(one.adjustments)
    if one.control:
        yield seg("REF", "6R", clean(one.control, 50))
    if one.allowed is not None:
        yield seg("AMT", "B6", money(one.allowed))
    for remark in one.remarks:
        yield seg("LQ", "HE", remark)


def _date(kind: str, when: date | None) -> Iterator[str]:
    if when is not None:
        yield seg("DTM", kind, d8(when))


def _taken(one: Remittance, paid_on: date) -> Iterator[str]:
    """PLB02 is the last day of the provider's fiscal year, which we take to be the calendar's."""
    year_end = d8(date(paid_on.year, 12, 31))
    for provider, members in groupby(one.provider_adjustments, lambda taken: taken.provider):
        mine = list(members)
        for start in range(0, len(mine), 6):
            pairs: list[str] = []
            for taken in mine[start : start + 6]:
                pairs += [comp(taken.reason, clean(taken.reference, 50)), money(taken.amount)]
            yield seg("PLB", provider or one.payee_npi, year_end, *pairs)
