"""A hospital says that a patient left, came back or never was there; which visit that is stands in PV1-19.

Spec: HL7 v2.5.1 chapter 3: ADT A03 discharge, A04 register, A08 update, A11 cancel admit, A13 cancel discharge; 3.4.3 PV1
(2 class, 19 visit number, 44 admitted, 45 discharged, 50 alternate visit number); PID-3, PID-18.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_billing.hl7.message import MalformedMessage, Segment, V2Message

CLOSED: Final = frozenset({"A03"})
CHANGED: Final = frozenset({"A04", "A08"})
TAKEN_BACK: Final = frozenset({"A11", "A13"})
HEEDED: Final = CLOSED | CHANGED | TAKEN_BACK
CHARGES: Final = frozenset({"P03", "P11"})
KINDS: Final = frozenset({"ADT", "DFT"})
LONGEST: Final = 227
"""Of what a message, a visit or a charge is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSeen:
    """The visit that a message is about."""

    event: str
    number: str
    """PV1-19.1 as the hospital writes it."""
    authority: str = ""
    """The OID of who gives these numbers (PV1-19.4.2), when it is one."""
    patient: str = ""
    """PID-3.1."""
    kind: str = ""
    """PV1-2: I, O, E."""
    admitted: str = ""
    discharged: str = ""


def visit(message: V2Message) -> VisitSeen:
    """Which visit it is. Raises MalformedMessage when the message names none."""
    pv1 = message.first("PV1")
    if pv1 is None:
        raise MalformedMessage("PV1", "is not there", fix="send the visit's segment")
    place = next((number for number in (19, 50) if 0 < len(pv1.text(number)) <= LONGEST), 0)
    if not place:
        raise MalformedMessage(
            "PV1-19", "holds no visit number", fix="send the visit number that the EHR's FHIR API knows too"
        )
    pid = message.first("PID")
    return VisitSeen(
        event=message.event,
        number=pv1.text(place),
        authority=_oid(pv1, place),
        patient=pid.text(3) if pid else "",
        kind=pv1.text(2).upper(),
        admitted=pv1.text(44),
        discharged=pv1.text(45),
    )


def _oid(pv1: Segment, place: int) -> str:
    found = pv1.text(place, 4, sub=2)
    return found if pv1.text(place, 4, sub=3).upper() == "ISO" and found.replace(".", "").isdigit() else ""
