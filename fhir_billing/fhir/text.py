"""FHIR as JSON text: a decimal keeps its digits, and broken text is refused with its place.

Spec: FHIR R4 §2.24.0.1 (decimals: the precision is significant).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fhir_billing.domain.errors import MalformedResource

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def loads(text: bytes | str) -> Any:
    """Parse JSON; numbers with a point become Decimal; a byte order mark is no fault. Raises MalformedResource that names line and column.

    >>> loads(b'{"value": 12.50}')
    {'value': Decimal('12.50')}
    """
    text = text.removeprefix("\ufeff") if isinstance(text, str) else text.removeprefix(b"\xef\xbb\xbf")
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedResource(
            f"{_place(text, str(error))}this is not JSON", fix="export the file again, as UTF-8"
        ) from None


def _place(text: bytes | str, say: str) -> str:
    """`line 3 column 7: ` when the parser names a byte."""
    _, _, number = say.rpartition("byte ")
    digits = number.split(")")[0]
    if not digits.isdigit():
        return ""
    raw = text.encode() if isinstance(text, str) else text
    before = raw[: int(digits)]
    newline = b"\n"
    return f"line {before.count(newline) + 1} column {len(before) - before.rfind(newline)}: "


def dumps(value: Any) -> bytes:
    """JSON text as compact UTF-8; a Decimal is written with the digits it has.

    >>> dumps({"value": Decimal("12.50")})
    b'{"value":12.50}'
    """
    return _ENCODER.encode(value)
