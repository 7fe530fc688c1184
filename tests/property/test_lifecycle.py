"""The table of states holds for every order of events: nothing is lost, nothing is revived, late news is history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.errors import IllegalMove
from fhir_billing.domain.lifecycle import (
    CLINICIAN_WORDS,
    MOVES,
    OURS,
    OWNERS,
    TERMINAL,
    Event,
    Ignored,
    Moved,
    State,
    mermaid,
    move,
)

NEWS = sorted(set(Event) - OURS)


def test_every_state_can_be_reached_and_only_voided_is_the_end() -> None:
    reached = {State.DRAFTED}
    while True:
        further = reached | {end for (start, _), end in MOVES.items() if start in reached}
        if further == reached:
            break
        reached = further
    assert reached == set(State)
    assert {state for state in State if not any(start is state for start, _ in MOVES)} == TERMINAL == {State.VOIDED}


def test_every_state_has_an_owner_and_one_of_five_words() -> None:
    assert OWNERS.keys() == CLINICIAN_WORDS.keys() == set(State)
    assert set(CLINICIAN_WORDS.values()) == {"Being prepared", "Needs you", "With the payer", "Paid", "Denied"}


def test_the_picture_shows_every_move_once() -> None:
    drawn = [line.strip() for line in mermaid().splitlines() if " : " in line]
    assert len(drawn) == len(set(drawn)) == len(MOVES)


@given(st.lists(st.sampled_from(NEWS), max_size=30))
def test_news_in_any_order_never_raises(news: list[Event]) -> None:
    state = State.SENT
    for event in news:
        result = move(state, event)
        state = result.end if isinstance(result, Moved) else state


@given(st.sampled_from([State.PAID, State.DENIED, State.CLOSED, State.VOIDED]), st.lists(st.sampled_from(
    [Event.ACK_RECEIVE, Event.ACK_ACCEPT, Event.ACK_REJECT, Event.STATUS_PEND, Event.STATUS_QUERY]), max_size=20))  # fmt: skip
def test_an_acknowledgment_that_comes_late_changes_nothing(state: State, late: list[Event]) -> None:
    for event in late:
        result = move(state, event)
        assert isinstance(result, Ignored)
        assert result.because == f"already {state}"


@given(st.sampled_from(State), st.sampled_from(sorted(OURS)))
def test_a_move_of_our_own_that_the_table_does_not_know_is_an_error(state: State, event: Event) -> None:
    if (state, event) in MOVES:
        assert isinstance(move(state, event), Moved)
    else:
        with pytest.raises(IllegalMove):
            move(state, event)


def test_rejected_has_no_appeal_and_denied_has() -> None:
    assert (State.REJECTED, Event.APPEAL) not in MOVES
    assert (State.DENIED, Event.APPEAL) in MOVES
    assert (State.REJECTED, Event.CORRECT) in MOVES


def test_a_queued_claim_may_have_left_so_it_hears_every_answer() -> None:
    for event in NEWS:
        if (State.SENT, event) in MOVES:
            assert MOVES[State.QUEUED, event] is MOVES[State.SENT, event], event
