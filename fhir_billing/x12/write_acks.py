"""The other side answers three times: the interchange came (TA1), the set could be read (999), the claim is in (277CA).

Each answer repeats the numbers of what it answers, and nothing else ties them together.
Spec: X12.5 TA1; 005010X231A1; 005010X214.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from fhir_billing.domain.acknowledgment import ClaimStatus, InterchangeAcknowledgment, Reach, SetAcknowledgment
from fhir_billing.domain.claim import Party
from fhir_billing.domain.money import total
from fhir_billing.x12.elements import clean, d8, money, rd8
from fhir_billing.x12.partners import Controls, Receiver, Sender, around, hhmm
from fhir_billing.x12.pieces import comp, seg, subscriber_loop
from fhir_billing.x12.pieces import name as party_name
from fhir_billing.x12.read_837 import Submission, SubmittedClaim
from fhir_billing.x12.seal import seal

_ACCEPTED = frozenset({"A", "E"})


def write_ta1(
    said: Sequence[InterchangeAcknowledgment], *, sender: Sender, receiver: Receiver, controls: Controls, at: datetime,
    sent_at: datetime | None = None, test: bool = False,
) -> bytes:  # fmt: skip
    """An interchange of TA1 segments. `sent_at` is the date and time of the interchange that is answered."""
    when = sent_at or at
    lines = [
        seg("TA1", one.control, when.strftime("%y%m%d"), hhmm(when), one.code, one.reason or "000") for one in said
    ]
    return seal(around(sender, receiver, controls, at, functional="TA", version="00501", test=test), [], notes=lines)


def write_999(
    said: Sequence[SetAcknowledgment], *, version: str, sender: Sender, receiver: Receiver, controls: Controls, at: datetime,
    functional: str = "HC", test: bool = False,
) -> bytes:  # fmt: skip
    """A 999 for each group that is answered. `version` and `functional` are the answered group's GS08 and GS01."""
    sets = []
    for count, (group, members) in enumerate(groupby(said, lambda one: one.group_control)):
        control = f"{controls.set_start + count:04d}"
        sets.append((control, list(_of_group(group, list(members), control, version, functional))))
    return seal(around(sender, receiver, controls, at, functional="FA", version="005010X231A1", test=test), sets)


def _of_group(group: str, said: list[SetAcknowledgment], control: str, version: str, functional: str) -> Iterator[str]:
    yield seg("ST", "999", control, "005010X231A1")
    yield seg("AK1", functional, group, version)
    for one in said:
        if one.set_control:
            yield seg("AK2", one.kind, one.set_control, version)
            yield from _faults(one)
            codes = [fault.code for fault in one.faults if not fault.segment][:5]
            yield seg("IK5", one.code, *codes)
    taken = sum(one.code in _ACCEPTED for one in said)
    yield seg("AK9", group_letter(said), str(len(said)), str(len(said)), str(taken))


def group_letter(said: Sequence[SetAcknowledgment]) -> str:
    """AK901: A all taken, E taken with errors, P some, R none."""
    given = {one.group_code for one in said if one.group_code}
    if len(given) == 1:
        return given.pop()
    taken = [one for one in said if one.code in _ACCEPTED]
    if len(taken) == len(said):
        return "E" if any(one.code == "E" for one in said) else "A"
    return "P" if taken else "R"


def _faults(one: SetAcknowledgment) -> Iterator[str]:
    above: tuple[str, int] | None = None
    for fault in one.faults:
        if not fault.segment:
            continue
        here = (fault.segment, fault.position)
        if not fault.element:
            yield seg("IK3", fault.segment, str(fault.position), fault.loop, fault.code)
        else:
            if above != here:  # 8: the segment has elements in error
                yield seg("IK3", fault.segment, str(fault.position), fault.loop, "8")
            yield seg("IK4", comp(*fault.element.split("-")), "", fault.code, clean(fault.value, 99))
        above = here


def write_277ca(
    submission: Submission, said: Sequence[ClaimStatus], *, sender: Sender, receiver: Receiver, controls: Controls,
    at: datetime, role: str = "PR", test: bool = False,
) -> bytes:  # fmt: skip
    """A 277CA for the claims of one 837 set. `role` is PR for a payer, AY for a clearinghouse on the way."""
    sent = {one.claim.id: one for one in submission.claims}
    unknown = [one.claim for one in said if one.claim not in sent]
    if unknown:
        raise ValueError(f"{len(unknown)} statuses name claims that the submission does not hold")
    control = f"{controls.set_start:04d}"
    pairs = [(sent[one.claim], one) for one in said]
    body = list(_statuses(submission, pairs, sender, control, f"{controls.interchange:09d}-{control}", at, role))
    envelope = around(sender, receiver, controls, at, functional="HN", version="005010X214", test=test)
    return seal(envelope, [(control, body)])


def _statuses(
    submission: Submission, pairs: Sequence[tuple[SubmittedClaim, ClaimStatus]], sender: Sender, control: str, reference: str,
    at: datetime, role: str,
) -> Iterator[str]:  # fmt: skip
    today = d8(at)
    yield seg("ST", "277", control, "005010X214")
    yield seg("BHT", "0085", "08", reference, today, hhmm(at), "TH")
    yield seg("HL", "1", "", "20", "1")
    yield seg(
        "NM1", role, "2", clean(sender.name, 60), "", "", "", "", "PI" if role == "PR" else "46", clean(sender.id)
    )
    yield seg("TRN", "1", reference)
    yield seg("DTP", "050", "D8", today)
    yield seg("DTP", "009", "D8", today)
    yield seg("HL", "2", "1", "21", "1")
    yield seg(
        "NM1", "41", "2", clean(submission.submitter_name, 60), "", "", "", "", "46", clean(submission.submitter_id)
    )
    yield seg("TRN", "2", clean(submission.reference, 50) or "0")
    yield seg("STC", comp("A1", "19", role), today, "WQ", money(total(one.charge for one, _ in pairs)))
    taken = [one.charge for one, status in pairs if status.reach is not Reach.REJECTED]
    turned = [one.charge for one, status in pairs if status.reach is Reach.REJECTED]
    if taken:
        yield seg("QTY", "90", str(len(taken)))
    if turned:
        yield seg("QTY", "AA", str(len(turned)))
    if taken:
        yield seg("AMT", "YU", money(total(taken)))
    if turned:
        yield seg("AMT", "YY", money(total(turned)))
    level = 2
    for provider, members in groupby(pairs, lambda pair: pair[0].claim.billing):
        level += 1
        parent = level
        mine = list(members)
        yield from _provider(provider, parent)
        yield seg("STC", comp("A1", "19", role), "", "WQ", money(total(one.charge for one, _ in mine)))
        for submitted, status in mine:
            level += 1
            yield seg("HL", str(level), str(parent), "PT")
            yield from _patient(submitted, status, at)


def _provider(provider: Party, level: int) -> Iterator[str]:
    yield seg("HL", str(level), "2", "19", "1")
    yield party_name("85", provider)
    yield seg("TRN", "1", "0")


def _patient(submitted: SubmittedClaim, status: ClaimStatus, at: datetime) -> Iterator[str]:
    claim = submitted.claim
    yield subscriber_loop("QC", claim.patient, claim.insurance[0].member_id)
    yield seg("TRN", "2", claim.id)
    codes = [comp(one.category, one.status, one.entity) for one in status.codes]
    when = d8(status.on or at)
    action = status.action or ("U" if status.reach is Reach.REJECTED else "WQ")
    charge = money(submitted.charge if status.charge is None else status.charge)
    for start in range(0, len(codes), 3):
        three = codes[start : start + 3] + [""] * 3
        text = clean(status.text, 264) if start == 0 else ""
        yield seg("STC", three[0], when, action, charge, "", "", "", "", "", three[1], three[2], text)
    if status.icn:
        yield seg("REF", "1K", clean(status.icn, 50))
    if claim.served_from is not None:
        last = claim.served_to or claim.served_from
        same = last == claim.served_from
        yield seg("DTP", "472", "D8" if same else "RD8", d8(last) if same else rd8(claim.served_from, last))
