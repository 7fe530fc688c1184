"""A payer that is still thinking says so in a 277, which a 277CA may not: it speaks of adjudication.

Spec: 005010X212 loops 2000A to 2200E; checked against pyx12's map. Sent unasked, as clearinghouses do with status.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from fhir_billing.domain.acknowledgment import ClaimStatus
from fhir_billing.x12.elements import clean, d8, money, rd8
from fhir_billing.x12.partners import Controls, Receiver, Sender, around, hhmm
from fhir_billing.x12.pieces import comp, name, seg, subscriber_loop
from fhir_billing.x12.read_837 import Submission, SubmittedClaim
from fhir_billing.x12.seal import seal

VERSION = "005010X212"


def write_277(
    submission: Submission, said: Sequence[ClaimStatus], *, sender: Sender, receiver: Receiver, controls: Controls,
    at: datetime, test: bool = False,
) -> bytes:  # fmt: skip
    """A 277 for some claims of one 837 set."""
    sent = {one.claim.id: one for one in submission.claims}
    control = f"{controls.set_start:04d}"
    reference = f"{controls.interchange:09d}-{control}"
    body = [
        seg("ST", "277", control, VERSION),
        seg("BHT", "0010", "08", reference, d8(at), hhmm(at), "DG"),
        seg("HL", "1", "", "20", "1"),
        seg("NM1", "PR", "2", clean(sender.name, 60), "", "", "", "", "PI", clean(sender.id)),
        seg("HL", "2", "1", "21", "1"),
        seg(
            "NM1", "41", "2", clean(submission.submitter_name, 60), "", "", "", "", "46", clean(submission.submitter_id)
        ),
    ]
    level = 2
    for status in said:
        for line in _claim(sent[status.claim], status, level, at):
            level += line.startswith("HL*")
            body.append(line)
    return seal(around(sender, receiver, controls, at, functional="HN", version=VERSION, test=test), [(control, body)])


def _claim(submitted: SubmittedClaim, status: ClaimStatus, level: int, at: datetime) -> Iterator[str]:
    claim = submitted.claim
    insurance = claim.insurance[0]
    own = insurance.relationship == "18"
    yield seg("HL", str(level + 1), "2", "19", "1")
    yield name("1P", claim.billing)
    yield seg("HL", str(level + 2), str(level + 1), "22", "0" if own else "1")
    yield subscriber_loop("IL", insurance.subscriber, insurance.member_id)
    if not own:
        yield seg("HL", str(level + 3), str(level + 2), "23")
        yield subscriber_loop("QC", claim.patient, "")
    yield seg("TRN", "2", clean(claim.id, 50))
    codes = [comp(one.category, one.status, one.entity) for one in status.codes[:3]] + [""] * 3
    charge = submitted.charge if status.charge is None else status.charge
    yield seg("STC", codes[0], d8(status.on or at), "", money(charge), "0", "", "", "", "", codes[1], codes[2])
    if status.icn:
        yield seg("REF", "1K", clean(status.icn, 50))
    yield seg("REF", "EJ", clean(claim.id, 38))
    if claim.served_from is not None:
        last = claim.served_to or claim.served_from
        span = ("D8", d8(last)) if last == claim.served_from else ("RD8", rd8(claim.served_from, last))
        yield seg("DTP", "472", *span)
