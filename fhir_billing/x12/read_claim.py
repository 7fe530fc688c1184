"""What an 837 says of one claim, gathered segment by segment: its own loop, its other payers, its lines.

Spec: loops 2300 to 2430 of 005010X222A1 and 005010X223A2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from fhir_billing.domain.claim import (
    Accident,
    Adjustment,
    Claim,
    ClaimKind,
    Diagnosis,
    Drug,
    Frequency,
    InpatientProcedure,
    Insurance,
    Party,
    Payer,
    Person,
    PriorPayment,
    ServiceLine,
    Stay,
)
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money
from fhir_billing.x12.elements import is_time, read_moment, read_quantity
from fhir_billing.x12.grammar import Weight
from fhir_billing.x12.guides.loops import Place
from fhir_billing.x12.read_head import Head, Located, insurance, party, person

_GROUPS = {group.value: group for group in Group}
_HI_KINDS = {
    "ABK": "principal", "BK": "principal", "ABF": "other", "BF": "other", "ABJ": "admitting", "BJ": "admitting",
    "APR": "reason", "PR": "reason", "ABN": "external", "BN": "external",
}  # fmt: skip
_ORDER = ("principal", "other", "admitting", "reason", "external")
_ROLES = {
    "DN": "referring",
    "82": "rendering",
    "77": "facility",
    "DQ": "supervising",
    "71": "attending",
    "72": "operating",
}


@dataclass(slots=True)
class _Prior:
    line: int
    paid: Money = 0
    adjustments: list[Adjustment] = field(default_factory=list)
    paid_on: date | None = None
    procedure: str = ""
    units: Decimal = Decimal(1)
    payer: str = ""


@dataclass(slots=True)
class _Other:
    """2320: another payer and what it said."""

    sbr: list[str]
    adjustments: list[Adjustment] = field(default_factory=list)
    paid: Money | None = None
    remaining: Money | None = None
    who: Located = field(default_factory=Located)
    member_id: str = ""
    payer: Located = field(default_factory=Located)
    paid_on: date | None = None
    icn: str = ""
    release: str = ""
    lines: list[_Prior] = field(default_factory=list)


@dataclass(slots=True)
class _Line:
    number: int
    facts: dict[str, Any] = field(default_factory=dict)
    drug: dict[str, Any] = field(default_factory=dict)


class Draft:
    """One claim whose segments are still coming."""

    def __init__(self, kind: ClaimKind, head: Head, parts: list[str], position: int) -> None:
        self.kind, self.head, self.position = kind, head, position
        where = head.parts_of(parts[5])
        self.charge = head.amount(parts[2], 2)
        self.frequency = where[2]
        self.facts: dict[str, Any] = {
            "id": parts[1].strip(), "place": where[0], "assigned": parts[7], "benefits_assigned": parts[8], "release": parts[9],
            "signature_on_file": parts[6] != "N",
        }  # fmt: skip
        cause = head.parts_of(parts[11])
        self.cause = (cause[0], cause[3])
        self.accident_on: date | None = None
        self.stay: dict[str, Any] = {}
        self.discharge: str | date | None = None
        self.diagnoses: list[tuple[str, str, str]] = []
        self.parties: dict[str, Located] = {}
        self.others: list[_Other] = []
        self.lines: list[_Line] = []
        self.prior: _Prior | None = None
        if where[2] not in set(Frequency):
            head.wrong(5, f"claim frequency {where[2][:5]!r} is none that we know", "guide", Weight.WARNING)
        self.insurance = head.insurance()
        self.patient = head.person_of(head.patient or head.subscriber)
        self.billing = Party(address=head.billing.address(), **head.billing.facts)
        self.pay_to = head.pay_to.address() if head.pay_to else None

    def take(self, loop: str, parts: list[str], place: Place | None) -> None:
        """One segment below CLM."""
        if loop.startswith("2330") or loop == "2320":
            self.of_other(loop, parts)
        elif loop.startswith("24") or (loop == "2300" and place is None and self.lines):
            self.of_line(loop, parts)
        elif loop.startswith("2310"):
            self.of_party(parts)
        else:
            self.of_claim(parts)

    # ---- 2300 and 2310 ----

    def of_claim(self, parts: list[str]) -> None:
        head = self.head
        match parts[0], parts[1]:
            case "DTP", "439":
                self.accident_on = head.day(parts[3], 3)
            case "DTP", "434":
                self.facts["served_from"], self.facts["served_to"] = head.span(parts)
            case "DTP", "435":
                self.stay["admitted_at"] = read_moment(parts[3])
                if self.stay["admitted_at"] is None:
                    head.wrong(3, f"{parts[3][:20]!r} is no date and hour", "date")
            case "DTP", "096":
                self.discharge = head.day(parts[3], 3) if parts[2] == "D8" else parts[3]
                if parts[2] == "TM" and not is_time(parts[3]):
                    head.wrong(3, f"{parts[3][:10]!r} is no hour", "date")
            case "DTP", _:
                head.span(parts)
            case "CL1", _:
                self.stay |= {"admission_type": parts[1], "admission_source": parts[2], "patient_status": parts[3]}
            case "AMT", kind:
                amount = head.amount(parts[2], 2)
                if kind == "F5":
                    self.facts["patient_paid"] = amount
            case "REF", kind:
                name = {"9F": "referral", "G1": "authorization", "F8": "payer_icn", "X4": "clia"}.get(kind)
                if name:
                    self.facts[name] = parts[2].strip()
            case "NTE", "ADD":
                self.facts["note"] = parts[2]
            case "HI", _:
                self.of_codes(parts)

    def of_codes(self, parts: list[str]) -> None:
        for place, element in enumerate(parts[1:13], 1):
            if not element:
                continue
            code = self.head.parts_of(element)
            kind = _HI_KINDS.get(code[0])
            on = self.head.day(code[3], place) if code[2] == "D8" else None
            if kind:
                self.diagnoses.append((kind, code[1], code[8]))
            elif code[0] in {"BBR", "BBQ", "BR", "BQ"} and on:
                self.stay.setdefault("procedures", []).append(InpatientProcedure(code=code[1], on=on))
            elif code[0] == "BH" and on:
                self.stay.setdefault("occurrences", []).append((code[1], on))
            elif code[0] == "BE":
                self.stay.setdefault("values", []).append((code[1], self.head.amount(code[4], place)))
            elif code[0] == "BG":
                self.stay.setdefault("conditions", []).append(code[1])
            elif code[0] == "DR":
                self.stay["drg"] = code[1]

    def of_party(self, parts: list[str]) -> None:
        if parts[0] == "NM1":
            self.open_party = _ROLES.get(parts[1], "")
            if self.open_party:
                self.parties.setdefault(self.open_party, Located(party(parts)))
        elif self.open_party:
            one = self.parties[self.open_party]
            if parts[0] == "PRV":
                one.facts["taxonomy"] = parts[3]
            one.take_address(parts)

    open_party = ""

    # ---- 2320 and 2330 ----

    def of_other(self, loop: str, parts: list[str]) -> None:
        head = self.head
        if parts[0] == "SBR":
            self.others.append(_Other(parts))
            return
        other = self.others[-1]
        match loop, parts[0]:
            case "2320", "CAS":
                other.adjustments.extend(self.of_cas(parts))
            case "2320", "AMT":
                amount = head.amount(parts[2], 2)
                if parts[1] == "D":
                    other.paid = amount
                elif parts[1] == "EAF":
                    other.remaining = amount
            case "2330A", "NM1":
                other.who.facts |= person(parts)
                other.member_id = parts[9].strip()
            case "2330A", _:
                other.who.take_address(parts)
            case "2330B", "NM1":
                other.payer.facts |= {"name": parts[3], "id": parts[9].strip()}
            case "2330B", "DTP" if parts[1] == "573":
                other.paid_on = head.day(parts[3], 3)
            case "2330B", "REF" if parts[1] == "F8":
                other.icn = parts[2].strip()
            case "2330B", _:
                other.payer.take_address(parts)

    def of_cas(self, parts: list[str]) -> list[Adjustment]:
        group = _GROUPS.get(parts[1])
        if group is None:
            self.head.wrong(1, "the adjustment's group is none of CO, PR, OA, PI, CR", "guide")
            return []
        found = []
        for place in range(2, 19, 3):
            if parts[place] or parts[place + 1]:
                counted = read_quantity(parts[place + 2]) if parts[place + 2] else None
                amount = self.head.amount(parts[place + 1], place + 1)
                found.append(Adjustment(group=group, reason=parts[place], amount=amount, quantity=counted))
        return found

    # ---- 2400 to 2430 ----

    def of_line(self, loop: str, parts: list[str]) -> None:
        head = self.head
        if parts[0] == "LX":
            self.prior = None
            self.lines.append(
                _Line(int(parts[1]) if parts[1].isascii() and parts[1].isdigit() else len(self.lines) + 1)
            )
            return
        if not self.lines:
            head.wrong(0, f"{parts[0]} before the first LX", "nesting")
            self.lines.append(_Line(1))
        line = self.lines[-1]
        if loop == "2430":
            self.of_decision(line, parts)
            return
        match parts[0], parts[1]:
            case "SV1", _:
                self.of_service(line, parts[1], parts[2], parts[3], parts[4], (1, 2, 4))
                line.facts["place"] = parts[5]
                pointers = [one for one in head.parts_of(parts[7]) if one]
                line.facts["pointers"] = tuple(
                    int(one) if one.isascii() and one.isdigit() and len(one) < 3 else 0 for one in pointers
                )
            case "SV2", _:
                self.of_service(line, parts[2], parts[3], parts[4], parts[5], (2, 3, 5))
                line.facts["revenue_code"] = parts[1]
            case "DTP", "472":
                line.facts["served_from"], line.facts["served_to"] = head.span(parts)
            case "DTP", _:
                head.span(parts)
            case "REF", "G1" if loop == "2400":
                line.facts["authorization"] = parts[2].strip()
            case "REF", "6R" if parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 7:
                line.number = int(parts[2])
            case "NTE", _:
                line.facts["note"] = parts[2]
            case "LIN", _:
                line.drug["ndc"] = parts[3]
            case "CTP", _:
                line.drug |= {"quantity": head.quantity(parts[4], 4, Decimal(0)), "unit": head.parts_of(parts[5])[0]}
            case "AMT", _:
                head.amount(parts[2], 2)

    def of_service(self, line: _Line, code: str, charge: str, unit: str, units: str, at: tuple[int, int, int]) -> None:
        pieces = self.head.parts_of(code)
        line.facts |= {
            "procedure": pieces[1], "modifiers": tuple(one for one in pieces[2:6] if one),
            "charge": self.head.amount(charge, at[1]), "unit": unit or "UN",
            "units": self.head.quantity(units, at[2], Decimal(1)),
        }  # fmt: skip

    def of_decision(self, line: _Line, parts: list[str]) -> None:
        head = self.head
        if parts[0] == "SVD":
            pieces = head.parts_of(parts[3])
            self.prior = _Prior(
                line=line.number, paid=head.amount(parts[2], 2), procedure=pieces[1],
                units=head.quantity(parts[5], 5, Decimal(1)), payer=parts[1].strip(),
            )  # fmt: skip
            whose = [one for one in self.others if one.payer.facts.get("id") == self.prior.payer] or self.others[:1]
            if whose:
                whose[0].lines.append(self.prior)
        elif self.prior is not None and parts[0] == "CAS":
            self.prior.adjustments.extend(self.of_cas(parts))
        elif self.prior is not None and parts[0] == "DTP" and parts[1] == "573":
            self.prior.paid_on = head.day(parts[3], 3)

    # ---- the claim ----

    def claim(self) -> Claim:
        """All that was gathered, as a claim."""
        lines = tuple(self.line(one) for one in self.lines)
        days = sorted(one for line in lines for one in (line.served_from, line.served_to) if one)
        facts = self.facts
        if self.kind is ClaimKind.PROFESSIONAL and days:
            facts = facts | {"served_from": days[0], "served_to": days[-1]}
        parties: dict[str, Any] = {
            role: Party(address=one.address(), **one.facts) for role, one in self.parties.items()
        }
        frequency = Frequency(self.frequency) if self.frequency in set(Frequency) else Frequency.ORIGINAL
        accident = None
        if self.cause[0] and self.accident_on:
            accident = Accident(cause=self.cause[0], on=self.accident_on, state=self.cause[1])
        return Claim(
            kind=self.kind, frequency=frequency, patient=self.patient, billing=self.billing, pay_to=self.pay_to,
            insurance=(self.insurance, *(self.other(one) for one in self.others)), diagnoses=self.coded(), lines=lines,
            accident=accident, stay=self.hospital_stay(), **parties, **facts,
        )  # fmt: skip

    def line(self, one: _Line) -> ServiceLine:
        drug = None
        if one.drug.get("ndc"):
            drug = Drug(
                ndc=one.drug["ndc"], quantity=one.drug.get("quantity", Decimal(0)), unit=one.drug.get("unit", "")
            )
        return ServiceLine(number=one.number, drug=drug, **one.facts)

    def coded(self) -> tuple[Diagnosis, ...]:
        found = self.diagnoses
        if self.kind is ClaimKind.INSTITUTIONAL:
            found = sorted(found, key=lambda one: _ORDER.index(one[0]))
        return tuple(
            Diagnosis(sequence=count, code=code, kind=kind, present_on_admission=poa)
            for count, (kind, code, poa) in enumerate(found, 1)
        )

    def hospital_stay(self) -> Stay | None:
        if not self.stay and self.discharge is None:
            return None
        facts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.stay.items()
        }
        discharged: datetime | None = None
        last = self.facts.get("served_to")
        if isinstance(self.discharge, date):
            discharged = datetime.combine(self.discharge, time())
        elif self.discharge and last:
            discharged = read_moment(f"{last:%Y%m%d}{self.discharge}")
        return Stay(discharged_at=discharged, **facts)

    def other(self, one: _Other) -> Insurance:
        by_line = sum(prior.paid for prior in one.lines)
        prior = [_prior(found) for found in one.lines]
        says_more = one.adjustments or one.paid_on or (one.paid is not None and (not one.lines or one.paid != by_line))
        if says_more:
            whole = _Prior(0, by_line if one.paid is None else one.paid, one.adjustments, one.paid_on)
            prior.insert(0, _prior(whole))
        relationship = one.sbr[2] or "G8"
        who = Person(address=one.who.address(), **one.who.facts)
        payer = Payer(
            id=one.payer.facts.get("id", ""), name=one.payer.facts.get("name", ""), address=one.payer.address()
        )
        return insurance(
            one.sbr,
            relationship,
            who,
            one.member_id,
            payer,
            prior=tuple(prior),
            prior_icn=one.icn,
            remaining=one.remaining,
        )


def _prior(one: _Prior) -> PriorPayment:
    return PriorPayment(
        line=one.line, paid=one.paid, adjustments=tuple(one.adjustments), paid_on=one.paid_on, procedure=one.procedure,
        units=one.units,
    )  # fmt: skip
