"""A hospital says that a patient left, came back or never was there; which visit that is stands in PV1-19.

Spec: HL7 v2.5.1 chapter 3: ADT A03 discharge, A04 register, A08 update, A11 cancel admit, A13 cancel discharge; 3.4.3 PV1
(2 class, 19 visit number, 44 admitted, 45 discharged, 50 alternate visit number); PID-3, PID-18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSeen:
    """The visit that a message is about."""

    event: str
    number: str
    """PV1-19.1 as the hospital writes it."""
    authority: str = ""
    """Who gives these numbers (PV1-19.4), as a FHIR identifier's system; empty when only a name is said."""
    patients: tuple[tuple[str, str], ...] = ()
    """PID-3: system (empty where only a name is said) and value of each of the patient's numbers."""
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
        authority=_system(pv1, pv1.repetitions(place)[0]),
        patients=_numbers(pid) if pid else (),
        kind=pv1.text(2).upper(),
        admitted=pv1.text(44),
        discharged=pv1.text(45),
    )


def _numbers(pid: Segment) -> tuple[tuple[str, str], ...]:
    return tuple((_system(pid, text), value) for text in pid.repetitions(3) if (value := pid.part(text)))


def _system(segment: Segment, number: str) -> str:
    """The assigning authority of a number (CX-4, type HD) as FHIR names it."""
    found, kind = segment.part(number, 4, sub=2), segment.part(number, 4, sub=3).upper()
    if kind in {"", "ISO"} and _OID.fullmatch(found):
        return f"urn:oid:{found}"
    if kind in {"UUID", "GUID"} and found:
        return f"urn:uuid:{found.lower()}"
    return found if kind in {"", "URI", "URL"} and _URI.fullmatch(found) else ""


def another_patient(said: Iterable[tuple[str, str]], known: Iterable[tuple[str, str]]) -> bool:
    """Whether the same authority gave the two another number.

    >>> (
    ...     another_patient([("urn:oid:1.2", "7")], [("urn:oid:1.2", "8")]),
    ...     another_patient([("", "7")], [("urn:oid:1.2", "8")]),
    ... )
    (True, False)
    """
    ours, theirs = set(said), set(known)
    both = {system for system, _ in ours if system} & {system for system, _ in theirs}
    return any({n for n in ours if n[0] == system}.isdisjoint(theirs) for system in both)


def same_patient(said: Iterable[tuple[str, str]], known: Iterable[tuple[str, str]]) -> bool:
    """Whether the two have a number in common that no two authorities gave."""
    theirs = set(known)
    return any(
        value == other and (system == theirs_ or not system or not theirs_)
        for system, value in said
        for theirs_, other in theirs
    )
