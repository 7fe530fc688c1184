"""Two bills for one visit differ in few places, and a biller reads them one by one: what it was, what it is now, and where.

Read from both FHIR Claims as bills: names, codes, days, units and money as people write them. A line is the same line when
it was charged from the same resource of the chart, wherever it stands; the order of lines alone is no change.
Spec: FHIR R4 Claim; `at` is a FHIRPath into the newer Claim, or into the older one for what is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from fhir_billing.domain.claim import Claim, Diagnosis, ServiceLine
from fhir_billing.domain.codes import dotted
from fhir_billing.domain.money import spoken
from fhir_billing.fhir.claim import read_claim

Row = dict[str, str]

PARTS: Final = {
    "patient": ("Claim.patient", "Patient"),
    "insurance": ("Claim.insurance", "Insurance"),
    "billing": ("Claim.provider", "Billing provider"),
    "pay_to": ("Claim.provider.address[1]", "Pay-to address"),
    "rendering": ("Claim.careTeam.where(role='rendering').provider", "Rendering provider"),
    "attending": ("Claim.careTeam.where(role='attending').provider", "Attending provider"),
    "operating": ("Claim.careTeam.where(role='operating').provider", "Operating provider"),
    "referring": ("Claim.careTeam.where(role='referring').provider", "Referring provider"),
    "supervising": ("Claim.careTeam.where(role='supervising').provider", "Supervising provider"),
    "facility": ("Claim.facility", "Service facility"),
    "kind": ("Claim.type", "Kind of bill"),
    "frequency": ("Claim.extension('frequency')", "Frequency"),
    "place": ("Claim.extension('place-of-service')", "Place of service"),
    "served_from": ("Claim.billablePeriod.start", "First day of service"),
    "served_to": ("Claim.billablePeriod.end", "Last day of service"),
    "authorization": ("Claim.insurance[0].preAuthRef", "Authorization number"),
    "referral": ("Claim.referral", "Referral number"),
    "accident": ("Claim.accident", "Accident"),
    "stay": ("Claim.supportingInfo", "Stay"),
    "note": ("Claim.supportingInfo.where(category='info')", "Note"),
}
"""Where each part of a bill stands in the Claim, and what it is called; what is not here goes by its own name."""

LEAVES: Final = {
    "family": ("name.family", "family name"),
    "given": ("name.given", "given name"),
    "middle": ("name.given[1]", "middle name"),
    "suffix": ("name.suffix", "name suffix"),
    "birth_date": ("birthDate", "date of birth"),
    "sex": ("gender", "sex"),
    "npi": ("identifier('npi')", "NPI"),
    "tax_id": ("identifier('tax-id')", "tax id"),
    "lines": ("line", "street"),
    "zip": ("postalCode", "ZIP code"),
    "payer": ("payor", "payer"),
    "member_id": ("subscriberId", "member id"),
    "group_number": ("class('group').value", "group number"),
    "group_name": ("class('group').name", "group name"),
    "filing_indicator": ("extension('filing-indicator')", "filing indicator"),
    "active_from": ("period.start", "coverage begins"),
    "active_to": ("period.end", "coverage ends"),
    "procedure": ("productOrService", "code"),
    "modifiers": ("modifier", "modifiers"),
    "revenue_code": ("revenue", "revenue code"),
    "charge": ("net", "charge"),
    "units": ("quantity.value", "units"),
    "unit": ("quantity.code", "unit"),
    "served_from": ("serviced.start", "first day"),
    "served_to": ("serviced.end", "last day"),
    "place": ("location", "place of service"),
    "pointers": ("diagnosisSequence", "diagnoses"),
    "id": ("identifier", "id"),
}
MONEY: Final = frozenset({"charge", "patient_paid", "remaining", "values"})
NOT_BILLED: Final = frozenset({"ref", "number", "sequence", "prior", "prior_icn", "replaces", "payer_icn", "encounter"})
"""What names a thing in the chart or in our book, and does not stand on the bill."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Row, ...]:
    """What differs between two Claims, in the order of a bill; nothing when they bill the same. Raises MalformedResource."""
    was, now = read_claim(old), read_claim(new)
    before, after = dict(_head(was)), dict(_head(now))
    rows = [*_rows(before, after), *_diagnoses(was, now), *_lines(was, now)]
    if was.charge != now.charge:
        rows.append(_row("Claim.total", "Charge of the claim", spoken(was.charge), spoken(now.charge)))
    return tuple(rows)


def _row(at: str, what: str, was: str, now: str) -> Row:
    return {"at": at, "what": what, "was": was, "now": now}


def _rows(before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]) -> Iterator[Row]:
    for at in dict.fromkeys([*after, *before]):
        what = (after.get(at) or before[at])[0]
        was, now = before.get(at, ("", ""))[1], after.get(at, ("", ""))[1]
        if was != now:
            yield _row(at, what, was, now)


def _head(claim: Claim) -> Iterator[tuple[str, tuple[str, str]]]:
    """All of a bill but its diagnoses and lines, leaf by leaf."""
    for one in fields(claim):
        if one.name in NOT_BILLED or one.name in {"id", "diagnoses", "lines"}:
            continue
        at, what = PARTS.get(one.name, (f"Claim.extension('{one.name.replace('_', '-')}')", _named(one.name)))
        yield from _leaves(getattr(claim, one.name), at, what, one.name)


def _leaves(value: Any, at: str, what: str, name: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            if one.name not in NOT_BILLED:
                leaf, words = LEAVES.get(one.name, (one.name, one.name.replace("_", " ")))
                yield from _leaves(getattr(value, one.name), f"{at}.{leaf}", f"{what}: {words}", one.name)
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for place, part in enumerate(value):
            named = what if not place else f"{what} {place + 1}"
            yield from _leaves(part, f"{at}[{place}]", named, name)
    else:
        yield at, (what, _text(value, name))


def _named(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text(value: Any, name: str) -> str:
    """A value as people read it; empty for what is not there."""
    match value:
        case None | "" | ():
            return ""
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case int() if name in MONEY:
            return spoken(value)
        case datetime():
            return f"{value:%b} {value.day}, {value.year} {value:%H:%M}"
        case date():
            return f"{value:%b} {value.day}, {value.year}"
        case Decimal():
            return f"{value.normalize():f}"
        case tuple():
            return ", ".join(_text(part, name) for part in value)
        case _:
            return str(value)


def told(row: Mapping[str, object]) -> str:
    """A row in a phrase: what was added, removed, or was one thing and is another now.

    >>> told({"what": "Line 2 is new", "was": "", "now": "93000, 1 UN, $45.00"})
    'Line 2 added: 93000, 1 UN, $45.00'
    >>> told({"what": "The visit", "was": "finished", "now": "in-progress"})
    'The visit was finished, now in-progress'
    """
    what, was, now = str(row["what"]), row["was"], row["now"]
    if was and now:
        return f"{what} was {was}, now {now}"
    verb = "removed" if was else "added"
    return f"{what.removesuffix(' is new').removesuffix(' is gone')} {verb}: {was or now}"


# ---- diagnoses and lines -----------------------------------------------------------------------


def _diagnosis(one: Diagnosis) -> str:
    more = [one.kind] if one.kind not in {"other", "principal"} else []
    more += [f"present on admission: {one.present_on_admission}"] if one.present_on_admission else []
    return f"{dotted(one.code)} ({', '.join(more)})" if more else dotted(one.code)


def _diagnoses(was: Claim, now: Claim) -> Iterator[Row]:
    """By their place on the bill: which one stands first is what the payer reads as the reason."""
    before, after = ([_diagnosis(one) for one in claim.diagnoses] for claim in (was, now))
    for place in range(max(len(before), len(after))):
        old = before[place] if place < len(before) else ""
        new = after[place] if place < len(after) else ""
        if old != new:
            yield _row(f"Claim.diagnosis[{place}]", f"Diagnosis {place + 1}", old, new)


def _lines(was: Claim, now: Claim) -> Iterator[Row]:
    pairs = _paired(was.lines, now.lines)
    for new, old in pairs:
        if old is None:
            yield _row(f"Claim.item[{new}]", f"Line {new + 1} is new", "", _line(now, new))
        else:
            before, after = dict(_of_line(was, old, new)), dict(_of_line(now, new, new))
            yield from _rows(before, after)
    taken = {old for _, old in pairs}
    for old in range(len(was.lines)):
        if old not in taken:
            yield _row(f"Claim.item[{old}]", f"Line {old + 1} is gone", _line(was, old), "")


def _paired(was: Sequence[ServiceLine], now: Sequence[ServiceLine]) -> list[tuple[int, int | None]]:
    """Each new line with the old one that it goes on from: by what it was charged from, then by code and day, then by place."""
    left = dict(enumerate(was))
    found: dict[int, int] = {}

    def match(same: Callable[[ServiceLine, ServiceLine], bool]) -> None:
        for place, line in enumerate(now):
            if place in found:
                continue
            twin = next((old for old, other in left.items() if same(line, other)), None)
            if twin is not None:
                found[place] = twin
                del left[twin]

    match(lambda a, b: bool(a.ref) and a.ref == b.ref and _code(a) == _code(b))
    match(lambda a, b: bool(a.ref) and a.ref == b.ref)
    match(lambda a, b: _code(a) == _code(b) and a.served_from == b.served_from)
    match(lambda a, b: not (a.ref and b.ref) and a.number == b.number)
    return [(place, found.get(place)) for place in range(len(now))]


def _code(line: ServiceLine) -> str:
    return line.procedure or line.revenue_code


def _of_line(claim: Claim, place: int, shown: int) -> Iterator[tuple[str, tuple[str, str]]]:
    line = claim.lines[place]
    at, what = f"Claim.item[{shown}]", f"Line {shown + 1}"
    for one in fields(line):
        if one.name in NOT_BILLED:
            continue
        leaf, words = LEAVES.get(one.name, (one.name, one.name.replace("_", " ")))
        value = _pointed(claim, line) if one.name == "pointers" else getattr(line, one.name)
        yield from _leaves(value, f"{at}.{leaf}", f"{what}: {words}", one.name)


def _pointed(claim: Claim, line: ServiceLine) -> str:
    """The diagnoses that a line points at, by their codes: places change, codes are what was meant."""
    known = {one.sequence: dotted(one.code) for one in claim.diagnoses}
    return ", ".join(known.get(pointer, "?") for pointer in line.pointers)


def _line(claim: Claim, place: int) -> str:
    """A whole line in one phrase."""
    line = claim.lines[place]
    code = "-".join(part for part in (_code(line), *line.modifiers) if part)
    parts = [code or "no code", f"{_text(line.units, 'units')} {line.unit}", spoken(line.charge)]
    return ", ".join([*parts, *([_text(line.served_from, "")] if line.served_from else [])])
