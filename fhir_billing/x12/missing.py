"""What an 837 cannot be written without; a bill that lacks it is returned with findings, never filled with inventions.

This is the last guard, below the claim edits: it knows the format's demands, no payer's.
Spec: 005010X222A1 and 005010X223A2, required elements of the loops that we write; domain rules 4 to 17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from fhir_billing.domain.claim import Address, Claim, ClaimKind, Frequency, Insurance, Party, Person, Stay
from fhir_billing.domain.codes import is_npi, is_tax_id, zip_digits
from fhir_billing.domain.finding import Finding, Owner, Severity
from fhir_billing.domain.money import Money, show
from fhir_billing.x12.elements import clean, number
from fhir_billing.x12.guides import widths

_CODE = re.compile(r"[A-Z0-9]{1,30}")
_CLAIM_ID = re.compile(r"[A-Z0-9-]{1,20}")
_PARTS = frozenset({Frequency.FIRST_PART, Frequency.NEXT_PART, Frequency.LAST_PART})
_PO_BOX = re.compile(r"\bP\.?\s*O\.?\s*BOX\b", re.IGNORECASE)
_PO_BOX_AT = "Claim.provider.address"


def missing(claim: Claim) -> list[Finding]:
    """All that keeps this claim from being written; empty when it can be."""
    return [
        *_codes(claim),
        *_head(claim),
        *_parties(claim),
        *_people(claim),
        *_diagnoses(claim),
        *_lines(claim),
        *_stay(claim),
        *_prior(claim),
        *_quantities(claim),
    ]


def is_whole(address: Address) -> bool:
    """Whether an address that may be left out can be written."""
    return not list(_address(address, "", "", "", Owner.BILLER))


def _lacks(key: str, say: str, at: str, fix: str, owner: Owner = Owner.BILLER, resource: str = "") -> Finding:
    return Finding(
        key=key, severity=Severity.BLOCKING, say=say, at=at, fix=fix, fix_by=owner, source="x12", resource=resource
    )  # fmt: skip


def _written(key: str, text: str, at: str, width: tuple[int, int] = widths.REFERENCE) -> Iterator[Finding]:
    """An identifier must go out letter by letter: one that X12 cannot carry is a finding, not a transliteration."""
    if not text:
        return
    carried = clean(text)
    if carried != text.strip().upper() or not carried:
        yield _lacks(key, "the identifier has characters that X12 cannot carry", at, "correct the identifier")
    elif not width[0] <= len(carried) <= width[1]:
        say = f"the identifier has {len(carried)} characters; X12 has room for {width[0]} to {width[1]}"
        yield _lacks(key, say, at, "correct the identifier")


def _named(
    key: str, text: str, at: str, what: str, width: tuple[int, int], owner: Owner, resource: str
) -> Iterator[Finding]:
    """Words go out transliterated: what is written must neither be nothing nor want more room than there is."""
    size = len(clean(text))
    if size < width[0]:
        say = f"the {what} is missing"
        if text.strip():
            say = f"the {what} has no{'t enough' if size else ''} letters that X12 can carry"
        yield _lacks(key, say, at, "write it in Latin letters" if text.strip() else "add it", owner, resource)
    elif size > width[1]:
        say = f"the {what} has {size} characters; X12 has room for {width[1]}"
        yield _lacks(key, say, at, "shorten it", owner, resource)


def _codes(claim: Claim) -> Iterator[Finding]:
    """A code is capital letters and digits; anything else would break the text or mean something else to the payer."""
    for index, one in enumerate(claim.diagnoses):
        yield from _code(one.code + one.present_on_admission, f"Claim.diagnosis[{index}]")
    for index, line in enumerate(claim.lines):
        item = f"Claim.item[{index}]"
        for code in (line.procedure, line.revenue_code, line.drug.ndc if line.drug else ""):
            yield from _code(code, item)
        for code in (*line.modifiers, line.unit, line.drug.unit if line.drug else ""):
            yield from _code(code, item, 2, 2)
        yield from _code(line.place, item, 1, 2)
        yield from _written("authorization", line.authorization, item)
    for party in (claim.billing, claim.rendering, claim.attending, claim.operating, claim.referring, claim.supervising):
        yield from _code(party.taxonomy if party else "", "Claim.careTeam")
    stay = claim.stay or Stay()
    coded = [code for code, _ in (*stay.occurrences, *stay.values)] + [one.code for one in stay.procedures]
    for code in (stay.admission_type, stay.admission_source, stay.patient_status, stay.drg, *stay.conditions, *coded):
        yield from _code(code, "Claim.supportingInfo")
    flags = (
        claim.assigned,
        claim.benefits_assigned,
        claim.release,
        claim.place,
        claim.accident.cause if claim.accident else "",
    )
    for code in flags:
        yield from _code(code, "Claim")
    for rank, insurance in enumerate(claim.insurance):
        known = (insurance.rank, insurance.relationship, insurance.filing_indicator, insurance.insurance_type)
        reasons = (adjustment.reason for prior in insurance.prior for adjustment in prior.adjustments)
        for code in (*known, *reasons, *(prior.procedure for prior in insurance.prior)):
            yield from _code(code, f"Claim.insurance[{rank}]")
        yield from _written("payer-id", insurance.payer.id, f"Claim.insurance[{rank}]", widths.MEMBER)
        yield from _written("icn", insurance.prior_icn, f"Claim.insurance[{rank}]")


def _code(code: str, at: str, least: int = 1, most: int = 30) -> Iterator[Finding]:
    if code and not (_CODE.fullmatch(code) and least <= len(code) <= most):
        yield _lacks(
            "code-unwritable", f"{code[:12]!r} is no code that X12 can carry", at, "correct the code", Owner.CODER
        )


def _head(claim: Claim) -> Iterator[Finding]:
    if not _CLAIM_ID.fullmatch(claim.id):
        yield _lacks(
            "claim-id", "the claim's number must be 1 to 20 of A-Z 0-9 -", "Claim.identifier", "number it anew"
        )
    if not claim.insurance:
        yield _lacks(
            "coverage-missing",
            "there is no insurance to bill",
            "Claim.insurance",
            "add the coverage",
            Owner.REGISTRATION,
        )
    if claim.frequency in {Frequency.REPLACEMENT, Frequency.VOID} and not claim.payer_icn:
        yield _lacks(
            "icn-missing", "a replacement or void needs the payer's number of the claim it replaces", "Claim.related",
            "take it from the 277CA or 835",
        )  # fmt: skip
    if claim.frequency in _PARTS and claim.kind is ClaimKind.PROFESSIONAL:
        yield _lacks("frequency", "only a hospital bills a stay in parts", "Claim.related", "bill the visit as a whole")
    if not claim.place:
        yield _lacks(
            "place-missing", "the place of service is not known", "Claim.item.location", "set the location's type"
        )
    yield from _written("icn", claim.payer_icn, "Claim.related")
    yield from _written("authorization", claim.authorization, "Claim.insurance.preAuthRef")
    yield from _written("referral", claim.referral, "Claim.referral")
    yield from _written("clia", claim.clia, "Claim.supportingInfo")
    if claim.accident is not None and claim.accident.cause == "AA" and claim.accident.state:
        yield from _state(claim.accident.state, "Claim.accident.location", "accident", "", Owner.BILLER)


def _address(
    address: Address, at: str, whose: str, resource: str, owner: Owner, *, nine: bool = False
) -> Iterator[Finding]:
    lines = [line for line in address.lines if line and not line.isspace() and clean(line)]
    if not (lines and address.city.strip()):
        yield _lacks(
            "address-missing", f"the {whose} has no street address", at, "complete the address", owner, resource
        )
        lines = []
    for line in lines[:2]:
        yield from _named("address-unwritable", line, f"{at}.line", f"{whose}'s street", widths.STREET, owner, resource)
    if lines:
        what = f"{whose}'s city"
        yield from _named("address-unwritable", address.city, f"{at}.city", what, widths.CITY, owner, resource)
    if lines and address.state:
        yield from _state(address.state, f"{at}.state", whose, resource, owner)
    elif lines:
        yield _lacks(
            "state-missing",
            f"the {whose}'s address has no state",
            f"{at}.state",
            "complete the address",
            owner,
            resource,
        )
    digits = zip_digits(address.zip)
    if not digits or (nine and len(digits) != 9):
        need = "nine-digit " if nine else ""
        yield _lacks(
            "zip-missing",
            f"the {whose}'s address has no {need}ZIP",
            f"{at}.postalCode",
            f"add the {need}ZIP",
            owner,
            resource,
        )


def _state(text: str, at: str, whose: str, resource: str, owner: Owner) -> Iterator[Finding]:
    if clean(text) not in widths.STATES:
        say = f"{text[:20]!r} of the {whose} is no state of two letters"
        yield _lacks("state-invalid", say, at, "write the state's two letters", owner, resource)


def _npi(party: Party, at: str, whose: str) -> Iterator[Finding]:
    if not is_npi(party.npi):
        say = f"the {whose} has no NPI" if not party.npi else f"the {whose}'s NPI fails its check digit"
        yield _lacks(
            "npi-missing" if not party.npi else "npi-invalid", say, at, "correct the NPI", Owner.SITE, party.ref
        )


def _parties(claim: Claim) -> Iterator[Finding]:
    billing = claim.billing
    if not (billing.name or billing.family):
        yield _lacks(
            "provider-name", "the billing provider has no name", "Claim.provider", "name it", Owner.SITE, billing.ref
        )
    else:
        yield from _party(billing, "Claim.provider", "billing provider", Owner.SITE)
    yield from _npi(billing, "Claim.provider", "billing provider")
    if not is_tax_id(billing.tax_id):
        yield _lacks(
            "tax-id-missing", "the billing provider has no tax id", "Claim.provider", "add it", Owner.SITE, billing.ref
        )
    yield from _address(
        billing.address, "Claim.provider.address", "billing provider", billing.ref, Owner.SITE, nine=True
    )
    if any(_PO_BOX.search(line) for line in billing.address.lines):
        yield _lacks(
            "po-box", "the billing provider's address is a P.O. box", _PO_BOX_AT, "give the street; a box is a pay-to address",
            Owner.SITE, billing.ref,
        )  # fmt: skip
    for role in ("rendering", "attending", "operating", "referring", "supervising"):
        party: Party | None = getattr(claim, role)
        if party is not None:
            if party.npi:  # who has none may be named without; who has one must have it right
                yield from _npi(party, "Claim.careTeam", f"{role} provider")
            if not party.family:
                yield _lacks(
                    "provider-name", f"the {role} provider has no name", "Claim.careTeam", "name it", resource=party.ref
                )
            else:
                yield from _party(party, "Claim.careTeam", f"{role} provider", Owner.BILLER)
    if claim.facility is not None:
        if not claim.facility.name:
            yield _lacks("provider-name", "the service facility has no name", "Claim.facility", "name it", Owner.SITE)
        else:
            yield from _party(claim.facility, "Claim.facility", "service facility", Owner.SITE)
        yield from _address(
            claim.facility.address, "Claim.facility", "service facility", claim.facility.ref, Owner.SITE, nine=True
        )
    if claim.pay_to is not None:
        yield from _address(claim.pay_to, "Claim.provider.address", "pay-to address", billing.ref, Owner.SITE)
    if claim.kind is ClaimKind.INSTITUTIONAL and claim.attending is None:
        yield _lacks(
            "attending-missing", "a hospital bill needs the attending provider", "Claim.careTeam", "name the attender"
        )


def _party(party: Party, at: str, whose: str, owner: Owner) -> Iterator[Finding]:
    text = party.family if party.is_person else party.name
    yield from _named("provider-name", text, f"{at}.name", f"{whose}'s name", widths.FAMILY, owner, party.ref)
    if party.is_person and party.given:
        yield from _named(
            "provider-name", party.given, f"{at}.name", f"{whose}'s given name", widths.GIVEN, owner, party.ref
        )


def _person(person: Person, at: str, whose: str, *, whole: bool = True) -> Iterator[Finding]:
    if not person.family:
        yield _lacks(
            f"{whose}-name", f"the {whose} has no family name", f"{at}.name", "add it", Owner.REGISTRATION, person.ref
        )
    else:
        names = [("family name", person.family, widths.FAMILY)]
        names += [("given name", person.given, widths.GIVEN)] if person.given else []
        for which, text, width in names:
            what = f"{whose}'s {which}"
            yield from _named(f"{whose}-name", text, f"{at}.name", what, width, Owner.REGISTRATION, person.ref)
    if whole:
        if person.birth_date is None:
            yield _lacks(
                "birth-date-missing",
                f"the {whose} has no birth date",
                f"{at}.birthDate",
                "add it",
                Owner.REGISTRATION,
                person.ref,
            )
        yield from _address(person.address, f"{at}.address", whose, person.ref, Owner.REGISTRATION)


def _people(claim: Claim) -> Iterator[Finding]:
    yield from _person(claim.patient, "Patient", "patient")
    for rank, insurance in enumerate(claim.insurance):
        at = f"Claim.insurance[{rank}].coverage"
        if not insurance.member_id:
            yield _lacks(
                "member-id-missing", "the coverage has no member id", at, "add it", Owner.REGISTRATION, insurance.ref
            )
        yield from _written("member-id", insurance.member_id, at, widths.MEMBER)
        yield from _fits(insurance.group_number, at, "group number", widths.REFERENCE, insurance.ref)
        yield from _fits(insurance.payer.name, at, "payer's name", widths.FAMILY, insurance.ref)
        if not (insurance.payer.id and clean(insurance.payer.name)):
            yield _lacks(
                "payer-missing",
                "the coverage names no payer",
                at,
                "add the payer and its id",
                Owner.SITE,
                insurance.ref,
            )
        if insurance.relationship != "18":
            yield from _person(insurance.subscriber, f"{at}.subscriber", "subscriber", whole=False)


def _fits(text: str, at: str, what: str, width: tuple[int, int], resource: str) -> Iterator[Finding]:
    """What may be left out, or is asked for elsewhere, must still have room."""
    if clean(text):
        yield from _named("too-long", text, at, what, width, Owner.REGISTRATION, resource)


def _quantities(claim: Claim) -> Iterator[Finding]:
    """A quantity is never rounded: one with more digits than the guide allows goes back to whoever counted."""
    for index, line in enumerate(claim.lines):
        for quantity in (line.units, *((line.drug.quantity,) if line.drug else ())):
            yield from _quantity(quantity, f"Claim.item[{index}].quantity", line.ref)
    for rank, insurance in enumerate(claim.insurance[1:], 1):
        for prior in insurance.prior:
            yield from _quantity(prior.units, f"Claim.insurance[{rank}]", insurance.ref)


def _quantity(quantity: Decimal, at: str, resource: str) -> Iterator[Finding]:
    whole, _, part = number(quantity).partition(".") if quantity.is_finite() else ("-", "", "")
    if whole.startswith("-") or len(part) > widths.DECIMALS or len(whole + part) > widths.DIGITS:
        say = (
            f"{str(quantity)[:20]} is no quantity of at most {widths.DIGITS} digits, {widths.DECIMALS} after the point"
        )
        yield _lacks("quantity-unwritable", say, at, "correct the quantity; it is not rounded", resource=resource)


def _diagnoses(claim: Claim) -> Iterator[Finding]:
    most = 12 if claim.kind is ClaimKind.PROFESSIONAL else 40
    if not claim.diagnoses:
        yield _lacks("no-diagnosis", "there is no diagnosis", "Claim.diagnosis", "add the diagnosis", Owner.CLINICIAN)
    if len(claim.diagnoses) > most:
        yield _lacks(
            "too-many-diagnoses",
            f"{len(claim.diagnoses)} diagnoses; one claim holds {most}",
            "Claim.diagnosis",
            "split it",
        )
    codes = [(one.kind if claim.kind is ClaimKind.INSTITUTIONAL else "", one.code) for one in claim.diagnoses]
    if len(set(codes)) < len(codes):
        yield _lacks("diagnosis-twice", "a diagnosis stands twice", "Claim.diagnosis", "remove one", Owner.CODER)
    if (
        claim.kind is ClaimKind.INSTITUTIONAL
        and claim.diagnoses
        and not any(one.kind == "principal" for one in claim.diagnoses)
    ):
        yield _lacks(
            "no-principal", "no diagnosis is the principal one", "Claim.diagnosis", "mark the principal", Owner.CODER
        )


def _lines(claim: Claim) -> Iterator[Finding]:
    professional = claim.kind is ClaimKind.PROFESSIONAL
    most = 50 if professional else 999
    if not claim.lines:
        yield _lacks("no-lines", "there is nothing to bill", "Claim.item", "add a charge")
    if len(claim.lines) > most:
        yield _lacks("too-many-lines", f"{len(claim.lines)} lines; one claim holds {most}", "Claim.item", "split it")
    for index, line in enumerate(claim.lines):
        at = f"Claim.item[{index}]"
        if professional and not line.procedure:
            yield _lacks(
                "procedure-missing",
                "the line has no procedure code",
                f"{at}.productOrService",
                "code it",
                Owner.CODER,
                line.ref,
            )
        if not professional and not line.revenue_code:
            yield _lacks(
                "revenue-code-missing", "the line has no revenue code", f"{at}.revenue", "add it", Owner.CODER, line.ref
            )
        if professional and line.served_from is None:
            yield _lacks("date-missing", "the line has no service date", f"{at}.serviced", "add it", resource=line.ref)
        if line.charge < 0:
            yield _lacks(
                "negative-charge",
                f"the line's charge is {show(line.charge)}",
                f"{at}.net",
                "correct it",
                resource=line.ref,
            )
        if professional and (
            not line.pointers
            or len(line.pointers) > 4
            or not all(1 <= one <= len(claim.diagnoses) for one in line.pointers)
        ):
            yield _lacks(
                "pointer-missing", "the line must point at one to four of the claim's diagnoses", f"{at}.diagnosisSequence",
                "point it at a diagnosis", Owner.CODER, line.ref,
            )  # fmt: skip
        if len(line.modifiers) > 4:
            yield _lacks(
                "too-many-modifiers",
                "a line holds four modifiers",
                f"{at}.modifier",
                "keep four",
                Owner.CODER,
                line.ref,
            )


def _stay(claim: Claim) -> Iterator[Finding]:
    if claim.kind is not ClaimKind.INSTITUTIONAL:
        return
    if claim.served_from is None or claim.served_to is None:
        yield _lacks(
            "statement-dates", "a hospital bill needs its from and to dates", "Claim.billablePeriod", "add both"
        )
    if claim.stay is None or not claim.stay.patient_status:
        yield _lacks(
            "patient-status", "a hospital bill needs the patient's status", "Encounter.hospitalization", "add it"
        )
    inpatient = claim.place.startswith(("11", "12", "18", "21", "28"))
    if inpatient and claim.stay and (claim.stay.admitted_at is None or not claim.stay.admission_type):
        yield _lacks(
            "admission", "an inpatient bill needs admission hour and type", "Encounter.hospitalization", "add them"
        )


def _prior(claim: Claim) -> Iterator[Finding]:
    """Each earlier payer's decision must add up: line charge = paid + adjusted, and the claim's the same."""
    for rank, insurance in enumerate(claim.insurance[1:], 1):
        if not insurance.prior:
            continue
        at = f"Claim.insurance[{rank}]"
        if len({one.line for one in insurance.prior}) < len(insurance.prior):
            yield _lacks("cob-twice", "an earlier payer's decision stands twice for a line", at, "keep one")
        paid = paid_before(insurance)
        if paid + sum(a.amount for one in insurance.prior for a in one.adjustments) != claim.charge:
            yield _lacks(
                "cob-balance",
                "what the earlier payer paid and adjusted is not the charge",
                at,
                "enter its remittance again",
            )
        for prior in insurance.prior:
            line = next((one for one in claim.lines if one.number == prior.line), None)
            if prior.line and line is None:
                yield _lacks(
                    "cob-line", f"the earlier payer's decision names line {prior.line}", at, "there is no such line"
                )
            elif line is not None and prior.paid + sum(a.amount for a in prior.adjustments) != line.charge:
                yield _lacks(
                    "cob-balance", f"line {line.number}: paid and adjusted is not its charge", at, "enter it again"
                )


def paid_before(insurance: Insurance) -> Money:
    """AMT*D: what stands for the whole claim if it was said, else the lines' sum."""
    whole = [one.paid for one in insurance.prior if one.line == 0]
    return whole[0] if whole else sum(one.paid for one in insurance.prior)
