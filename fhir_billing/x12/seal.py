"""What goes around sets is written last, when it is known how much they hold.

Numbers and time are given by whoever keeps them; nothing here chooses one.
Spec: X12.5 ISA, GS, GE, IEA; SE01 counts ST and SE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_billing.x12.grammar import Delimiters


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """All that goes around sets. Numbers and time are given by whoever keeps them."""

    sender: str
    receiver: str
    sender_qualifier: str = "ZZ"
    receiver_qualifier: str = "ZZ"
    interchange_control: int
    group_control: int
    functional: str
    version: str
    at: datetime
    test: bool = False


def seal(
    envelope: Envelope,
    sets: Sequence[tuple[str, Sequence[str]]],
    *,
    notes: Sequence[str] = (),
    marks: Delimiters | None = None,
) -> bytes:
    """Put sets, each a (control, segments from ST on without SE) pair, into one group and one interchange.

    Without sets there is no group: an interchange may carry `notes` (TA1 segments) alone.

    >>> when = datetime(2026, 1, 2, 3, 4)
    >>> one = Envelope(
    ...     sender="A", receiver="B", interchange_control=1, group_control=1, functional="FA", version="V", at=when
    ... )
    >>> seal(one, [("0001", ["ST*999*0001"])]).decode().splitlines()[-3:]
    ['SE*2*0001~', 'GE*1*1~', 'IEA*1*000000001~']
    """
    marks = marks or Delimiters()
    e, end = marks.element, marks.segment + "\n"
    when = envelope.at
    control = f"{envelope.interchange_control:09d}"
    if len(control) != 9 or envelope.interchange_control < 1:
        raise ValueError(f"interchange control number {envelope.interchange_control} is not 1 to 999999999")
    isa = (
        "ISA", "00", " " * 10, "00", " " * 10, envelope.sender_qualifier.ljust(2)[:2], envelope.sender.ljust(15)[:15],
        envelope.receiver_qualifier.ljust(2)[:2], envelope.receiver.ljust(15)[:15], when.strftime("%y%m%d"),
        when.strftime("%H%M"), marks.repetition, "00501", control, "0", "T" if envelope.test else "P", marks.component,
    )  # fmt: skip
    lines = [e.join(isa), *notes]
    if sets:
        gs = (
            "GS", envelope.functional, envelope.sender.strip(), envelope.receiver.strip(), when.strftime("%Y%m%d"),
            when.strftime("%H%M"), str(envelope.group_control), "X", envelope.version,
        )  # fmt: skip
        lines.append(e.join(gs))
        for number, segments in sets:
            lines.extend(segments)
            lines.append(e.join(("SE", str(len(segments) + 1), number)))
        lines.append(e.join(("GE", str(len(sets)), str(envelope.group_control))))
    lines.append(e.join(("IEA", "1" if sets else "0", control)))
    return (end.join(lines) + end).encode("ascii")
