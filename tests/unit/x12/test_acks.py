"""Answers written by the other side and read by ours."""

from __future__ import annotations

from datetime import date

import pytest

from fhir_billing.domain.acknowledgment import (
    ClaimStatus,
    InterchangeAcknowledgment,
    Reach,
    SetAcknowledgment,
    StatusCode,
    SyntaxFault,
)
from fhir_billing.x12 import write_acks
from fhir_billing.x12.envelope import read
from fhir_billing.x12.read_acks import acknowledgments
from fhir_billing.x12.write_837 import Controls
from tests.unit.x12.samples import AT, THEIRS, TO_US, submission

CONTROLS = Controls(interchange=9, group=9)


def test_a_999_says_of_each_set_whether_it_could_be_read() -> None:
    said = [
        SetAcknowledgment(group_control="2", set_control="0003", kind="837", code="A"),
        SetAcknowledgment(
            group_control="2", set_control="0004", kind="837", code="R",
            faults=(
                SyntaxFault(code="8", segment="CLM", position=22, loop="2300"),
                SyntaxFault(code="1", segment="CLM", position=22, loop="2300", element="5-3", value="X"),
                SyntaxFault(code="5"),
            ),
        ),
    ]  # fmt: skip
    data = write_acks.write_999(said, version="005010X222A1", sender=THEIRS, receiver=TO_US, controls=CONTROLS, at=AT)
    read_back = acknowledgments(data)
    assert [one.code for one in read_back if isinstance(one, SetAcknowledgment)] == ["A", "R"]
    assert isinstance(read_back[1], SetAcknowledgment)
    assert read_back[1].faults == said[1].faults
    assert read_back[1].group_code == "P"
    assert [one.reach for one in read_back] == [Reach.RECEIVED, Reach.REJECTED]


def test_a_group_that_lists_no_set_speaks_of_all_of_them() -> None:
    said = [SetAcknowledgment(group_control="2", set_control="", kind="837", code="R", group_code="R")]
    data = write_acks.write_999(said, version="005010X222A1", sender=THEIRS, receiver=TO_US, controls=CONTROLS, at=AT)
    (one,) = acknowledgments(data)
    assert isinstance(one, SetAcknowledgment)
    assert (one.set_control, one.group_control, one.reach) == ("", "2", Reach.REJECTED)


def test_a_277ca_speaks_of_each_claim_and_keeps_the_payers_number() -> None:
    said = [
        ClaimStatus(
            claim="C-EXAMPLE00001",
            codes=(StatusCode(category="A2", status="20", entity="PR"),),
            icn="ICN77",
            on=AT.date(),
        ),
        ClaimStatus(
            claim="C-EXAMPLE00002", codes=(StatusCode(category="A7", status="562", entity="85"),), on=date(2026, 2, 1)
        ),
    ]
    data = write_acks.write_277ca(submission(), said, sender=THEIRS, receiver=TO_US, controls=CONTROLS, at=AT)
    assert [one.kind for one in read(data).sets] == ["277CA"]
    first, second = acknowledgments(data)
    assert isinstance(first, ClaimStatus)
    assert (first.claim, first.icn, first.charge, first.sender, first.reach) == (
        "C-EXAMPLE00001", "ICN77", 14000, "EXC01", Reach.ACCEPTED,
    )  # fmt: skip
    assert second.reach is Reach.REJECTED


def test_a_status_for_a_claim_that_was_not_sent_is_not_written() -> None:
    stranger = [ClaimStatus(claim="C-OTHER", codes=(StatusCode(category="A2"),))]
    with pytest.raises(ValueError, match="does not hold"):
        write_acks.write_277ca(submission(), stranger, sender=THEIRS, receiver=TO_US, controls=CONTROLS, at=AT)


def test_a_ta1_needs_no_group() -> None:
    said = [InterchangeAcknowledgment(control="000000001", code="R", reason="018")]
    data = write_acks.write_ta1(said, sender=THEIRS, receiver=TO_US, controls=CONTROLS, at=AT)
    assert read(data).is_sound
    assert acknowledgments(data) == said


def test_a_submission_tells_all_that_an_answer_repeats() -> None:
    one = submission()
    assert (one.interchange_control, one.group_control, one.set_control) == ("000000001", "2", "0003")
    assert (one.sender, one.submitter_name, one.reference) == ("EXAMPLE", "EXAMPLE FAMILY MEDICINE", "000000001-0003")
    assert [bill.charge for bill in one.claims] == [14000, 14000]
