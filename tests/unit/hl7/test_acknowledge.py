from __future__ import annotations

from datetime import UTC, datetime

import hl7
import pytest

from fhir_billing.hl7.acknowledge import Verdict, answer, judged, read_answer
from tests.unit.hl7.messages import adt, dft, ft1

AT = datetime(2026, 3, 2, 15, 15, tzinfo=UTC)


def test_an_answer_goes_back_to_whom_it_came_from() -> None:
    body = adt()
    _, verdict = judged(body, test=False)
    said = answer(body, verdict, AT)
    assert said is not None
    ack = hl7.parse(said.decode())
    assert [str(ack["MSH"][0][n]) for n in (3, 4, 5, 6)] == ["BILLING", "EXAMPLE", "ADTSYS", "EXAMPLEHOSP"]
    assert str(ack["MSH"][0][9]) == "ACK^A03^ACK"
    assert (str(ack["MSA"][0][1]), str(ack["MSA"][0][2])) == ("AA", "C1")


@pytest.mark.parametrize(
    ("body", "test", "code", "place", "error"),
    [
        (adt("A01"), False, "AA", "", ""),
        (adt(mode="T"), False, "AR", "MSH-11", "202"),
        (adt(mode="T"), True, "AA", "", ""),
        (adt(mode="X"), True, "AR", "MSH-11", "202"),
        (adt().replace(b"ADT^A03", b"ORU^R01"), False, "AR", "MSH-9", "200"),
        (dft(ft1(), event="P99"), False, "AR", "MSH-9", "201"),
        (adt(control=""), False, "AR", "MSH-10", "101"),
        (adt(control="C" * 300), False, "AR", "MSH-10", "101"),
        (adt().replace(b"ADTSYS", b"A" * 300), False, "AR", "MSH-3", "102"),
        (adt(visit="V" * 300), False, "AE", "PV1-19", "102"),
        (dft(ft1("T" * 300)), False, "AE", "FT1[1]-2", "102"),
        (adt().replace(b"|2.5.1", b"|3.0"), False, "AR", "MSH-12", "203"),
        (b"nothing of the kind", False, "AR", "MSH", "102"),
        (adt().replace(b"PV1|", b"PV2|"), False, "AE", "PV1", "102"),
        (dft(ft1(amount="much")), False, "AE", "FT1[1]-11", "102"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_place(
    body: bytes, test: bool, code: str, place: str, error: str
) -> None:
    _, verdict = judged(body, test=test)
    assert (verdict.code, verdict.place, verdict.error) == (code, place, error)
    said = answer(body, verdict, AT)
    assert said is not None
    assert read_answer(said).code == code
    if code != "AA":
        assert b"ERR||" in said
        assert verdict.say[:20] in said.decode()


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("", "", "AA", "AE"),
        ("AL", "NE", "CA", "CE"),
        ("AL", "AL", "CA", "CE"),
        ("NE", "AL", "AA", "AE"),
        ("NE", "NE", None, None),
        ("ER", "NE", None, "CE"),
        ("SU", "", "CA", None),
        ("", "ER", None, "AE"),
    ],
)
def test_the_sender_chooses_how_it_is_answered(
    accept: str, application: str, good: str | None, bad: str | None
) -> None:
    body = adt(accept=accept, application=application)
    for verdict, wanted in ((Verdict(), good), (Verdict(code="AE", say="no", error="207"), bad)):
        said = answer(body, verdict, AT)
        assert (read_answer(said).code if said else None) == wanted


def test_an_old_sender_gets_the_reason_where_it_looks_for_it() -> None:
    body = adt().replace(b"|2.5.1", b"|2.3")
    said = answer(body, Verdict(code="AE", say="the book is locked", error="207"), AT)
    assert said is not None
    assert b"ERR" not in said
    assert read_answer(said).say == "the book is locked"


def test_a_refusal_never_quotes_what_the_message_said_of_a_patient() -> None:
    spoiled = [dft(ft1(amount="secret")), dft(ft1(modifiers="secret")), dft(ft1(day="secret")), adt(mode="secret")]
    for body in (*spoiled, adt(visit="").replace(b"PV1|", b"secret|"), adt().replace(b"Dee", b"secret\x00")):
        _, verdict = judged(body, test=False)
        said = answer(body, verdict, AT)
        assert said is not None
        assert read_answer(said).code in {"AE", "AR"}
        assert b"Zztest" not in said
        assert "secret" not in verdict.say
