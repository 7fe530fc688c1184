"""An instant is read when it says where it stands, and guessed never."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.fhir.instant import instant


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-24T10:01:00Z", datetime(2026, 11, 24, 10, 1, tzinfo=UTC)),
        ("2026-11-24T10:01:00.123456789+02:00", datetime(2026, 11, 24, 8, 1, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2017, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_utc(text: str, found: datetime) -> None:
    assert instant(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "2026-11-24", "2026-11-24T10:01:00", "2026-13-45", "2026-13-45T00:00:00Z", "2026-11-24T10:01:61Z",
     "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00Z", 7, None, ["x"]],
)  # fmt: skip
def test_what_is_no_instant_is_none(text: object) -> None:
    assert instant(text) is None


@given(st.text(alphabet="0123456789-:+.TZ ", max_size=40) | st.text(max_size=20))
def test_no_text_breaks_whoever_reads_it(text: str) -> None:
    found = instant(text)
    assert found is None or found.tzinfo is UTC
