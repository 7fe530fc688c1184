"""Above a claim stands who bills, who is insured and who is the patient; each holds until the next of its kind.

Spec: loops 2000A to 2010CA of 005010X222A1 and 005010X223A2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_billing.domain.claim import Address, Insurance, Payer, Person
from fhir_billing.domain.money import Money
from fhir_billing.x12.elements import read_money, read_quantity, read_span
from fhir_billing.x12.grammar import Weight
from fhir_billing.x12.guides import day

Wrong = Callable[..., None]


@dataclass(slots=True)
class Values:
    """Elements read with a complaint where they cannot be."""

    component: str
    repetition: str
    wrong: Wrong

    def amount(self, text: str, element: int) -> Money:
        found = read_money(text)
        if found is None:
            self.wrong(element, f"{text[:20]!r} is no amount" if text else "the amount is missing", "amount")
        return found or 0

    def day(self, text: str, element: int) -> date | None:
        found = day(text) if text else None
        if text and found is None:
            self.wrong(element, f"{text[:20]!r} is no date", "date")
        return found

    def quantity(self, text: str, element: int, default: Decimal) -> Decimal:
        if not text:
            return default
        found = read_quantity(text)
        if found is None:
            self.wrong(element, f"{text[:20]!r} is no quantity", "amount")
        return default if found is None else found

    def span(self, parts: list[str]) -> tuple[date | None, date | None]:
        """DTP02 and DTP03 as first and last day."""
        if parts[2] == "RD8":
            span = read_span(parts[3])
            if span is None:
                self.wrong(3, f"{parts[3][:20]!r} is no range of dates", "date")
                return None, None
            if "-" not in parts[3]:
                self.wrong(2, "RD8 with one date; read as that day", "date", Weight.WARNING)
            return span
        if parts[2] == "D8":
            one = self.day(parts[3], 3)
            return one, one
        return None, None

    def parts_of(self, element: str) -> list[str]:
        found = element.split(self.component)
        return found + [""] * (10 - len(found))


def party(parts: list[str]) -> dict[str, Any]:
    """NM1 as the facts of a provider."""
    person = parts[2] == "1"
    facts: dict[str, Any] = {"npi": parts[9].strip() if parts[8] == "XX" else ""}
    if person:
        return facts | {"family": parts[3], "given": parts[4], "middle": parts[5], "suffix": parts[7]}
    return facts | {"name": parts[3]}


def person(parts: list[str]) -> dict[str, Any]:
    """NM1 as the facts of a person."""
    return {"family": parts[3], "given": parts[4], "middle": parts[5], "suffix": parts[7]}


@dataclass(slots=True)
class Located:
    """Facts of somebody and the address that follows."""

    facts: dict[str, Any] = field(default_factory=dict)
    place: dict[str, Any] = field(default_factory=dict)

    def take_address(self, parts: list[str]) -> None:
        if parts[0] == "N3":
            self.place["lines"] = tuple(one for one in parts[1:3] if one)
        elif parts[0] == "N4":
            self.place |= {"city": parts[1], "state": parts[2], "zip": parts[3]}

    def address(self) -> Address:
        return Address(**self.place)


@dataclass(slots=True)
class Head(Values):
    """The hierarchy that is open: billing provider, subscriber, patient."""

    billing: Located = field(default_factory=Located)
    pay_to: Located | None = None
    sbr: list[str] = field(default_factory=lambda: [""] * 20)
    subscriber: Located = field(default_factory=Located)
    member_id: str = ""
    payer: Located = field(default_factory=Located)
    patient: Located | None = None
    relationship: str = "18"

    def take(self, loop: str, parts: list[str]) -> None:
        """One segment above the claims."""
        match loop, parts[0]:
            case "2000A", "HL":
                self.billing, self.pay_to = Located(), None
            case "2000A", "PRV":
                self.billing.facts["taxonomy"] = parts[3]
            case "2010AA", "NM1":
                self.billing.facts |= party(parts)
            case "2010AA", "REF" if parts[1] in {"EI", "SY"}:
                self.billing.facts |= {"tax_id": parts[2], "tax_id_kind": parts[1]}
            case "2010AA", "PER":
                numbers = [parts[i + 1] for i in (3, 5, 7) if parts[i] == "TE"]
                self.billing.facts["phone"] = numbers[0] if numbers else ""
            case "2010AA", _:
                self.billing.take_address(parts)
            case "2010AB", "NM1":
                self.pay_to = Located()
            case "2010AB", _ if self.pay_to is not None:
                self.pay_to.take_address(parts)
            case "2000B", "HL":
                self.subscriber, self.payer, self.patient, self.relationship = Located(), Located(), None, "18"
                self.member_id = ""
            case "2000B", "SBR":
                self.sbr = parts
            case "2010BA", "NM1":
                self.subscriber.facts |= person(parts)
                self.member_id = parts[9].strip()
            case "2010BA", "DMG":
                self.demographics(self.subscriber, parts)
            case "2010BA", _:
                self.subscriber.take_address(parts)
            case "2010BB", "NM1":
                self.payer.facts |= {"name": parts[3], "id": parts[9].strip()}
            case "2010BB", _:
                self.payer.take_address(parts)
            case "2000C", "HL":
                self.patient = Located()
            case "2000C", "PAT":
                self.relationship = parts[1]
            case "2010CA", "NM1" if self.patient is not None:
                self.patient.facts |= person(parts)
            case "2010CA", "DMG" if self.patient is not None:
                self.demographics(self.patient, parts)
            case "2010CA", _ if self.patient is not None:
                self.patient.take_address(parts)

    def demographics(self, who: Located, parts: list[str]) -> None:
        who.facts["birth_date"] = self.day(parts[2], 2) if parts[1] == "D8" else None
        who.facts["sex"] = parts[3] or "U"

    def person_of(self, who: Located) -> Person:
        return Person(address=who.address(), **who.facts)

    def insurance(self) -> Insurance:
        who = self.person_of(self.subscriber)
        payer = Payer(
            id=self.payer.facts.get("id", ""), name=self.payer.facts.get("name", ""), address=self.payer.address()
        )
        return insurance(self.sbr, self.relationship if self.patient else "18", who, self.member_id, payer)


def insurance(sbr: list[str], relationship: str, who: Person, member_id: str, payer: Payer, **more: Any) -> Insurance:
    """SBR, 2010BA and 2010BB, or 2320 and what lies in it."""
    return Insurance(
        rank=sbr[1] or "P", payer=payer, filing_indicator=sbr[9], member_id=member_id, group_number=sbr[3], group_name=sbr[4],
        insurance_type=sbr[5], relationship=relationship, subscriber=who, **more,
    )  # fmt: skip
