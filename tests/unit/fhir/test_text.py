"""JSON from outside keeps its digits, and broken JSON is refused with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.text import dumps, loads


@pytest.mark.parametrize("number", ["12.50", "0.10", "1.00", "100.000", "-3.20", "0.1234567890123456789", "7"])
def test_a_decimal_keeps_its_digits(number: str) -> None:
    text = b'{"value":' + number.encode() + b"}"
    assert dumps(loads(text)) == text
    assert not isinstance(loads(text)["value"], float)


def test_a_number_with_a_point_is_a_decimal_and_letters_are_kept() -> None:
    assert loads('{"value": 12.50, "family": "Muñoz"}') == {"value": Decimal("12.50"), "family": "Muñoz"}
    assert dumps({"family": "Muñoz"}).decode() == '{"family":"Muñoz"}'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"a": 1,\n "b": }', "line 2 column 7"),
        (b"{'a': 1}", "line 1 column 2"),
        (b'{"a": 01}', "line 1 column"),
        (b'{"a": NaN}', "line 1 column 7"),
    ],
)
def test_broken_json_names_line_and_column(text: bytes, place: str) -> None:
    with pytest.raises(MalformedResource) as told:
        loads(text)
    assert told.value.say.startswith(place)
    assert told.value.fix


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": "', b"\xff\xfe", b'{"a": "\xff"}', b"[" * 100_000, b'{"a": 1} x'])
def test_what_is_no_json_is_refused_and_never_crashes(text: bytes) -> None:
    with pytest.raises(MalformedResource):
        loads(text)


def test_a_broken_chart_is_not_quoted() -> None:
    with pytest.raises(MalformedResource) as told:
        loads(b'{"family": "Zztest", "given": Bo}')
    assert "Bo" not in str(told.value)
    assert "Zztest" not in str(told.value)


def test_the_mark_that_windows_puts_before_a_file_is_no_fault() -> None:
    assert loads(b"\xef\xbb\xbf{}") == loads("\ufeff{}") == {}
