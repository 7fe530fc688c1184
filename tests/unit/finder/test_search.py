"""A search puts first what is meant: the exact code, the chart, what is at hand, then the plainest words."""

from __future__ import annotations

from datetime import date

import pytest

from fhir_billing.finder.needs import synonyms
from fhir_billing.finder.search import Mine, opened, search
from fhir_billing.finder.table import Entry, Table, build, pack, unpack

ENTRIES = [
    Entry(
        code="I10", title="Essential (primary) hypertension", terms=("high blood pressure", "hypertension (arterial)")
    ),
    Entry(code="K766", title="Portal hypertension"),
    Entry(code="M25", title="Other joint disorder, not elsewhere classified", billable=False),
    Entry(code="M255", title="Pain in joint", billable=False, parent="M25"),
    Entry(code="M2556", title="Pain in knee", billable=False, parent="M255"),
    Entry(code="M25561", title="Pain in right knee", parent="M2556"),
    Entry(code="M25562", title="Pain in left knee", parent="M2556"),
    Entry(code="I219", title="Acute myocardial infarction, unspecified", terms=("Myocardial infarction (acute)",)),
    Entry(code="I252", title="Old myocardial infarction"),
    Entry(code="D64", title="Other anemias", billable=False),
    Entry(code="D649", title="Anemia, unspecified", parent="D64"),
    Entry(code="U999", title="Invented illness", start="2026-10-01"),
    Entry(code="U998", title="Invented illness of before", end="2026-09-30"),
]
SAID = synonyms([["heart attack", "myocardial infarction"], ["r", "right"], ["sore", "pain"]])


@pytest.fixture(scope="module")
def table() -> Table:
    return unpack(pack(build(ENTRIES, system="http://hl7.org/fhir/sid/icd-10-cm", edition="test")))


def codes(table: Table, question: str, **more: object) -> list[str]:
    return [hit.code for hit in search(table, question, said=SAID, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("M25.561", "M25561"),
        ("m25561", "M25561"),
        ("i10", "I10"),
        ("hypertension", "I10"),
        ("high blood pressure", "I10"),
        ("Hypertensions", "I10"),
        ("heart attack", "I219"),
        ("right knee pain", "M25561"),
        ("r knee sore", "M25561"),
        ("pain knee le", "M25562"),
        ("pain kneee rihgt", "M25561"),
        ("hypertention", "I10"),
        ("infraction myocardial", "I219"),
        ("anaemia", "D649"),
        ("pain in the left knee for weeks now", "M25562"),
    ],
)
def test_what_is_meant_stands_first(table: Table, question: str, first: str) -> None:
    assert codes(table, question)[0] == first


def test_a_code_without_dot_or_half_a_code_shows_what_begins_so(table: Table) -> None:
    assert codes(table, "m25.56") == ["M2556", "M25561", "M25562"]


def test_the_chart_comes_before_what_is_at_hand_and_that_before_what_was_used(table: Table) -> None:
    mine = Mine(chart={"K766": "problem list"}, favourites=["I252"], used={"M25562": 3})
    assert codes(table, "hypertension", mine=mine)[0] == "K766"
    assert codes(table, "infarction", mine=mine)[0] == "I252"
    assert codes(table, "knee pain", mine=mine)[0] == "M25562"
    assert codes(table, "", mine=mine) == ["K766", "I252", "M25562"]


def test_an_exact_code_beats_even_the_chart(table: Table) -> None:
    mine = Mine(chart={"M25561": "visit"})
    assert codes(table, "M25", mine=mine)[0] == "M25"


def test_a_chart_code_that_does_not_say_the_words_stays_out(table: Table) -> None:
    assert "K766" not in codes(table, "knee pain", mine=Mine(chart={"K766": "problem list"}))


def test_only_codes_of_that_day_are_found(table: Table) -> None:
    assert codes(table, "invented illness", on=date(2026, 9, 30)) == ["U998"]
    assert codes(table, "invented illness", on=date(2026, 10, 1)) == ["U999"]
    assert codes(table, "U999", on=date(2026, 9, 30)) == []


def test_a_heading_is_no_code_and_opens_what_is_below(table: Table) -> None:
    heading = next(hit for hit in search(table, "pain in knee") if hit.code == "M2556")
    assert not heading.billable
    assert [hit.code for hit in opened(table, "M25.56")] == ["M25561", "M25562"]
    assert [hit.code for hit in opened(table, "M25")] == [
        "M25561",
        "M25562",
    ]  # headings of one heading are passed through


def test_a_site_that_lists_its_billable_codes_bills_no_other(table: Table) -> None:
    hits = search(table, "hypertension", allowed=frozenset({"I10"}))
    assert {hit.code: hit.billable for hit in hits} == {"I10": True, "K766": False}


def test_nonsense_finds_nothing_and_breaks_nothing(table: Table) -> None:
    for nonsense in ("zzqqx", "💊", "\x00", "' OR 1=1 --", "%", "((((", "a" * 5000, "1" * 50, "ｆｕｌｌ"):
        assert codes(table, nonsense) == []


def test_bytes_that_are_no_table_are_refused() -> None:
    for wrong in (b"", b"not a table", pack(build([], system="", edition=""))[:-3]):
        with pytest.raises(ValueError, match="code table"):
            unpack(wrong)
