from __future__ import annotations

import hl7
import pytest

from fhir_billing.hl7.frames import Frames, framed
from fhir_billing.hl7.message import MalformedMessage, read
from fhir_billing.hl7.visits import visit
from tests.unit.hl7.messages import adt, dft, ft1


def test_a_discharge_says_which_visit_it_is() -> None:
    found = read(adt("A03", "V-100"))
    assert (found.kind, found.event, found.control, found.sender) == ("ADT", "A03", "C1", ("ADTSYS", "EXAMPLEHOSP"))
    seen = visit(found)
    assert (seen.number, seen.patients, seen.kind) == ("V-100", (("", "MRN-7"),), "O")
    assert (seen.admitted, seen.discharged) == ("20260302093000-0500", "20260302100000-0500")


def test_the_hl7_library_reads_the_same_values() -> None:
    for body in (adt(), dft(ft1(), ft1("T2", modifiers="25~59"))):
        ours, theirs = read(body), hl7.parse(body.decode())
        for segment, other in zip(ours.segments, theirs, strict=True):
            assert segment.name == str(other[0])
            for number in range(1, len(segment.fields)):
                assert segment.raw(number) == str(other[number])


def test_other_delimiters_are_read_as_the_header_says() -> None:
    body = adt().replace(b"|", b"#").replace(b"^~\\&", b"*:!%").replace(b"^", b"*")
    assert visit(read(body)).number == "V-100"


def test_a_delimiter_in_a_value_is_what_was_meant() -> None:
    body = adt().replace(b"Zztest^Dee", rb"Zz\T\test\F\^D\E\ee\X41\\Zodd\ ".strip())
    pid = read(body).first("PID")
    assert pid is not None
    assert pid.text(5, 1) == "Zz&test|"
    assert pid.text(5, 2) == r"D\eeA\Zodd" + "\\"


def test_letters_are_read_as_msh_18_says() -> None:
    latin = adt().replace(b"|2.5.1", b"|2.5.1||||||8859/1").replace(b"Zztest", "Zztést".encode("latin-1"))
    pid = read(latin).first("PID")
    assert pid is not None
    assert pid.text(5) == "Zztést"
    with pytest.raises(MalformedMessage, match="MSH-18"):
        read(adt().replace(b"Zztest", "Zztést".encode("latin-1")))
    with pytest.raises(MalformedMessage, match="MSH-18"):
        read(adt().replace(b"|2.5.1", b"|2.5.1||||||GB 18030-2000"))


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "MSH"),
        (b"GET / HTTP/1.1\r\n\r\n", "MSH"),
        (b"BHS|^~\\&|", "MSH"),
        (b"MSH|", "MSH-2"),
        (b"MSH|AAAA|", "MSH-2"),
        (b"MSH|||||", "MSH-2"),
        (adt() + adt(), "MSH"),
        (adt() + b"\x00PV2|", "segment 5"),
        (adt().replace(b"Dee", b"D\x00e"), "PID-5"),
        (adt() + b"no segment\r", "segment 5"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_said_with_its_place(body: bytes, place: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read(body)
    assert caught.value.place == place
    assert caught.value.fix


def test_a_visit_without_a_number_is_an_error_in_pv1_19() -> None:
    with pytest.raises(MalformedMessage, match="PV1-19"):
        visit(read(adt(visit="").replace(b"^^^EXAMPLEHOSP^VN", b"")))


def test_frames_are_cut_wherever_the_bytes_break() -> None:
    stream = b"noise" + framed(b"one") + framed(b"two") + b"\x0bhalf" + framed(b"three") + b"\r\n"
    for size in (1, 2, 5, 100):
        frames = Frames()
        found = [f.body for at in range(0, len(stream), size) for f in frames.feed(stream[at : at + size])]
        assert found == [b"one", b"two", b"three"]
        assert frames.dropped == 1


def test_a_frame_that_grows_too_large_is_given_as_far_as_it_may_and_the_next_is_read() -> None:
    frames = Frames(largest=4)
    found = list(frames.feed(framed(b"12345678") + framed(b"1234")))
    assert [(f.body, f.too_large) for f in found] == [(b"1234", True), (b"1234", False)]
