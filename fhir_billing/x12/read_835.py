"""An 835 explains a payment: each claim's charge less its adjustments, and the check less what the payer takes back.

One pass over the segments; amounts and dates that cannot be read are complaints with their place. Whether the
sums agree is asked of the remittance itself (`domain.remittance.out_of_balance`).
Spec: 005010X221A1 loops 1000A to 2110 and PLB.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, ProviderAdjustment, Remittance, out_of_balance
from fhir_billing.x12.elements import read_money, read_quantity, read_span
from fhir_billing.x12.envelope import MOST_COMPLAINTS, Refused, TransactionSet, opened
from fhir_billing.x12.grammar import Complaint, Delimiters, Weight
from fhir_billing.x12.guides import day

_GROUPS = {group.value: group for group in Group}
_ONE = Decimal(1)


def remittances(data: bytes) -> list[Remittance]:
    """Each 835 set of a file; raises `Refused` when envelopes, amounts or dates are wrong. Balances are the caller's."""
    reading = opened(data)
    found: list[Remittance] = []
    wrong: list[Complaint] = []
    for one in reading.sets:
        if one.set_id == "835":
            remittance, complaints = decode(one)
            found.append(remittance)
            wrong.extend(complaints)
    if any(complaint.severity is Weight.ERROR for complaint in wrong):
        raise Refused(wrong)
    return found


def decode(one: TransactionSet) -> tuple[Remittance, list[Complaint]]:
    """One set as a remittance, and what in it cannot be read."""
    with _collector_resting():
        reader = _Reader(one)
        return reader.read(), reader.complaints


def imbalances(one: TransactionSet, remittance: Remittance) -> list[Complaint]:
    """The sums that fail, each with its arithmetic and its place."""
    complaints = []
    for failed in out_of_balance(remittance)[:MOST_COMPLAINTS]:
        complaints.append(
            one.interchange.complain(
                one.first + max(failed.position, 1) - 1, failed.say(), fix="ask the payer for a corrected 835",
                element=int(failed.segment[-2:]), key="balance",
            )
        )  # fmt: skip
    return complaints


def digest(segments: Sequence[str], marks: Delimiters) -> str:
    """SHA-256 of a set from BPR to before SE: line breaks, delimiters and control numbers do not change it."""
    text = "\x1e".join(segments[1:-1])
    for mark, standard in ((marks.element, "\x1d"), (marks.component, "\x1f")):
        text = text.replace(mark, standard)
    return sha256(text.encode("utf-8")).hexdigest()


@contextmanager
def _collector_resting() -> Iterator[None]:
    """A hundred thousand small values hold no cycles; looking for some costs more than reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _Open:
    """A claim or a line whose segments are still coming."""

    facts: dict[str, Any]
    adjustments: list[Adjustment] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lines: list[LinePayment] = field(default_factory=list)
    shifted: list[str] | None = None
    """The elements of an SVC whose code was cut off from its qualifier by the wrong separator."""


class _Reader:
    """State of one pass: the head, the claim and the line that are open."""

    def __init__(self, one: TransactionSet) -> None:
        self.set = one
        self.mark = one.interchange.delimiters.element
        self.component = one.interchange.delimiters.component
        self.complaints: list[Complaint] = []
        self.amounts: dict[str, Money] = {}
        self.dates: dict[str, date] = {}
        self.quantities: dict[str, Decimal] = {"": _ONE}
        self.head: dict[str, Any] = {"payer_id": "", "payer_name": "", "trace": "", "paid": 0}
        self.payer_number = ""
        self.claim: _Open | None = None
        self.line: _Open | None = None
        self.claims: list[ClaimPayment] = []
        self.provider_adjustments: list[ProviderAdjustment] = []
        self.position = 0

    def read(self) -> Remittance:
        segments = self.set.segments
        mark = self.mark
        known = {
            "CAS": self.cas, "SVC": self.svc, "DTM": self.dtm, "REF": self.ref, "AMT": self.amt, "CLP": self.clp,
            "NM1": self.nm1, "LQ": self.lq, "MOA": self.moa, "MIA": self.mia, "PLB": self.plb, "BPR": self.bpr,
            "TRN": self.trn, "N1": self.n1, "LX": self.lx,
        }  # fmt: skip
        for position, segment in enumerate(segments, 1):
            parts = segment.split(mark)
            take = known.get(parts[0])
            if take is not None:
                self.position = position
                take(parts)
        self.close_claim()
        if "position" not in self.head:
            self.wrong(0, "the set has no BPR", key="nesting", at=1)
        if not self.head["trace"]:
            self.wrong(0, "the set has no trace number (TRN02)", key="nesting", at=1, weight=Weight.WARNING)
        self.head["payer_id"] = self.head["payer_id"] or self.payer_number
        return Remittance(
            **self.head,
            control=self.set.control,
            digest=digest(segments, self.set.interchange.delimiters),
            is_test=self.set.is_test,
            claims=tuple(self.claims),
            provider_adjustments=tuple(self.provider_adjustments),
        )

    # ---- elements ----

    def wrong(self, element: int, say: str, *, key: str, at: int = 0, weight: Weight = Weight.ERROR) -> None:
        if len(self.complaints) < MOST_COMPLAINTS:
            index = self.set.first + (at or self.position) - 1
            fix = "ask the payer for a corrected 835" if weight is Weight.ERROR else ""
            one = self.set.interchange.complain(index, say, fix=fix, element=element or None, key=key, severity=weight)
            self.complaints.append(one)

    def amount(self, parts: list[str], element: int, *, required: bool = True) -> Money:
        text = parts[element] if element < len(parts) else ""
        known = self.amounts.get(text)
        if known is not None:
            return known
        found = read_money(text)
        if found is None:
            if text or required:
                self.wrong(element, f"{text[:20]!r} is no amount" if text else "the amount is missing", key="amount")
            return 0
        self.amounts[text] = found
        return found

    def day(self, parts: list[str], element: int) -> date | None:
        text = parts[element] if element < len(parts) else ""
        known = self.dates.get(text)
        if known is not None:
            return known
        found = day(text)
        if found is None:
            if text:
                self.wrong(element, f"{text[:20]!r} is no date", key="date")
            return None
        self.dates[text] = found
        return found

    def quantity(self, parts: list[str], element: int) -> Decimal | None:
        text = parts[element] if element < len(parts) else ""
        known = self.quantities.get(text)
        if known is not None:
            return known
        found = read_quantity(text)
        if found is None:
            self.wrong(element, f"{text[:20]!r} is no quantity", key="amount")
            return None
        self.quantities[text] = found
        return found

    # ---- segments ----

    def bpr(self, parts: list[str]) -> None:
        self.head["position"] = self.position
        self.head["paid"] = self.amount(parts, 2)
        self.head["handling"] = parts[1] if len(parts) > 1 else ""
        self.head["method"] = parts[4] if len(parts) > 4 else ""
        self.head["paid_on"] = self.day(parts, 16)

    def trn(self, parts: list[str]) -> None:
        if not self.head["trace"]:
            self.head["trace"] = parts[2].strip() if len(parts) > 2 else ""
            self.head["payer_id"] = parts[3].strip() if len(parts) > 3 else ""

    def n1(self, parts: list[str]) -> None:
        parts += [""] * (5 - len(parts))
        if parts[1] == "PR" and not self.head["payer_name"]:
            self.head["payer_name"], self.payer_number = parts[2], parts[4].strip()
        elif parts[1] == "PE":
            self.head["payee_name"] = parts[2]
            self.head["payee_npi"] = parts[4].strip() if parts[3] == "XX" else ""

    def lx(self, _parts: list[str]) -> None:
        self.close_claim()

    def clp(self, parts: list[str]) -> None:
        self.close_claim()
        parts += [""] * (10 - len(parts))
        if not parts[1].strip():
            self.wrong(1, "the claim has no number", key="nesting", weight=Weight.WARNING)
        self.claim = _Open(
            {
                "claim": parts[1].strip(), "status": parts[2], "charge": self.amount(parts, 3), "paid": self.amount(parts, 4),
                "patient_share": self.amount(parts, 5, required=False), "filing_indicator": parts[6],
                "icn": parts[7].strip(), "facility": parts[8], "frequency": parts[9], "position": self.position,
            }
        )  # fmt: skip

    def svc(self, parts: list[str]) -> None:
        self.close_line()
        parts += [""] * (8 - len(parts))
        code = parts[1].split(self.component)
        procedure = code[1] if len(code) > 1 else ""
        revenue = procedure if code[0] == "NU" else parts[4]
        if self.claim is None:
            self.wrong(0, "SVC outside a claim: no CLP", key="nesting")
        billed = parts[6].split(self.component)
        self.line = _Open(
            {
                "procedure": procedure or revenue, "modifiers": tuple(one for one in code[2:6] if one),
                "revenue_code": revenue, "charge": self.amount(parts, 2), "paid": self.amount(parts, 3),
                "units": self.quantity(parts, 5) or Decimal(0),
                "billed_procedure": billed[1] if len(billed) > 1 else "", "position": self.position,
            }
        )  # fmt: skip
        if not procedure:
            self.line.shifted = [parts[0], f"{parts[1]}{self.component}{parts[2]}", *parts[3:], ""]

    def cas(self, parts: list[str]) -> None:
        target = self.line or self.claim
        if target is None:
            self.wrong(0, "CAS outside a claim: no CLP", key="nesting")
            return
        group = _GROUPS.get(parts[1] if len(parts) > 1 else "")
        if group is None:
            self.wrong(1, "the adjustment's group is none of CO, PR, OA, PI, CR", key="nesting")
            return
        size = len(parts)
        for place in range(2, min(size, 20), 3):
            reason = parts[place]
            if not reason and not (place + 1 < size and parts[place + 1]):
                continue
            amount = self.amount(parts, place + 1)
            counted = self.quantity(parts, place + 2) if place + 2 < size and parts[place + 2] else None
            target.adjustments.append(Adjustment(group=group, reason=reason, amount=amount, quantity=counted))

    def dtm(self, parts: list[str]) -> None:
        kind = parts[1] if len(parts) > 1 else ""
        when = self.day(parts, 2)
        if when is None and len(parts) > 6 and parts[5] == "RD8":
            span = read_span(parts[6])
            if span is None:
                self.wrong(6, f"{parts[6][:20]!r} is no range of dates", key="date")
            else:
                when = span[0]
        if self.line is not None:
            if kind == "472" or (kind == "150" and "served_on" not in self.line.facts):
                self.line.facts["served_on"] = when
        elif self.claim is not None:
            name = {"232": "served_from", "233": "served_to", "050": "received_on"}.get(kind)
            if name:
                self.claim.facts[name] = when

    def ref(self, parts: list[str]) -> None:
        if self.line is not None and len(parts) > 2 and parts[1] == "6R":
            self.line.facts["control"] = parts[2].strip()

    def amt(self, parts: list[str]) -> None:
        amount = self.amount(parts, 2)
        kind = parts[1] if len(parts) > 1 else ""
        if self.line is not None:
            if kind == "B6":
                self.line.facts["allowed"] = amount
        elif self.claim is not None and kind == "I":
            self.claim.facts["interest"] = self.claim.facts.get("interest", 0) + amount

    def nm1(self, parts: list[str]) -> None:
        if self.claim is None:
            return
        parts += [""] * (10 - len(parts))
        facts = self.claim.facts
        match parts[1]:
            case "QC":
                facts["patient_family"], facts["patient_given"] = parts[3].strip(), parts[4].strip()
                facts.setdefault("member_id", parts[9].strip())
            case "IL" if parts[9].strip():
                facts["member_id"] = parts[9].strip()
            case "TT":
                facts["next_payer"] = parts[3].strip() or parts[9].strip()
            case "PR":
                facts["other_payer"] = parts[3].strip() or parts[9].strip()

    def lq(self, parts: list[str]) -> None:
        if self.line is not None and len(parts) > 2 and parts[1] == "HE" and parts[2]:
            self.line.remarks.append(parts[2])

    def moa(self, parts: list[str]) -> None:
        if self.claim is not None:
            self.claim.remarks.extend(one for one in parts[3:8] if one)

    def mia(self, parts: list[str]) -> None:
        if self.claim is not None:
            self.claim.remarks.extend(one for one in (*parts[5:6], *parts[20:24]) if one)

    def plb(self, parts: list[str]) -> None:
        self.close_claim()
        self.day(parts, 2)
        for place in range(3, min(len(parts), 15), 2):
            if not parts[place] and not (place + 1 < len(parts) and parts[place + 1]):
                continue
            reason, _, reference = parts[place].partition(self.component)
            amount = self.amount(parts, place + 1)
            self.provider_adjustments.append(
                ProviderAdjustment(
                    reason=reason, reference=reference.strip(), amount=amount, provider=parts[1], position=self.position
                )
            )

    # ---- ends ----

    def close_line(self) -> None:
        line, claim = self.line, self.claim
        if line is None:
            return
        self.line = None
        if line.shifted:
            self.unshift(line, line.shifted)
        if claim is not None:
            made = LinePayment(adjustments=tuple(line.adjustments), remarks=tuple(line.remarks), **line.facts)
            claim.lines.append(made)

    def unshift(self, line: _Open, parts: list[str]) -> None:
        """`SVC*HC*99213*100*80` for `SVC*HC:99213*100*80`: read so only when the line then balances, and not before."""
        taken = sum(one.amount for one in line.adjustments)
        charge, paid = read_money(parts[2]), read_money(parts[3])
        if (
            line.facts["charge"] - taken != line.facts["paid"]
            and charge is not None
            and paid is not None
            and charge - taken == paid
        ):
            code = parts[1].split(self.component)[1].strip()
            line.facts |= {"charge": charge, "paid": paid, "procedure": code, "revenue_code": parts[4]}
            line.facts["units"] = read_quantity(parts[5]) or _ONE
            say = "the service's code stands in an element of its own; read as part of SVC01, for so the line balances"
            self.wrong(1, say, key="guide", at=line.facts["position"], weight=Weight.WARNING)

    def close_claim(self) -> None:
        self.close_line()
        claim = self.claim
        if claim is None:
            return
        self.claim = None
        self.claims.append(
            ClaimPayment(
                adjustments=tuple(claim.adjustments),
                lines=tuple(claim.lines),
                remarks=tuple(claim.remarks),
                **claim.facts,
            )
        )
