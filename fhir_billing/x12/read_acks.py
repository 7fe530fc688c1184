"""An answer to a bill comes in three layers: the interchange (TA1), the set (999), the claim (277CA), and none pays.

A 999 speaks of whole sets: one letter in it is the fate of every claim inside. A 277CA speaks of each claim, one
from each hop on the way. A 997 is the 999's older sister and is read as one.
Spec: 005010X231A1 loops 2000 to 2110, 005010X214 loops 2000A to 2220D, 005010X212 (277), X12.5 TA1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from fhir_billing.domain.acknowledgment import (
    ClaimStatus,
    InterchangeAcknowledgment,
    Reach,
    SetAcknowledgment,
    StatusCode,
    SyntaxFault,
)
from fhir_billing.domain.money import Money
from fhir_billing.x12.elements import read_money, read_span
from fhir_billing.x12.envelope import OpenedInterchange, Refused, TransactionSet, opened
from fhir_billing.x12.grammar import Complaint, Weight
from fhir_billing.x12.guides import day

Acknowledgment: TypeAlias = InterchangeAcknowledgment | SetAcknowledgment | ClaimStatus


def acknowledgments(data: bytes) -> list[Acknowledgment]:
    """Each TA1, set and claim that a file speaks of, in its order; raises `Refused` when the file is not sound."""
    reading = opened(data)
    found: list[Acknowledgment] = []
    wrong: list[Complaint] = []
    for interchange in reading.interchanges:
        found.extend(notes(interchange))
        for group in interchange.groups:
            for one in group.sets:
                said, complaints = decode(one)
                found.extend(said)
                wrong.extend(complaints)
    if any(complaint.severity is Weight.ERROR for complaint in wrong):
        raise Refused(wrong)
    return found


def notes(interchange: OpenedInterchange) -> list[InterchangeAcknowledgment]:
    """The TA1 segments of an interchange."""
    found = []
    for index in interchange.notes:
        parts = _padded(interchange.text.elements(index), 6)
        found.append(
            InterchangeAcknowledgment(control=parts[1].strip(), code=parts[4].strip(), reason=parts[5].strip())
        )
    return found


def decode(one: TransactionSet) -> tuple[list[Acknowledgment], list[Complaint]]:
    """What one set says: 999 and 997 of sets, 277CA and 277 of claims, TA1 as a set of its own; others say nothing here."""
    if one.set_id in {"999", "997"}:
        return list(_of_sets(one)), []
    if one.set_id == "277":
        reader = _Statuses(one)
        return list(reader.read()), reader.complaints
    return [], []


def _padded(parts: list[str], size: int) -> list[str]:
    return parts + [""] * (size + 1 - len(parts))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


# ---- 999 ----------------------------------------------------------------------------------------------------------


def _of_sets(one: TransactionSet) -> list[SetAcknowledgment]:
    """One for each AK2; for a group that lists none, one with an empty `set_control` that stands for all of them."""
    mark, component = one.interchange.delimiters.element, one.interchange.delimiters.component
    drafts: list[dict[str, str]] = []
    faults: list[list[SyntaxFault]] = []
    group, kind, group_code = "", "", ""
    for segment in one.segments:
        parts = _padded(segment.split(mark), 9)
        match parts[0]:
            case "AK1":
                group = parts[2].strip()
                kind = {"HC": "837", "HP": "835", "HN": "277", "HR": "276", "HS": "270", "FA": "999"}.get(parts[1], "")
            case "AK2":
                drafts.append({"kind": parts[1], "set_control": parts[2].strip(), "code": ""})
                faults.append([])
            case "IK3" | "AK3" if drafts:
                fault = SyntaxFault(segment=parts[1], position=_number(parts[2]), loop=parts[3], code=parts[4])
                faults[-1].append(fault)
            case "IK4" | "AK4" if drafts and faults[-1]:
                above = faults[-1][-1]
                element = "-".join(part for part in parts[1].split(component)[:2] if part)
                fault = SyntaxFault(
                    segment=above.segment, position=above.position, loop=above.loop, element=element, code=parts[3],
                    value=parts[4],
                )  # fmt: skip
                faults[-1].append(fault)
            case "IK5" | "AK5" if drafts:
                drafts[-1]["code"] = parts[1].strip()
                faults[-1].extend(SyntaxFault(code=code) for code in parts[2:7] if code)
            case "AK9":
                group_code = parts[1].strip()
    if not drafts and group_code:
        drafts, faults = [{"kind": kind, "set_control": "", "code": group_code}], [[]]
    return [
        SetAcknowledgment(
            group_control=group, set_control=draft["set_control"], kind=draft["kind"], code=draft["code"] or group_code,
            faults=tuple(found), group_code=group_code,
        )
        for draft, found in zip(drafts, faults, strict=True)
    ]  # fmt: skip


# ---- 277CA and 277 ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _OpenStatus:
    level: str
    trace: str = ""
    patient_control: str = ""
    icn: str = ""
    codes: list[StatusCode] = field(default_factory=list)
    line_codes: list[StatusCode] = field(default_factory=list)
    on: date | None = None
    action: str = ""
    charge: Money | None = None
    position: int = 0
    texts: list[str] = field(default_factory=list)
    in_line: bool = False


class _Statuses:
    """Walks the levels of a 277: source 20, receiver 21, provider 19, patient PT (277CA) or 22 and 23 (277)."""

    def __init__(self, one: TransactionSet) -> None:
        self.set = one
        self.component = one.interchange.delimiters.component
        self.complaints: list[Complaint] = []
        self.found: list[ClaimStatus] = []
        self.open: _OpenStatus | None = None
        self.level = ""
        self.sender = ""

    def read(self) -> list[ClaimStatus]:
        mark = self.set.interchange.delimiters.element
        for position, segment in enumerate(self.set.segments, 1):
            parts = _padded(segment.split(mark), 12)
            match parts[0]:
                case "HL":
                    self.close()
                    self.level = parts[3]
                case "NM1" if self.level == "20":
                    self.sender = self.sender or parts[9].strip()
                case "TRN":
                    self.close()
                    self.open = _OpenStatus(self.level, trace=parts[2].strip(), position=position)
                case "STC":
                    self.open = self.open or _OpenStatus(self.level, position=position)
                    self.stc(self.open, parts, position)
                case "REF" if self.open is not None:
                    if parts[1] == "1K":
                        self.open.icn = self.open.icn or parts[2].strip()
                    elif parts[1] == "EJ":
                        self.open.patient_control = parts[2].strip()
                case "SVC" if self.open is not None:
                    self.open.in_line = True
                case "DTP" if parts[2] in {"D8", "RD8"} and read_span(parts[3]) is None:
                    self.wrong(position, 3, f"{parts[3][:20]!r} is no date", "date")
        self.close()
        return self.found

    def stc(self, status: _OpenStatus, parts: list[str], position: int) -> None:
        codes = []
        for text in (parts[1], parts[10], parts[11]):
            if text:
                pieces = _padded(text.split(self.component), 3)
                codes.append(StatusCode(category=pieces[0], status=pieces[1], entity=pieces[2]))
        if status.in_line:
            status.line_codes.extend(codes)
            return
        if not status.codes:
            status.position = position
        status.codes.extend(codes)
        if parts[2]:
            when = day(parts[2])
            status.on = status.on or when
            if when is None:
                self.wrong(position, 2, f"{parts[2][:20]!r} is no date", "date")
        status.action = status.action or parts[3].strip()
        if parts[4]:
            amount = read_money(parts[4])
            if amount is None:
                self.wrong(position, 4, f"{parts[4][:20]!r} is no amount", "amount")
            elif status.charge is None:
                status.charge = amount
        if parts[12]:
            status.texts.append(parts[12])

    def close(self) -> None:
        """A patient's status is kept; a receiver's or provider's only when it rejects, for then no patient follows."""
        status, self.open = self.open, None
        if status is None:
            return
        of_claim = status.level not in {"20", "21", "19"}
        made = ClaimStatus(
            claim=(status.patient_control or status.trace) if of_claim else "",
            codes=tuple(status.codes or status.line_codes), on=status.on, action=status.action, charge=status.charge,
            icn=status.icn, sender=self.sender, position=status.position,
            text=" ".join(status.texts) if of_claim else f"batch {status.trace} {' '.join(status.texts)}".strip(),
        )  # fmt: skip
        if made.codes and (of_claim or made.reach is Reach.REJECTED):
            self.found.append(made)

    def wrong(self, position: int, element: int, say: str, key: str) -> None:
        index = self.set.first + position - 1
        self.complaints.append(
            self.set.interchange.complain(
                index, say, fix="ask the sender for a corrected file", element=element, key=key
            )
        )
