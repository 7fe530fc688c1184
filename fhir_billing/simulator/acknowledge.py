"""Before anybody decides a bill it is acknowledged three times, and at each step it may be turned away unread.

The interchange (TA1, only when it is broken), the set (999), the claim (277CA, one from each hop).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fhir_billing.domain.acknowledgment import (
    ClaimStatus,
    InterchangeAcknowledgment,
    Reach,
    SetAcknowledgment,
    SyntaxFault,
)
from fhir_billing.simulator.desk import Answer, Desk, file_name
from fhir_billing.simulator.pending import write_277
from fhir_billing.simulator.scenario import Face
from fhir_billing.simulator.verdict import Case, Hop, Verdict
from fhir_billing.x12.envelope import OpenedInterchange, TransactionSet
from fhir_billing.x12.grammar import Complaint
from fhir_billing.x12.partners import Receiver, Sender
from fhir_billing.x12.read_837 import Submission, SubmittedClaim
from fhir_billing.x12.write_acks import write_277ca, write_999, write_ta1

NOBODY = "UNKNOWN"
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided of one claim of one set."""

    submission: Submission
    submitted: SubmittedClaim
    case: Case
    verdict: Verdict
    rule: str

    @property
    def why(self) -> str:
        """One line for the person who wonders."""
        return f"{self.case.claim.id} ({self.rule}, attempt {self.case.attempt}): {self.verdict.why}"


def signed(face: Face) -> Sender:
    """A face as a sender."""
    return Sender(id=face.id, name=face.name, contact_name=face.name, contact_phone=face.phone)


def back_to(submission: Submission) -> Receiver:
    """Whoever sent the bill gets the answer."""
    return Receiver(id=submission.sender, name=submission.submitter_name, qualifier=submission.sender_qualifier)


# ---- the interchange ----------------------------------------------------------------------------------------------


def turned_away(desk: Desk, interchange: OpenedInterchange | None, complaint: Complaint, code: str = "") -> Answer:
    """A TA1 that rejects an interchange. One without a readable ISA is answered under the number zero."""
    isa = [part.strip() for part in interchange.text.elements(0)] if interchange else []
    isa += [""] * (17 - len(isa))
    controls = desk.controls()
    reason = code or _reason(complaint)
    number = isa[13] if isa[13].isdigit() else "000000000"
    body = write_ta1(
        [InterchangeAcknowledgment(control=number, code="R", reason=reason)],
        sender=Sender(id=isa[8] or desk.scenario.clearinghouse.id, name="", qualifier=isa[7] or "ZZ"),
        receiver=Receiver(id=isa[6] or NOBODY, name="", qualifier=isa[5] or "ZZ"),
        controls=controls,
        at=desk.at + desk.scenario.delays.acknowledged,
        sent_at=_sent_at(isa),
        test=isa[15] == "T",
    )
    return Answer(
        name=file_name(isa[8], "TA1", controls),
        body=body,
        after=desk.scenario.delays.acknowledged,
        why=f"interchange {number} is rejected ({reason}): {complaint}",
    )


def _sent_at(isa: list[str]) -> datetime | None:
    try:
        return datetime.strptime(isa[9] + isa[10], "%y%m%d%H%M")  # noqa: DTZ007 - X12 has no zone
    except ValueError:
        return None


def _reason(complaint: Complaint) -> str:
    """TA105 for the place where an envelope is broken."""
    known = {("IEA", 1): "021", ("IEA", 2): "001", ("ISA", 13): "018", ("ISA", 15): "020"}
    if complaint.key == "nesting":
        return "023" if "no " in complaint.say else "022"
    return known.get((complaint.id, complaint.element or 0), "022" if complaint.id in {"", "ISA", "IEA"} else "024")


# ---- the set ------------------------------------------------------------------------------------------------------


def faults_of(one: TransactionSet, complaints: Sequence[Complaint]) -> tuple[SyntaxFault, ...]:
    """Complaints about a set's segments, as its 999 names them: by the number in the set, not in the file."""
    found = []
    for complaint in complaints[:_MOST_FAULTS]:
        position = complaint.segment - one.interchange.first - one.first + 1
        if complaint.id in {"ST", "SE"}:
            found.append(SyntaxFault(code={"count": "4"}.get(complaint.key, "3" if complaint.element == 2 else "1")))
            continue
        where = str(complaint.element or "") + (
            f"-{complaint.component}" if complaint.component and complaint.element else ""
        )
        if where:
            code = {"amount": "6", "date": "8"}.get(complaint.key, "7")
        else:
            code = "2" if "no place" in complaint.say else "3"
        found.append(SyntaxFault(code=code, segment=complaint.id, position=position, element=where))
    if any(fault.segment for fault in found):
        found.append(SyntaxFault(code="5"))
    return tuple(found)


def placed(one: TransactionSet, faults: Sequence[SyntaxFault]) -> tuple[SyntaxFault, ...]:
    """Faults that name a segment without its number get the first of that name."""
    names = [segment.partition(one.interchange.delimiters.element)[0] for segment in one.segments]
    return tuple(
        replace(fault, position=names.index(fault.segment) + 1)
        if fault.segment in names and not fault.position
        else fault
        for fault in faults
    )


def of_sets(
    desk: Desk, interchange: OpenedInterchange, said: Sequence[SetAcknowledgment], why: str
) -> Iterator[Answer]:
    """The 999 of an interchange: one file for each guide that its groups are written by."""
    by_version: dict[tuple[str, str], list[SetAcknowledgment]] = defaultdict(list)
    groups = {group.control: group for group in interchange.groups}
    for one in said:
        group = groups[one.group_control]
        by_version[group.version, group.head.functional].append(one)
    for (version, functional), mine in by_version.items():
        head = groups[mine[0].group_control].head
        controls = desk.controls()
        body = write_999(
            mine,
            version=version,
            functional=functional,
            sender=Sender(id=head.receiver.strip(), name="", qualifier=head.receiver_qualifier),
            receiver=Receiver(id=head.sender.strip(), name="", qualifier=head.sender_qualifier),
            controls=controls,
            at=desk.at + desk.scenario.delays.acknowledged,
            test=head.is_test,
        )
        yield Answer(
            name=file_name(head.receiver, "999", controls), body=body, after=desk.scenario.delays.acknowledged, why=why
        )


# ---- the claim ----------------------------------------------------------------------------------------------------


def of_claims(desk: Desk, outcomes: Sequence[Outcome]) -> Iterator[Answer]:
    """Each hop's word on the claims of one set: 277CA, and 277 for those that pend."""
    told: dict[tuple[timedelta, bool, str, Hop], list[tuple[Outcome, ClaimStatus]]] = defaultdict(list)
    for outcome in outcomes:
        claim = outcome.case.claim
        for status in outcome.verdict.statuses:
            by_payer = status.by is Hop.PAYER
            face = desk.scenario.face(claim.payer.id, claim.payer.name) if by_payer else desk.scenario.clearinghouse
            said = ClaimStatus(
                claim=claim.id,
                codes=status.codes,
                on=(desk.at + status.after).date(),
                charge=outcome.submitted.charge,
                sender=face.id,
            )
            if by_payer and said.reach is not Reach.REJECTED:
                said = replace(said, icn=outcome.case.icn)
            told[status.after, status.pending, face.id, status.by].append((outcome, said))
    for (after, pending, _, by), pairs in sorted(told.items(), key=lambda item: item[0][:2]):
        yield _told(desk, after, by, pairs, pending=pending)


def _told(
    desk: Desk, after: timedelta, by: Hop, pairs: Sequence[tuple[Outcome, ClaimStatus]], *, pending: bool
) -> Answer:
    first = pairs[0][0]
    submission, payer = first.submission, first.case.claim.payer
    face = desk.scenario.face(payer.id, payer.name) if by is Hop.PAYER else desk.scenario.clearinghouse
    said = [status for _, status in pairs]
    controls = desk.controls()
    if pending:
        body = write_277(
            submission, said, sender=signed(face), receiver=back_to(submission), controls=controls, at=desk.at + after,
            test=submission.is_test,
        )  # fmt: skip
    else:
        body = write_277ca(
            submission, said, sender=signed(face), receiver=back_to(submission), controls=controls, at=desk.at + after,
            role="PR" if by is Hop.PAYER else "AY", test=submission.is_test,
        )  # fmt: skip
    return Answer(
        name=file_name(face.id, "277" if pending else "277CA", controls),
        body=body,
        after=after,
        why="\n".join(outcome.why for outcome, _ in pairs),
    )
