"""Envelopes that agree are opened; those that do not name the segment and the element."""

from __future__ import annotations

import pytest

from fhir_billing.x12.envelope import Refused, opened, read

GOOD = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*P*:~\n"
    "GS*HP*S*R*20260101*1200*7*X*005010X221A1~\n"
    "ST*835*0001~\nBPR*I*0*C*NON************20260101~\nTRN*1*T*1999999999~\nSE*4*0001~\n"
    "GE*1*7~\nIEA*1*000000001~\n"
)


def test_a_sound_file_is_opened_to_its_sets() -> None:
    reading = read(GOOD.encode())
    assert reading.findings == []
    (one,) = reading.sets
    assert (one.kind, one.control, one.version, one.group.control, one.is_test) == (
        "835",
        "0001",
        "005010X221A1",
        "7",
        False,
    )


@pytest.mark.parametrize(
    ("was", "now", "place", "key"),
    [
        ("SE*4", "SE*5", "segment 6 SE01", "count"),
        ("SE*4*0001", "SE*4*0002", "segment 6 SE02", "envelope"),
        ("GE*1", "GE*2", "segment 7 GE01", "count"),
        ("GE*1*7", "GE*1*8", "segment 7 GE02", "envelope"),
        ("IEA*1*", "IEA*2*", "segment 8 IEA01", "count"),
        ("IEA*1*000000001", "IEA*1*000000002", "segment 8 IEA02", "envelope"),
        ("SE*4*0001~\n", "", "segment 6 GE", "nesting"),
        ("GE*1*7~\n", "", "segment 7 IEA", "nesting"),
        ("IEA*1*000000001~\n", "", "segment 7 GE", "nesting"),
        ("SENDER  ", "SENDER", "segment 1 ISA06", "envelope"),
        ("*0*P*", "*0*X*", "segment 1 ISA15", "envelope"),
        ("*260101*1200", "*261301*1200", "segment 1 ISA09", "date"),
        ("*20260101*1200*7", "*20260230*1200*7", "segment 2 GS04", "date"),
        ("005010X221A1", "004010X091A1", "segment 2 GS08", "version"),
        ("005010X221A1", "005010X999", "segment 2 GS08", "version"),
        ("005010X221A1", "005010X222A1", "segment 3 ST01", "version"),
        ("005010X221A1", "", "segment 2 GS08", "version"),
        ("ST*835*0001", "ST*835*0001~\nST*835*0001", "segment 4 ST", "nesting"),
        ("GS*HP", "LX*1~\nGS*HP", "segment 2 LX", "nesting"),
        ("IEA*1*000000001~\n", "IEA*1*000000001~\nLX*1~", "segment 9 LX", "nesting"),
    ],
)  # fmt: skip
def test_a_broken_envelope_is_refused_with_its_place(was: str, now: str, place: str, key: str) -> None:
    reading = read(GOOD.replace(was, now, 1).encode())
    assert not reading.is_sound
    assert (place, key) in [(found.place, found.key) for found in reading.findings]
    with pytest.raises(Refused) as caught:
        opened(GOOD.replace(was, now, 1).encode())
    assert str(caught.value).startswith("segment ")


def test_a_test_file_is_told_by_isa15_and_is_no_error() -> None:
    reading = read(GOOD.replace("*0*P*", "*0*T*").encode())
    assert reading.is_sound
    assert all(one.is_test for one in reading.sets)


def test_a_real_4010_file_is_read_with_a_word_about_its_age() -> None:
    text = GOOD.replace("*00501*", "*00401*").replace("005010X221A1", "004010X091A1")
    reading = read(text.encode())
    assert reading.is_sound
    assert [found.severity.value for found in reading.findings] == ["warning"]


def test_an_unknown_set_is_recognised_by_its_name() -> None:
    reading = read(GOOD.replace("ST*835", "ST*850").encode())
    assert [one.kind for one in reading.sets] == ["850"]
    assert reading.is_sound


def test_st03_tells_the_guide_when_the_group_says_another() -> None:
    text = GOOD.replace("ST*835*0001", "ST*837*0001*005010X223A2").replace("005010X221A1", "005010X222A1")
    reading = read(text.encode())
    assert [one.kind for one in reading.sets] == ["837I"]
    assert reading.is_sound


def test_a_file_broken_everywhere_is_described_by_its_first_places() -> None:
    reading = read((GOOD.replace("SE*4", "SE*9") * 400).encode())
    assert len(reading.findings) <= 201


@pytest.mark.parametrize("left", ["TRN*1", "SE*4", "GE*1", "IEA*1"])
def test_a_cut_file_still_tells_what_began_in_it(left: str) -> None:
    reading = read(GOOD[: GOOD.index(left)].encode())
    assert not reading.is_sound
    assert reading.seen_kinds == ("835",)


@pytest.mark.parametrize("piece", ["*", ":"])
def test_a_segment_of_more_elements_than_any_guide_has_is_refused_unsplit(piece: str) -> None:
    reading = read(GOOD.replace("TRN*1", "TRN*1" + piece * 100_000).encode())
    assert not list(reading.sets)
    assert [(one.segment, one.id) for one in reading.findings] == [(5, "TRN")]
