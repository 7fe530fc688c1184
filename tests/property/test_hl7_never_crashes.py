from __future__ import annotations

from datetime import UTC, datetime

import hl7
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.money import cents, show
from fhir_billing.hl7.acknowledge import answer, judged, read_answer
from fhir_billing.hl7.charges import Resource, charges, replaced, standing
from fhir_billing.hl7.frames import Frames, framed
from fhir_billing.hl7.message import read
from fhir_billing.hl7.write import header, message, segment
from tests.unit.hl7.messages import adt, dft, ft1

AT = datetime(2026, 3, 2, 15, 15, tzinfo=UTC)
WHOLE = [adt(), adt("A13"), dft(ft1(), ft1("T2", modifiers="25~59", unit="1&USD")), adt(accept="AL")]
TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        piece = draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"|", b"^", b"~", b"\\", b"&", b"\r", b"\x0b"])))
        body[at : at + draw(st.integers(0, 4))] = piece
    return bytes(body)


@given(st.one_of(spoiled(), st.binary(max_size=200)))
def test_bytes_are_read_or_refused_with_a_place_and_always_answered(body: bytes) -> None:
    found, verdict = judged(body, test=False)
    assert bool(verdict.place) == (verdict.code != "AA")
    said = answer(body, verdict, AT)
    if said is not None:
        code = read_answer(said).code
        assert code[1] == verdict.code[1]
        if found is not None:
            assert read_answer(said).control == found.control


@given(st.lists(st.lists(TEXT, min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_is_written_is_read_again_by_us_and_by_the_hl7_library(rows: list[list[str]]) -> None:
    values = [[text.strip() for text in row] for row in rows]
    body = message([header("A", "B"), *(segment("NTE", row) for row in values)])
    ours, theirs = read(body), hl7.parse(body.decode())
    for position, row in enumerate(values, 1):
        for number, text in enumerate(row, 1):
            found = ours.segments[position].text(1, number)
            assert found == ("" if text == '""' else text)
            if row == [text] and text:
                assert theirs.unescape(str(theirs[position][1])) == text


@given(st.integers(-(10**9), 10**9), st.integers(1, 999), st.booleans())
def test_an_amount_is_charged_to_the_cent(amount: int, quantity: int, by_unit: bool) -> None:
    written = ft1(amount="" if by_unit else show(amount), unit=show(amount) if by_unit else "", quantity=str(quantity))
    [charge] = charges(read(dft(written)), "V-100")
    assert cents(charge.resource["priceOverride"]["value"]) == abs(amount) * (quantity if by_unit else 1)
    assert charge.resource["status"] == ("not-billable" if amount < 0 else "billable")


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["CG", "CR"]), st.integers(1, 2)), max_size=12))
def test_credits_take_away_what_was_charged_and_never_more(posted: list[tuple[int, str, int]]) -> None:
    kept: dict[str, Resource] = {}
    for transaction, kind, dollars in posted:
        [charge] = charges(read(dft(ft1(f"T{transaction}", kind=kind, amount=f"{dollars}.00"))), "V-100")
        kept[charge.key] = replaced(charge.resource, kept.get(charge.key))
    left, unmatched = standing(list(kept.values()))
    statuses = [item["status"] for item in kept.values()]
    assert len(left) == statuses.count("billable") - statuses.count("not-billable") + len(unmatched)
    assert all(item in kept.values() and item["status"] == "billable" for item in left)
    assert standing([*left, *unmatched]) == (left, unmatched), "what is left is left"


@given(
    st.lists(st.binary(max_size=50).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b"")), max_size=6), st.data()
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(framed(body) for body in bodies)
    frames, found, place = Frames(), [], 0
    while place < len(stream):
        size = data.draw(st.integers(1, 20))
        found += [frame.body for frame in frames.feed(stream[place : place + size])]
        place += size
    assert found == bodies
