"""A file that can be read may still be turned away: sums, check digits, ZIP codes and loops that a payer asks for.

What `x12 check` adds to reading: the laws that no envelope tells. Errors are what a payer or clearinghouse rejects;
warnings are what some do.
Spec: domain rules 2 to 17; the guides' required loops and segments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fhir_billing.domain.codes import is_npi, is_tax_id, zip_digits
from fhir_billing.domain.money import show
from fhir_billing.x12 import read_837
from fhir_billing.x12.envelope import MOST_COMPLAINTS, Reading, TransactionSet
from fhir_billing.x12.grammar import Complaint, Weight
from fhir_billing.x12.guides import g277, g277ca, g835, g837i, g837p, g999
from fhir_billing.x12.guides.loops import Place, Step, walk
from fhir_billing.x12.guides.widths import DECIMALS, NUMBERS, QUANTITIES, STATES, WIDTHS
from fhir_billing.x12.read_837 import SubmittedClaim

GUIDES = {module.GUIDE.kind: module.GUIDE for module in (g837p, g837i, g835, g999, g277ca, g277)}
_NINE_DIGITS = frozenset({"2010AA", "2310C", "2310E", "2420C"})
"""Billing provider and service facility."""
_NAMED = frozenset({"41", "40", "85", "IL", "QC", "PR", "DN", "P3", "82", "77", "DQ", "71", "72", "ZZ"})
"""NM101 of whoever must have a name (NM103); an earlier payer's providers (2330C and on) are told by number."""


def check(reading: Reading) -> list[Complaint]:
    """What keeps these files from being sent, besides what reading found."""
    found = list(_controls(reading))
    for one in reading.sets:
        if len(found) >= MOST_COMPLAINTS:
            break
        if one.kind in GUIDES:
            found.extend(_loops(one))
        if one.kind in read_837.GUIDES:
            found.extend(_bills(one))
        elif one.set_id == "837":
            found.extend(_outlined(one))
    return found[:MOST_COMPLAINTS]


def _complain(
    one: TransactionSet, position: int, say: str, fix: str, element: int | None = None, weight: Weight = Weight.ERROR
) -> Complaint:
    return one.interchange.complain(
        one.first + position - 1, say, fix=fix, element=element, key="guide", severity=weight
    )


def _controls(reading: Reading) -> Iterator[Complaint]:
    """A number may be used once: interchanges in a file, groups in an interchange, sets in a group."""
    seen: Counter[tuple[str, str]] = Counter()
    for interchange in reading.interchanges:
        text = interchange.text
        sender = text.segments[0][32:50]
        seen[sender, interchange.control] += 1
        if seen[sender, interchange.control] == 2:
            yield text.complain(
                0, f"interchange number {interchange.control} is used twice", fix="number each anew", element=13
            )
        groups = Counter(group.control for group in interchange.groups)
        for control, times in groups.items():
            if times > 1:
                yield text.complain(0, f"group number {control[:12]} is used {times} times", fix="number each anew")
        for group in interchange.groups:
            sets = Counter(one.control for one in group.sets)
            for one in group.sets:
                if sets[one.control] > 1:
                    yield text.complain(
                        one.first, f"set number {one.control[:12]} is used twice", fix="number each anew", element=2
                    )


# ---- loops --------------------------------------------------------------------------------------------------------


def _loops(one: TransactionSet) -> Iterator[Complaint]:
    """Segments where the guide has none, and required ones that are missing; for answers these are only warnings."""
    weight = Weight.ERROR if one.set_id == "837" else Weight.WARNING
    places: dict[int, Place] = {}
    for step in walk(GUIDES[one.kind], one.segments, one.interchange.delimiters.element):
        if step.place is None:
            say = f"{step.parts[0][:3]} has no place here in {GUIDES[one.kind].version}"
            yield _complain(one, step.position, say, "remove it, or put it into its loop", weight=weight)
            continue
        places[id(step.place)] = step.place
        if one.set_id == "837":
            yield from _identifiers(one, step)
            yield from _elements(one, step)
    for place in places.values():
        yield from _complete(one, place, weight)


def _complete(one: TransactionSet, place: Place, weight: Weight) -> Iterator[Complaint]:
    for name in sorted(place.loop.needed - set(place.held)):
        yield _complain(one, place.position, f"loop {place.id} has no {name}", f"add {name}", weight=weight)
    inner = Counter(place.inner)
    has_patient = place.id == "2000B" and inner["2000C"]
    for child in place.loop.children:
        if child.required and not inner[child.id] and not (child.id == "2000B" and weight is Weight.WARNING):
            yield _complain(
                one, place.position, f"loop {place.id} has no loop {child.id}", f"add loop {child.id}", weight=weight
            )
        if inner[child.id] > 1 and not child.repeats:
            yield _complain(
                one, place.position, f"loop {child.id} stands {inner[child.id]} times", "keep one", weight=weight
            )
    if place.id in {"2000B", "2000C"} and not inner["2300"] and not has_patient:
        yield _complain(
            one, place.position, f"loop {place.id} holds no claim", "add the claim, or remove the loop", weight=weight
        )


def _identifiers(one: TransactionSet, step: Step) -> Iterator[Complaint]:
    parts = step.parts + [""] * (10 - len(step.parts))
    loop = step.place.id if step.place else ""
    match parts[0]:
        case "NM1" if parts[8] == "XX" and not is_npi(parts[9]):
            yield _complain(one, step.position, f"NPI {parts[9][:12]!r} fails its check digit", "correct the NPI", 9)
        case "NM1" if loop == "2010AA" and parts[8] != "XX":
            yield _complain(one, step.position, "the billing provider has no NPI", "add it with qualifier XX", 9)
        case "NM1" if loop == "2010BA" and not parts[9]:
            yield _complain(one, step.position, "the subscriber has no member id", "add it with qualifier MI", 9)
        case "N4" if loop in _NINE_DIGITS and len(parts[3]) != 9 and parts[4] in {"", "US"}:
            yield _complain(
                one, step.position, f"ZIP {parts[3][:9]!r} has not nine digits", "add the last four digits", 3
            )
        case "N4" if parts[4] in {"", "US"} and not zip_digits(parts[3]):
            yield _complain(one, step.position, f"ZIP {parts[3][:9]!r} is none", "correct the ZIP", 3)
        case "REF" if loop == "2010AA" and parts[1] in {"EI", "SY"} and not is_tax_id(parts[2]):
            yield _complain(one, step.position, "the tax id has not nine digits", "correct the tax id", 2)


def _elements(one: TransactionSet, step: Step) -> Iterator[Complaint]:
    """Empty where something must stand, longer or shorter than the element is, or no state."""
    name, parts = step.parts[0], step.parts
    for element, (least, most) in WIDTHS.get(name, {}).items():
        text = parts[element].strip() if element < len(parts) else ""
        size = sum(letter.isdigit() for letter in text) if (name, element) in NUMBERS else len(text)
        if text and not least <= size <= most:
            say = f"{text[:20]!r} has {size} characters, not {least} to {most}"
            yield _complain(one, step.position, say, "correct it; a payer's machine refuses it", element)
        elif (name, element) in QUANTITIES and len(text.partition(".")[2]) > DECIMALS:
            say = f"the quantity {text[:20]!r} has more than {DECIMALS} digits after the point"
            yield _complain(one, step.position, say, "correct the quantity", element)
    padded = [part.strip() for part in parts] + [""] * (10 - len(parts))
    if name == "NM1":
        yield from _name(one, step, padded)
    elif name == "N4" and padded[4] in {"", "US"}:
        if not padded[1]:
            yield _complain(one, step.position, "the address has no city", "add the city", 1)
        if padded[2] not in STATES:
            say = f"{padded[2][:20]!r} is no state" if padded[2] else "the address has no state"
            yield _complain(one, step.position, say, "write the state's two letters", 2)


def _name(one: TransactionSet, step: Step, parts: list[str]) -> Iterator[Complaint]:
    loop = step.place.id if step.place else ""
    if parts[1] in _NAMED and (loop in {"2330A", "2330B"} or not loop.startswith("2330")) and not parts[3]:
        yield _complain(one, step.position, f"NM1*{parts[1]} has no name", "add the family's or organization's name", 3)
    if bool(parts[8]) != bool(parts[9]):
        say = "an identifier and its qualifier stand together or not at all"
        yield _complain(one, step.position, say, "complete it, or remove it", 9 if parts[8] else 8)


# ---- claims -------------------------------------------------------------------------------------------------------


def _bills(one: TransactionSet) -> Iterator[Complaint]:
    submission, _ = read_837.decode(one)
    repeated = Counter(bill.claim.id for bill in submission.claims)
    for bill in submission.claims:
        if repeated[bill.claim.id] > 1:
            say = f"claim number {bill.claim.id[:20]} stands {repeated[bill.claim.id]} times"
            yield _complain(one, bill.position, say, "number each anew", 1, Weight.WARNING)
        yield from _bill(one, bill)


def _bill(one: TransactionSet, bill: SubmittedClaim) -> Iterator[Complaint]:
    claim, at = bill.claim, bill.position
    if not claim.id or len(claim.id) > 38:
        yield _complain(one, at, "the claim's number must have 1 to 38 characters", "number it anew", 1)
    elif len(claim.id) > 20:
        yield _complain(
            one, at, "a claim number beyond 20 characters may come back cut", "use at most 20", 1, Weight.WARNING
        )
    if bill.charge != claim.charge:
        say = f"CLM02 says {show(bill.charge)}, the lines sum to {show(claim.charge)}"
        yield _complain(one, at, say, "charge what the lines say", 2)
    if bill.bill_type in {"7", "8"} and not claim.payer_icn:
        say = f"frequency {bill.bill_type} without the payer's number of the claim it replaces"
        yield _complain(one, at, say, "add REF*F8", 5)
    if not claim.place:
        yield _complain(one, at, "the claim has no place of service or facility type", "add CLM05-1", 5)
    if not claim.diagnoses:
        yield _complain(one, at, "the claim has no diagnosis", "add HI*ABK")
    codes = [
        (diagnosis.kind in {"principal", "other"}, diagnosis.kind, diagnosis.code) for diagnosis in claim.diagnoses
    ]
    twice = [code for code, times in Counter(code for counted, _, code in codes if counted).items() if times > 1]
    if twice:
        yield _complain(one, at, f"diagnosis {twice[0][:8]} stands twice", "remove one", weight=Weight.WARNING)
    professional = one.kind == "837P"
    if professional and len(claim.lines) > 50:
        yield _complain(one, at, f"{len(claim.lines)} lines; one claim holds 50", "split the claim")
    for line in claim.lines:
        if professional and line.served_from is None:
            yield _complain(one, at, f"line {line.number} has no service date", "add DTP*472")
        if professional and not line.procedure:
            yield _complain(one, at, f"line {line.number} has no procedure", "add SV101-2")
        if professional and not (
            line.pointers and all(0 < pointer <= len(claim.diagnoses) for pointer in line.pointers)
        ):
            yield _complain(one, at, f"line {line.number} points at no diagnosis of the claim", "correct SV107")
    yield from _earlier(one, bill)


def _earlier(one: TransactionSet, bill: SubmittedClaim) -> Iterator[Complaint]:
    """What an earlier payer paid and adjusted must be the charge again, line by line and for the claim."""
    claim = bill.claim
    for insurance in claim.insurance[1:]:
        if not insurance.prior:
            continue
        whole = [prior.paid for prior in insurance.prior if prior.line == 0]
        paid = whole[0] if whole else sum(prior.paid for prior in insurance.prior)
        adjusted = sum(adjustment.amount for prior in insurance.prior for adjustment in prior.adjustments)
        if paid + adjusted != bill.charge:
            say = f"the earlier payer's {show(paid)} paid and {show(adjusted)} adjusted are not the charge {show(bill.charge)}"
            yield _complain(one, bill.position, say, "enter its remittance again")
        for prior in insurance.prior:
            line = next((each for each in claim.lines if each.number == prior.line), None)
            if line is not None and prior.paid + sum(a.amount for a in prior.adjustments) != line.charge:
                say = (
                    f"line {line.number}: the earlier payer's paid and adjusted are not the charge {show(line.charge)}"
                )
                yield _complain(one, bill.position, say, "enter its remittance again")


def _outlined(one: TransactionSet) -> Iterator[Complaint]:
    for claim in read_837.outline(one)[0]:
        if claim.charge != claim.lines:
            say = f"claim {claim.claim[:20]}: CLM02 says {show(claim.charge)}, the lines sum to {show(claim.lines)}"
            yield _complain(one, 1, say, "charge what the lines say")
