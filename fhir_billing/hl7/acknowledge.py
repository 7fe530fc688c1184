"""An acknowledgment says what became of a message, in the mode that its sender asks for.

In the original mode the answer is AA, AE or AR; in the enhanced one a commit answer CA, CE or CR, and only when MSH-15 wants
it. What was heard is worked later, so an application answer beside the commit answer is never sent: a sender that wants only
one (MSH-15 NE, MSH-16 AL) gets it as in the original mode.
Spec: HL7 v2.5.1 chapter 2: 2.9.2 and 2.9.3 acknowledgment modes, 2.14.8 MSA, 2.14.5 ERR, tables 0008, 0155, 0357, 0516.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_billing.hl7.charges import charges
from fhir_billing.hl7.message import MalformedMessage, Segment, V2Message, read
from fhir_billing.hl7.visits import CHARGES, HEEDED, KINDS, LONGEST, visit
from fhir_billing.hl7.write import escaped, header, message, segment, stamp

ACCEPTED, ERROR, REJECTED = "AA", "AE", "AR"
UNSUPPORTED_TYPE, UNSUPPORTED_EVENT, UNSUPPORTED_MODE, UNSUPPORTED_VERSION = "200", "201", "202", "203"
MISSING, UNREADABLE, DUPLICATE, OURS = "101", "102", "205", "207"
WITH_ERR: Final = (2, 5)
"""From this version on ERR has a place, a code and words of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a message is answered. `code` is of the original mode."""

    code: str = ACCEPTED
    say: str = ""
    place: str = ""
    """Segment and field: `FT1[2]-11`."""
    error: str = ""
    """Of table 0357."""


def judged(body: bytes, *, test: bool) -> tuple[V2Message | None, Verdict]:
    """The message, as far as it can be read, and whether it can be taken. `test`: whether this installation is one."""
    try:
        found = read(body)
    except MalformedMessage as error:
        return None, Verdict(code=REJECTED, say=str(error), place=error.place, error=UNREADABLE)
    verdict = _header(found, test=test)
    if verdict.code == ACCEPTED:
        verdict = _content(found)
    return found, verdict


def _header(found: V2Message, *, test: bool) -> Verdict:
    mode, version = found.msh.text(11).upper(), found.msh.text(12)
    if not found.control or len(found.control) > LONGEST:
        return _refused("MSH-10", "holds no control id that a message can be known by", MISSING)
    if any(len(part) > LONGEST for part in found.sender):
        return _refused("MSH-3", "or MSH-4 is longer than a sender's name", UNREADABLE)
    if found.kind not in KINDS:
        return _refused("MSH-9", "is a type of message that is not read here: send ADT and DFT", UNSUPPORTED_TYPE)
    if found.kind == "DFT" and found.event not in CHARGES:
        return _refused("MSH-9", "is an event that is not read here: send DFT P03 and P11", UNSUPPORTED_EVENT)
    if not found.event:
        return _refused("MSH-9", "names no event", MISSING)
    if mode not in {"P", "T", "D", ""}:
        return _refused("MSH-11", "is none of P, T and D", UNSUPPORTED_MODE)
    if mode in {"T", "D"} and not test:
        return _refused("MSH-11", "says that this is a test, and this is production", UNSUPPORTED_MODE)
    if version and not version.startswith("2"):
        return _refused("MSH-12", "is a version that is not read here: send 2.1 to 2.9", UNSUPPORTED_VERSION)
    return Verdict()


def _refused(place: str, say: str, error: str) -> Verdict:
    return Verdict(code=REJECTED, say=f"{place} {say}", place=place, error=error)


def _content(found: V2Message) -> Verdict:
    """Whether what will be needed of it is there; an event that says nothing about closed visits needs nothing."""
    if found.kind == "ADT" and found.event not in HEEDED:
        return Verdict()
    try:
        seen = visit(found)
        if found.kind == "DFT":
            charges(found, seen.number)
    except MalformedMessage as error:
        return Verdict(code=ERROR, say=str(error), place=error.place, error=UNREADABLE)
    return Verdict()


def answer(body: bytes, verdict: Verdict, at: datetime) -> bytes | None:
    """The acknowledgment of a message; None when its sender wants none."""
    msh = _first_line(body)
    code = _wanted(msh, verdict.code)
    if not code:
        return None
    event = msh.text(9, 2) if msh else ""
    version = msh.text(12) if msh else ""
    control = hashlib.sha256(body + at.isoformat().encode()).hexdigest()[:18].upper()
    back = [msh.text(number) for number in (5, 6, 3, 4)] if msh else ["", "", "", ""]
    kind = "^".join(filter(None, ("ACK", escaped(event), "ACK" if event else "")))
    mode = (msh.text(11) if msh else "") or "P"
    lines = [
        header(
            *map(escaped, back),
            stamp(at),
            "",
            kind,
            f"FB{control}",
            escaped(mode),
            escaped(version) or "2.5.1",
            *_letters(),
        ),
        segment("MSA", code, msh.text(10) if msh else "", verdict.say[:80]),
    ]
    if verdict.code != ACCEPTED and _has_err(version):
        lines.append(
            segment(
                "ERR", "", _location(verdict.place), (verdict.error, "", "HL70357"), "E", "", "", "", verdict.say[:250]
            )
        )
    return message(lines)


def _letters() -> tuple[str, ...]:
    return ("", "", "", "", "", "UNICODE UTF-8")


def _first_line(body: bytes) -> Segment | None:
    """The header, even of a message whose rest cannot be read; None when there is none."""
    line = body[:4000].split(b"\r", maxsplit=1)[0].split(b"\n", maxsplit=1)[0]
    try:
        return read(line).msh
    except MalformedMessage:
        return None


def _wanted(msh: Segment | None, code: str) -> str:
    """The code in the mode that is asked for; empty when no answer is."""
    commit, application = (msh.text(15).upper(), msh.text(16).upper()) if msh else ("", "")
    condition, letter = (commit, "C") if commit not in {"", "NE"} else (application, "A")
    if commit == "NE" and application in {"", "NE"}:
        return ""
    answers = {"": True, "AL": True, "NE": False, "ER": code != ACCEPTED, "SU": code == ACCEPTED}
    return letter + code[1] if answers.get(condition, True) else ""


def _has_err(version: str) -> bool:
    numbers = [int(part) for part in version.split(".")[:2] if part.isascii() and part.isdigit()]
    return tuple(numbers) >= WITH_ERR if numbers else True


def _location(place: str) -> tuple[str, ...]:
    """ERR-2 (ERL): segment, which one of its name, field."""
    name, _, number = place.partition("-")
    word, _, nth = name.rstrip("]").partition("[")
    return (
        (word, nth or "1", number)
        if number.isascii() and number.isdigit() and len(word) == 3
        else (word,)
        if len(word) == 3
        else ()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What another system said of a message of ours."""

    code: str
    """MSA-1."""
    control: str
    """MSA-2: of which message."""
    say: str = ""

    @property
    def taken(self) -> bool:
        """Whether it has it."""
        return self.code in {"AA", "CA"}


def read_answer(body: bytes) -> Answered:
    """What an acknowledgment says. Raises MalformedMessage."""
    found = read(body)
    msa = found.first("MSA")
    if msa is None or len(msa.text(1)) != 2:
        raise MalformedMessage("MSA", "is not there or says nothing", fix="answer with ACK")
    err = found.first("ERR")
    words = msa.text(3) or (err.text(8) or err.text(3, 2) or err.text(1) if err else "")
    return Answered(code=msa.text(1).upper(), control=msa.text(2), say=words)
