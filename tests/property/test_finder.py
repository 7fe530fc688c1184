"""Whatever is typed, a search answers: with codes that exist, the exact code first, and never with an error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.code_tables import diagnoses
from fhir_billing.finder.needs import synonyms
from fhir_billing.finder.search import Mine, opened, search
from fhir_billing.finder.table import Entry, build, plain_code

WORDS = ["fracture", "left", "right", "knee", "pain", "asthma", "diabetes", "acute", "of", "other", "wrist", "open"]
SMALL = build(
    [
        Entry(code=f"A{n:02}", title=" ".join(WORDS[i % len(WORDS)] for i in range(n, n + 3)), billable=n % 5 != 0)
        for n in range(60)
    ],
    system="test",
    edition="test",
)
TABLE = diagnoses() or SMALL
SAID = synonyms([["broken", "fracture"], ["high blood pressure", "hypertension"], ["l", "left"]])
typed = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*WORDS, "broken", "high", "blood", "pressure", "l", "frac", "knea", "12", "i10"])).map(
        " ".join
    ),
    st.text(alphabet="abcdefinrtu 0123.", max_size=20),
)


@given(typed)
def test_any_text_is_answered_with_codes_that_exist(question: str) -> None:
    hits = search(TABLE, question, said=SAID, most=20)
    assert len(hits) <= 20
    assert len({hit.code for hit in hits}) == len(hits)
    assert all(TABLE.find(hit.code) is not None for hit in hits)


@given(st.integers(min_value=0, max_value=len(TABLE) - 1), st.booleans(), st.booleans())
def test_a_code_that_is_typed_stands_first(number: int, dot: bool, small: bool) -> None:
    code = TABLE.codes[number]
    shown = f"{code[:3]}.{code[3:]}" if dot and len(code) > 3 else code
    near = Mine(chart={TABLE.codes[0]: "problem list"}, favourites=[TABLE.codes[1]])
    hits = search(TABLE, shown.lower() if small else shown, mine=near, said=SAID)
    assert hits[0].code == code
    assert plain_code(shown) == code


@given(st.integers(min_value=0, max_value=len(TABLE) - 1))
def test_a_heading_opens_and_a_code_has_a_way_up(number: int) -> None:
    if not TABLE.billable[number] and TABLE.children(number):
        assert opened(TABLE, TABLE.codes[number])
    above = TABLE.parent(number)
    assert above is None or number in TABLE.children(above)


@given(st.integers(min_value=0, max_value=len(TABLE) - 1))
def test_a_title_finds_its_own_code_or_one_that_says_the_same(number: int) -> None:
    hits = search(TABLE, TABLE.titles[number], most=20)
    assert hits
