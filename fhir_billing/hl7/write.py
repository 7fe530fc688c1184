r"""A message is written so that every reader finds the same values: what looks like a delimiter is escaped.

Spec: HL7 v2.5.1 chapter 2: 2.5.3 delimiters, 2.7.1 escape sequences; segments end with a carriage return.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from fhir_billing.hl7.message import Delimiters

Field: TypeAlias = str | Sequence[str]
"""One value, or the components of one field."""
OURS = Delimiters()
_UNWRITTEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def escaped(text: str, signs: Delimiters = OURS) -> str:
    r"""Text as a value: delimiters and line ends become escapes, other control characters spaces.

    >>> escaped("Smith & Sons | 50%")
    'Smith \\T\\ Sons \\F\\ 50%'
    """
    mark = signs.escape
    names = {
        signs.field: "F", signs.component: "S", signs.subcomponent: "T", signs.repetition: "R", signs.escape: "E",
    }  # fmt: skip
    found = []
    for sign in re.sub(r"\r\n|\r", "\n", _UNWRITTEN.sub(" ", text)):
        if sign and sign in names and mark:
            found.append(f"{mark}{names[sign]}{mark}")
        elif sign == "\n":
            found.append(f"{mark}.br{mark}" if mark else " ")
        else:
            found.append(sign)
    return "".join(found)


def field(value: Field, signs: Delimiters = OURS) -> str:
    """One field; empty components at its end are left out."""
    if isinstance(value, str):
        return escaped(value, signs)
    return signs.component.join(escaped(part, signs) for part in value).rstrip(signs.component or None)


def segment(name: str, *values: Field, signs: Delimiters = OURS) -> str:
    """One segment; empty fields at its end are left out."""
    line = signs.field.join([name, *(field(value, signs) for value in values)])
    return line.rstrip(signs.field)


def header(*rest: str, signs: Delimiters = OURS) -> str:
    """MSH of its fields from MSH-3 on, already written."""
    return signs.field.join(["MSH", signs.encoding, *rest]).rstrip(signs.field)


def message(segments: Sequence[str], charset: str = "utf-8") -> bytes:
    """The bytes: each segment ends with a carriage return."""
    return "".join(f"{line}\r" for line in segments).encode(charset, errors="replace")


def stamp(moment: datetime) -> str:
    """A time stamp with its offset, to the second.

    >>> from datetime import UTC
    >>> stamp(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    '20260302093000+0000'
    """
    return moment.strftime("%Y%m%d%H%M%S%z")
