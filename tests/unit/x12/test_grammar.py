"""The text of an interchange, as it comes from senders who are not careful."""

from __future__ import annotations

import tracemalloc

import pytest

from fhir_billing.x12.grammar import NotX12, first_difference, interchanges, rebuilt

ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*P*:~"
GS = "GS*HP*S*R*20260101*1200*1*X*005010X221A1~"
REST = "ST*835*0001~BPR*I*0*C*NON~SE*3*0001~GE*1*1~IEA*1*000000001~"


def test_delimiters_are_read_from_the_isa_and_never_assumed() -> None:
    text = (ISA + GS + REST).translate(str.maketrans("*:~^", "|<\x1d!"))
    one = interchanges(text.encode())[0]
    marks = one.delimiters
    assert (marks.element, marks.component, marks.repetition, marks.segment) == ("|", "<", "!", "\x1d")
    assert one.elements(1)[8] == "005010X221A1"


@pytest.mark.parametrize(
    "changed",
    [
        "\ufeff" + ISA + GS + REST,
        (ISA + GS + REST).replace("~", "~\r\n"),
        (ISA + GS + REST).replace("~", "~\n   "),
        "A word to the reader.\n\n" + ISA + GS + REST,
        (ISA + GS + REST).rstrip("~"),
        (ISA + GS + REST) + "\r\n\x1a",
        (ISA + GS + REST).replace("*", "*", 1).replace("BPR*I", "BP\r\nR*I"),
    ],
    ids=["mark", "crlf", "indented", "prose", "no last terminator", "end of file sign", "wrapped"],
)
def test_what_does_not_change_the_meaning_does_not_matter(changed: str) -> None:
    data = changed.encode()
    segments = interchanges(data)[0].segments
    assert [one[:3] for one in segments] == ["ISA", "GS*", "ST*", "BPR", "SE*", "GE*", "IEA"]
    assert rebuilt(data) == data


def test_a_segment_keeps_its_number_and_its_byte() -> None:
    data = ("\ufeff" + ISA + "\n" + GS + "\nST*835*Ñ~BPR*I~").encode()
    one = interchanges(data)[0]
    for index, segment in enumerate(one.segments):
        assert data[one.offset(index) :].startswith(segment.encode())
    complaint = one.complain(3, "no", element=1)
    assert complaint.place == "segment 4 BPR01"
    assert data[complaint.offset :].startswith(b"I~")


def test_a_second_interchange_may_use_other_delimiters() -> None:
    other = (ISA + GS + REST).replace("*", "|").replace("~", "\n")
    found = interchanges((ISA + GS + REST + other).encode())
    assert [one.delimiters.element for one in found] == ["*", "|"]
    assert found[1].first == 8


def test_isa_inside_an_element_begins_nothing() -> None:
    text = ISA + GS + REST.replace("BPR*I", "BPR*ISA*VISA*ISA")
    assert len(interchanges(text.encode())) == 1


@pytest.mark.parametrize("data", [b"", b"   ", b"hello", b"GS*HP*ISA*X~", "ISA*00".encode("utf-16"), b"ISA*00*    "])
def test_without_an_isa_there_is_nothing_to_go_by(data: bytes) -> None:
    with pytest.raises(NotX12) as caught:
        interchanges(data)
    assert caught.value.fix
    assert "segment 1 ISA" in str(caught.value)


def test_a_difference_is_named_by_byte_and_segment() -> None:
    data = (ISA + GS + REST).encode()
    assert first_difference(data, data) is None
    assert first_difference(data, data.replace(b"BPR*I", b"BPR*H")) == (data.index(b"BPR*I") + 4, 4)


@pytest.mark.parametrize("mark", ["\t", "\x1c", "\x1d", "\x1e", "\x1f", "|", "\x01"])
def test_any_single_character_may_part_the_elements(mark: str) -> None:
    data = (ISA + GS + REST).replace("*", mark).encode()
    one = interchanges(data)[0]
    assert [segment.split(mark)[0] for segment in one.segments] == ["ISA", "GS", "ST", "BPR", "SE", "GE", "IEA"]
    assert rebuilt(data) == data


def test_a_segment_of_nothing_but_separators_is_put_together_again_in_little_room() -> None:
    data = (ISA + GS + REST.replace("BPR*I", "BPR" + "*:^" * 60_000 + "I")).encode()
    tracemalloc.start()
    try:
        assert rebuilt(data) == data
        assert tracemalloc.get_traced_memory()[1] < 12 * len(data) + 16 * 65_536 * 8
    finally:
        tracemalloc.stop()
