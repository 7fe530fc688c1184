"""A claim's own loop: what is asked, when, why, by whom, and what the other payers said.

Spec: loop 2300 to 2330 of 005010X222A1 and 005010X223A2.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, ClaimKind, Diagnosis, Insurance, Party, Stay
from fhir_billing.x12.elements import clean, d8, dt, money, rd8
from fhir_billing.x12.missing import is_whole, paid_before
from fhir_billing.x12.pieces import address, adjustments, comp, name, seg, specialty, subscriber_loop

_KINDS = (("principal", "ABK"), ("admitting", "ABJ"), ("reason", "APR"), ("external", "ABN"))
_INPATIENT_PLACES = frozenset({"21", "51", "61"})


def segments(claim: Claim) -> Iterator[str]:
    """Loop 2300 without its lines."""
    professional = claim.kind is ClaimKind.PROFESSIONAL
    yield _clm(claim, professional)
    yield from _dates(claim, professional)
    if claim.stay is not None and not professional:
        stay = claim.stay
        yield seg("CL1", stay.admission_type, stay.admission_source, stay.patient_status)
    if claim.patient_paid and professional:
        yield seg("AMT", "F5", money(claim.patient_paid))
    yield from _references(claim, professional)
    if clean(claim.note):
        yield seg("NTE", "ADD", clean(claim.note, 80))
    yield from _professional_diagnoses(claim) if professional else _institutional_codes(claim)
    yield from _providers(claim, professional)
    for insurance in claim.insurance[1:]:
        yield from _other_payer(claim, insurance)


def _clm(claim: Claim, professional: bool) -> str:
    cause = ""
    if claim.accident is not None and professional:
        state = claim.accident.state if claim.accident.cause == "AA" else ""
        cause = comp(claim.accident.cause, "", "", clean(state))
    where = comp(claim.place, "B" if professional else "A", claim.frequency.value)
    signature = ("Y" if claim.signature_on_file else "N") if professional else ""
    return seg(
        "CLM", claim.id, money(claim.charge), "", "", where, signature, claim.assigned, claim.benefits_assigned,
        claim.release, "", cause,
    )  # fmt: skip


def _dates(claim: Claim, professional: bool) -> Iterator[str]:
    stay = claim.stay
    if professional:
        if claim.accident is not None:
            yield seg("DTP", "439", "D8", d8(claim.accident.on))
        if stay is not None and claim.place in _INPATIENT_PLACES:
            if stay.admitted_at is not None:
                yield seg("DTP", "435", "D8", d8(stay.admitted_at))
            if stay.discharged_at is not None:
                yield seg("DTP", "096", "D8", d8(stay.discharged_at))
        return
    if stay is not None and stay.discharged_at is not None:
        yield seg("DTP", "096", "TM", f"{stay.discharged_at.hour:02d}{stay.discharged_at.minute:02d}")
    if claim.served_from is not None and claim.served_to is not None:
        yield seg("DTP", "434", "RD8", rd8(claim.served_from, claim.served_to))
    if stay is not None and stay.admitted_at is not None:
        yield seg("DTP", "435", "DT", dt(stay.admitted_at))


def _references(claim: Claim, professional: bool) -> Iterator[str]:
    if claim.referral:
        yield seg("REF", "9F", clean(claim.referral))
    if claim.authorization:
        yield seg("REF", "G1", clean(claim.authorization))
    if claim.payer_icn:
        yield seg("REF", "F8", clean(claim.payer_icn))
    if claim.clia and professional:
        yield seg("REF", "X4", clean(claim.clia))


def _professional_diagnoses(claim: Claim) -> Iterator[str]:
    codes = [comp("ABK" if not place else "ABF", one.code) for place, one in enumerate(claim.diagnoses)]
    yield seg("HI", *codes)


def _diagnosis(qualifier: str, one: Diagnosis) -> str:
    return comp(qualifier, one.code, "", "", "", "", "", "", one.present_on_admission)


def _institutional_codes(claim: Claim) -> Iterator[str]:
    of_kind = {kind: [one for one in claim.diagnoses if one.kind == kind] for kind, _ in _KINDS}
    stay = claim.stay or Stay()
    for kind, qualifier in _KINDS:
        yield from _in_twelves(_diagnosis(qualifier, one) for one in of_kind[kind])
    if stay.drg:
        yield seg("HI", comp("DR", stay.drg))
    known = {kind for kind, _ in _KINDS}
    yield from _in_twelves(_diagnosis("ABF", one) for one in claim.diagnoses if one.kind not in known)
    procedures = [(one.code, d8(one.on)) for one in stay.procedures]
    yield from _in_twelves(comp("BBR", code, "D8", on) for code, on in procedures[:1])
    yield from _in_twelves(comp("BBQ", code, "D8", on) for code, on in procedures[1:])
    yield from _in_twelves(comp("BH", code, "D8", d8(on)) for code, on in stay.occurrences)
    yield from _in_twelves(comp("BE", code, "", "", money(amount)) for code, amount in stay.values)
    yield from _in_twelves(comp("BG", code) for code in stay.conditions)


def _in_twelves(codes: Iterator[str]) -> Iterator[str]:
    found = list(codes)
    for start in range(0, len(found), 12):
        yield seg("HI", *found[start : start + 12])


def _providers(claim: Claim, professional: bool) -> Iterator[str]:
    if professional:
        yield from _one("DN", "", claim.referring)
        yield from _one("82", "PE", _unless_billing(claim, claim.rendering))
        yield from _facility(claim)
        yield from _one("DQ", "", claim.supervising)
        return
    yield from _one("71", "AT", claim.attending)
    yield from _one("72", "", claim.operating)
    yield from _one("82", "", _unless_billing(claim, claim.rendering))
    yield from _facility(claim)
    yield from _one("DN", "", claim.referring)


def _unless_billing(claim: Claim, party: Party | None) -> Party | None:
    return None if party is not None and party.npi == claim.billing.npi else party


def _one(role: str, specialty_role: str, party: Party | None) -> Iterator[str]:
    if party is not None:
        yield name(role, party)
        if specialty_role:
            yield from specialty(specialty_role, party)


def _facility(claim: Claim) -> Iterator[str]:
    if claim.facility is not None:
        yield name("77", claim.facility)
        yield from address(claim.facility.address)


def _other_payer(claim: Claim, insurance: Insurance) -> Iterator[str]:
    yield seg(
        "SBR", insurance.rank, insurance.relationship, clean(insurance.group_number, 50),
        "" if insurance.group_number else clean(insurance.group_name, 60), insurance.insurance_type, "", "", "",
        insurance.filing_indicator,
    )  # fmt: skip
    whole = next((one for one in insurance.prior if one.line == 0), None)
    if whole is not None:
        yield from adjustments(whole.adjustments)
    if insurance.prior:
        yield seg("AMT", "D", money(paid_before(insurance)))
    if insurance.remaining is not None:
        yield seg("AMT", "EAF", money(insurance.remaining))
    yield seg("OI", "", "", claim.benefits_assigned, "", "", claim.release)
    who = claim.patient if insurance.relationship == "18" else insurance.subscriber
    yield subscriber_loop("IL", who, insurance.member_id)
    if is_whole(who.address):
        yield from address(who.address)
    yield seg("NM1", "PR", "2", clean(insurance.payer.name, 60), "", "", "", "", "PI", clean(insurance.payer.id))
    if whole is not None and whole.paid_on is not None:
        yield seg("DTP", "573", "D8", d8(whole.paid_on))
    if insurance.prior_icn:
        yield seg("REF", "F8", clean(insurance.prior_icn))
