"""A service line says what was done, when, how often, for which diagnosis, and what others have paid for it.

Spec: loops 2400 to 2430 of 005010X222A1 and 005010X223A2. REF*6R carries our line number, which the 835 gives back.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind, ServiceLine
from fhir_billing.x12.elements import clean, d8, money, number, rd8
from fhir_billing.x12.pieces import adjustments, comp, seg


def segments(claim: Claim) -> Iterator[str]:
    """Each line's loop, numbered from 1 in its order."""
    professional = claim.kind is ClaimKind.PROFESSIONAL
    for count, line in enumerate(claim.lines, 1):
        yield seg("LX", str(count))
        yield _sv1(line) if professional else _sv2(line)
        yield from _date(line)
        if line.authorization and professional:
            yield seg("REF", "G1", clean(line.authorization))
        yield seg("REF", "6R", str(line.number))
        if clean(line.note):
            yield seg("NTE", "ADD" if professional else "TPO", clean(line.note, 80))
        if line.drug is not None:
            yield seg("LIN", "", "N4", line.drug.ndc)
            yield seg("CTP", "", "", "", number(line.drug.quantity), line.drug.unit)
        yield from _decided(claim, line)


def _sv1(line: ServiceLine) -> str:
    return seg(
        "SV1", comp("HC", line.procedure, *line.modifiers[:4]), money(line.charge), line.unit, number(line.units), line.place,
        "", comp(*(str(one) for one in line.pointers)),
    )  # fmt: skip


def _sv2(line: ServiceLine) -> str:
    procedure = comp("HC", line.procedure, *line.modifiers[:4]) if line.procedure else ""
    return seg("SV2", line.revenue_code, procedure, money(line.charge), line.unit, number(line.units))


def _date(line: ServiceLine) -> Iterator[str]:
    if line.served_from is None:
        return
    if line.served_to is None or line.served_to == line.served_from:
        yield seg("DTP", "472", "D8", d8(line.served_from))
    else:
        yield seg("DTP", "472", "RD8", rd8(line.served_from, line.served_to))


def _decided(claim: Claim, line: ServiceLine) -> Iterator[str]:
    """2430: what each earlier payer said of this line."""
    for insurance in claim.insurance[1:]:
        for prior in insurance.prior:
            if prior.line != line.number:
                continue
            code = prior.procedure or line.procedure
            procedure = comp("HC", code, *(line.modifiers[:4] if code == line.procedure else ())) if code else ""
            revenue = line.revenue_code if claim.kind is ClaimKind.INSTITUTIONAL else ""
            yield seg("SVD", clean(insurance.payer.id), money(prior.paid), procedure, revenue, number(prior.units))
            yield from adjustments(prior.adjustments)
            if prior.paid_on is not None:
                yield seg("DTP", "573", "D8", d8(prior.paid_on))
