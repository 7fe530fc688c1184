"""An EHR's pace holds, whatever is asked and however it answers; the clock here is a number."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.errors import EhrUnavailable, RateLimited
from fhir_billing.ehr.pace import BROKEN, FAST, FULL, Limits, LocalPace, State, pause, turn, wanted


@dataclass
class Time:
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def paced(time: Time, **limits: float) -> LocalPace:
    return LocalPace(Limits(**limits), now=time, sleep=time.sleep, chance=lambda: 0.0)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(st.floats(0, 0.6), st.booleans(), st.sampled_from([200, 404, 429, 500, 503, 0]), st.integers(0, 3)),
    max_size=120,
)


@given(STEPS, st.integers(1, 4), st.integers(1, 6))
def test_no_second_has_more_requests_than_it_may_and_never_too_many_are_on_their_way(
    steps: list[tuple[float, bool, int, int]], at_once: int, per_second: int
) -> None:
    state, now = State(Limits(at_once=at_once, per_second=per_second, lease=1000)), 100.0
    held: list[str] = []
    begun: list[float] = []
    for count, (later, begins, status, after) in enumerate(steps):
        now += later
        if begins:
            refused = state.begin(str(count), now)
            if refused is None:
                assert now >= state.not_before
                held.append(str(count))
                begun.append(now)
            else:
                assert refused.seconds > 0
        elif held:
            state.end(held.pop(0), now, status, after if status == 429 else None, 0.5)
        assert len(held) <= at_once
        assert sum(1 for at in begun if now - at < 1) <= per_second


def test_a_short_wait_is_slept_and_a_long_one_is_said_at_once() -> None:
    time = Time()
    pace = paced(time, per_second=2, at_once=0)
    for _ in range(4):
        pace.end(pace.begin(), 200)
    assert sum(time.slept) == pytest.approx(1)
    pace.end(pace.begin(), 429, 30)
    time.slept.clear()
    with pytest.raises(RateLimited) as told:
        pace.begin()
    assert told.value.retry_after == 30
    assert time.slept == []
    time.now += 30
    assert pace.begin()


def test_a_place_that_nobody_gives_back_is_free_again_after_its_lease() -> None:
    state = State(Limits(at_once=1, per_second=0, lease=15))
    assert state.begin("killed", 100) is None
    refused = state.begin("next", 114)
    assert refused and refused.why == FULL
    assert state.begin("next", 116) is None
    state.end("killed", 117, 200, None, 0)
    refused = state.begin("third", 117)
    assert refused and refused.why == FULL, "a late end frees no place but its own"


def test_an_ehr_that_fails_again_and_again_is_left_alone_and_then_tried_once() -> None:
    time = Time()
    pace = paced(time, failures=3, per_second=0)
    for _ in range(3):
        pace.end(pace.begin(), 503)
    for expected in (1, 2, 4, 8):
        with pytest.raises(EhrUnavailable, match="in a row"):
            pace.begin()
        time.now += expected - 0.1
        with pytest.raises(EhrUnavailable):
            pace.begin()
        time.now += 0.2
        probe = pace.begin()
        with pytest.raises(EhrUnavailable):
            pace.begin()
        pace.end(probe, 0)
    assert time.slept == []
    time.now += 17
    pace.end(pace.begin(), 200)
    pace.end(pace.begin(), 500)
    assert pace.begin(), "one failure after an answer is one"


def test_what_failed_on_its_way_before_does_not_make_the_pause_longer() -> None:
    state = State(Limits(failures=2, at_once=4, per_second=0))
    for name in "abcd":
        assert state.begin(name, 100) is None
    for name in "abcd":
        state.end(name, 100, 500, None, 0)
    refused = state.begin("e", 100.5)
    assert refused and (refused.why, refused.seconds) == (BROKEN, 0.5)
    assert state.trips == 1


def test_a_probe_that_is_never_answered_lets_another_go() -> None:
    state = State(Limits(failures=1, per_second=0, lease=15))
    state.begin("a", 100)
    state.end("a", 100, 0, None, 0)
    assert state.begin("killed", 102) is None
    assert state.begin("b", 116) is not None
    assert state.begin("b", 118) is None


def test_refusals_are_answers() -> None:
    state = State(Limits(failures=2, per_second=0))
    for status in (500, 404, 500, 501, 500, 403):
        assert state.begin("a", 100) is None
        state.end("a", 100, status, None, 0)
    assert not state.opens


def test_a_pause_grows_to_its_limit_and_is_never_shorter_for_chance() -> None:
    limits = Limits(first_pause=1, longest_pause=60)
    assert [pause(limits, n, 0) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pause(limits, 400, 1) == 75


@pytest.mark.parametrize(
    ("status", "header", "after"),
    [(429, "7", 7), (429, "", 5), (503, "9", 9), (503, "", None), (200, "9", None), (500, "9", None)],
)
def test_what_an_answer_asks_us_to_wait(status: int, header: str, after: int | None) -> None:
    assert wanted(status, header) == after


def test_a_second_holds_so_many_and_then_says_when() -> None:
    state = State(Limits(per_second=2, at_once=0))
    assert [state.begin(name, at) for name, at in (("a", 10.0), ("b", 10.5))] == [None, None]
    refused = state.begin("c", 10.75)
    assert refused and (refused.why, refused.seconds) == (FAST, 0.25)


def half_a_body(pace: LocalPace) -> None:
    with turn(pace) as heard:
        heard(200, "")
        raise EhrUnavailable("half a body")


def test_an_answer_that_breaks_off_is_a_failure_and_its_place_is_free() -> None:
    time = Time()
    pace = paced(time, at_once=1, failures=1, per_second=0)
    with pytest.raises(EhrUnavailable):
        half_a_body(pace)
    with pytest.raises(EhrUnavailable, match="in a row"):
        pace.begin()
    with turn(None) as heard:
        heard(200, "")
