"""A bill read back is the same bill: the payer's side of an 837, and the proof that what we wrote says what we meant.

Lenient in what it takes (a segment out of its loop is read where it stands), exact in what it says of it: what
cannot be read is a complaint with its place.
Spec: 005010X222A1, 005010X223A2; dental bills and other guides give their claims' numbers and sums only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir_billing.domain.claim import Claim, ClaimKind
from fhir_billing.domain.money import Money
from fhir_billing.x12.elements import read_money
from fhir_billing.x12.envelope import MOST_COMPLAINTS, Refused, TransactionSet, opened
from fhir_billing.x12.grammar import Complaint, Weight
from fhir_billing.x12.guides import g837i, g837p
from fhir_billing.x12.guides.loops import walk
from fhir_billing.x12.read_claim import Draft
from fhir_billing.x12.read_head import Head

GUIDES = {"837P": g837p.GUIDE, "837I": g837i.GUIDE}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedClaim:
    """One claim as it was sent: `charge` is CLM02 as written, `position` its CLM segment's number in the set."""

    claim: Claim
    charge: Money
    position: int
    set_position: int
    """Index of the CLM among the interchange's segments, for complaints."""
    bill_type: str = ""
    """CLM05-3 as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One 837 set with all that an answer must repeat."""

    kind: str
    interchange_control: str
    group_control: str
    set_control: str
    version: str
    sender: str
    sender_qualifier: str
    receiver: str
    receiver_qualifier: str
    is_test: bool
    reference: str
    """BHT03."""
    sent_on: date | None
    submitter_id: str
    submitter_name: str
    receiver_id: str
    receiver_name: str
    claims: tuple[SubmittedClaim, ...]


def claims(data: bytes) -> list[Claim]:
    """Each claim of a file's 837P and 837I sets; raises `Refused` when the file is not sound."""
    return [one.claim for submission in submissions(data) for one in submission.claims]


def submissions(data: bytes) -> list[Submission]:
    """Each 837P and 837I set of a file; raises `Refused` when the file is not sound."""
    reading = opened(data)
    found, wrong = [], []
    for one in reading.sets:
        if one.kind in GUIDES:
            submission, complaints = decode(one)
            found.append(submission)
            wrong.extend(complaints)
    if any(complaint.severity is Weight.ERROR for complaint in wrong):
        raise Refused(wrong)
    return found


def decode(one: TransactionSet) -> tuple[Submission, list[Complaint]]:
    """One set as a submission, and what in it cannot be read."""
    reader = _Reader(one)
    return reader.read(), reader.complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What any 837 says of a claim, a dental one too: its number, CLM02, and the sum of its lines."""

    claim: str
    charge: Money
    lines: Money
    count: int


def outline(one: TransactionSet) -> tuple[list[Outline], list[Complaint]]:
    """Each claim's number and sums, of a set whose guide we do not read further."""
    at = {"SV1": 2, "SV2": 3, "SV3": 2}
    found: list[tuple[str, Money, list[Money]]] = []
    wrong: list[Complaint] = []

    def amount(index: int, parts: list[str], element: int) -> Money:
        said = read_money(parts[element]) if len(parts) > element else None
        if said is None and len(wrong) < MOST_COMPLAINTS:
            wrong.append(one.interchange.complain(index, "the charge is no amount", element=element, key="amount"))
        return said or 0

    for index in range(one.first, one.last):
        parts = one.interchange.elements(index)
        if parts[0] == "CLM":
            found.append((parts[1] if len(parts) > 1 else "", amount(index, parts, 2), []))
        elif parts[0] in at and found:
            found[-1][2].append(amount(index, parts, at[parts[0]]))
    outlines = [
        Outline(claim=claim, charge=charge, lines=sum(lines), count=len(lines)) for claim, charge, lines in found
    ]
    return outlines, wrong


@dataclass(slots=True)
class _Reader:
    set: TransactionSet
    complaints: list[Complaint] = field(default_factory=list)
    position: int = 0

    def read(self) -> Submission:
        one = self.set
        marks = one.interchange.delimiters
        head = Head(marks.component, marks.repetition, self.wrong)
        facts: dict[str, Any] = {
            "reference": "",
            "submitter_id": "",
            "submitter_name": "",
            "receiver_id": "",
            "receiver_name": "",
        }
        sent_on: date | None = None
        found: list[SubmittedClaim] = []
        draft: Draft | None = None
        kind = ClaimKind(one.kind)
        place_id = ""
        for step in walk(GUIDES[one.kind], one.segments, marks.element):
            self.position = step.position
            parts = step.parts + [""] * (20 - len(step.parts))
            place_id = step.place.id if step.place else place_id
            if parts[0] in {"HL", "CLM", "SE"} and draft is not None:
                found.append(self.submitted(draft))
                draft = None
            if parts[0] == "CLM":
                draft = Draft(kind, head, parts, step.position)
            elif draft is not None:
                draft.take(place_id, parts, step.place)
            elif parts[0] == "BHT":
                facts["reference"] = parts[3]
                sent_on = head.day(parts[4], 4)
            elif parts[0] == "NM1" and parts[1] == "41":
                facts["submitter_name"], facts["submitter_id"] = parts[3], parts[9].strip()
            elif parts[0] == "NM1" and parts[1] == "40":
                facts["receiver_name"], facts["receiver_id"] = parts[3], parts[9].strip()
            else:
                head.take(place_id, parts)
        if draft is not None:
            found.append(self.submitted(draft))
        around = one.group
        return Submission(
            kind=one.kind, interchange_control=around.interchange_control, group_control=around.control,
            set_control=one.control, version=one.version, sender=around.sender, sender_qualifier=around.sender_qualifier,
            receiver=around.receiver, receiver_qualifier=around.receiver_qualifier, is_test=around.is_test, sent_on=sent_on,
            claims=tuple(found), **facts,
        )  # fmt: skip

    def submitted(self, draft: Draft) -> SubmittedClaim:
        return SubmittedClaim(
            claim=draft.claim(), charge=draft.charge, position=draft.position, bill_type=draft.frequency,
            set_position=self.set.first + draft.position - 1,
        )  # fmt: skip

    def wrong(self, element: int, say: str, key: str, weight: Weight = Weight.ERROR) -> None:
        if len(self.complaints) < MOST_COMPLAINTS:
            index = self.set.first + self.position - 1
            fix = "correct it and send the file again" if weight is Weight.ERROR else ""
            one = self.set.interchange.complain(index, say, fix=fix, element=element or None, key=key, severity=weight)
            self.complaints.append(one)
