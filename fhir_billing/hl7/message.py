"""An HL7 v2 message says in its first eight characters how to read the rest, and in MSH-18 in which letters it is written.

Everything that can be wrong with the bytes is one error that names segment and field, so that whoever sent them can mend
them. A message is read by position: segment, field, repetition, component, subcomponent, all counted from one.
Spec: HL7 v2.5.1 chapter 2: 2.5.3 delimiters, 2.7 escape sequences, 2.14.9 MSH, table 0211 character sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fhir_billing.domain.errors import TheirContract

MOST_SEGMENTS: Final = 10_000
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAK = re.compile(r"\r\n|\r|\n")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
CHARSETS: Final = {
    "": "utf-8",
    "ASCII": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/15": "iso8859-15",
}
"""MSH-18 as it is written → how Python calls it. ASCII is a part of UTF-8, and so is what most senders mean by saying nothing."""


class MalformedMessage(TheirContract):
    """Bytes that are no HL7 v2 message that can be read here."""

    code = "malformed-hl7"

    def __init__(self, place: str, say: str, *, fix: str = "") -> None:
        super().__init__(f"{place} {say}", fix=fix)
        self.place = place
        """Segment, field: `MSH-9`, `FT1[2]-11`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """The signs of one message; an empty one is not used in it."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """MSH-2."""
        return f"{self.component}{self.repetition}{self.escape}{self.subcomponent}{self.truncation}"


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of a message."""

    name: str
    fields: tuple[str, ...]
    """As written; place 0 is the name, so that a field's number is its place. MSH-1 is the field separator itself."""
    delimiters: Delimiters
    charset: str = "utf-8"
    place: str = ""
    """`FT1[2]`: which one of its name it is, where there are several."""

    def at(self, number: int) -> str:
        """How a field is named to a person."""
        return f"{self.place or self.name}-{number}"

    def raw(self, number: int) -> str:
        """A field as written; empty when it is not there."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> tuple[str, ...]:
        """A field's repetitions as written, empty ones left out."""
        return tuple(part for part in _split(self.raw(number), self.delimiters.repetition) if part)

    def text(self, number: int, component: int = 1, *, sub: int = 1, repetition: int = 1) -> str:
        """One value, unescaped; `""` (delete what you hold) and what is not there are both empty."""
        parts = self.repetitions(number)
        return self.part(parts[repetition - 1], component, sub=sub) if repetition <= len(parts) else ""

    def part(self, text: str, component: int = 1, *, sub: int = 1) -> str:
        """One value of a repetition as `repetitions` gave it."""
        found = _pick(_pick(text, self.delimiters.component, component), self.delimiters.subcomponent, sub)
        return "" if found == '""' else unescaped(found, self.delimiters, self.charset).strip()


@dataclass(frozen=True, slots=True)
class V2Message:
    """A message that was read."""

    segments: tuple[Segment, ...]

    @property
    def msh(self) -> Segment:
        """Its header."""
        return self.segments[0]

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment of a name, in order."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        """The first segment of a name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    @property
    def kind(self) -> str:
        """MSH-9.1: ADT, DFT."""
        return self.msh.text(9, 1).upper()

    @property
    def event(self) -> str:
        """MSH-9.2, else EVN-1, for some senders write it only there: A03."""
        evn = self.first("EVN")
        return (self.msh.text(9, 2) or (evn.text(1) if evn else "")).upper()

    @property
    def control(self) -> str:
        """MSH-10."""
        return self.msh.text(10)

    @property
    def sender(self) -> tuple[str, str]:
        """MSH-3 and MSH-4 as written: which application of which place."""
        return self.msh.raw(3), self.msh.raw(4)


def read(body: bytes) -> V2Message:
    """A message of its bytes. Raises MalformedMessage, which names segment and field."""
    delimiters = _delimiters(body)
    charset = _charset(body, delimiters)
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as error:
        raise MalformedMessage(
            "MSH-18", f"does not name the letters of byte {error.start}", fix="send UTF-8, or name the character set"
        ) from None
    lines = [line for line in _BREAK.split(text) if line.strip()]
    if len(lines) > MOST_SEGMENTS:
        raise MalformedMessage("MSH", f"is followed by more than {MOST_SEGMENTS} segments", fix="send it in parts")
    return V2Message(tuple(_segments(lines, delimiters, charset)))


def _delimiters(body: bytes) -> Delimiters:
    if body[:3] != b"MSH":
        say = "is not how it begins: a batch or something else" if body[:3] in {b"FHS", b"BHS"} else "is not there"
        raise MalformedMessage("MSH", say, fix="send one message a frame, MSH first")
    mark = body[3:4]
    end = body.find(mark, 4, 12) if mark else -1
    signs = body[4:end] if end > 0 else b""
    every = (mark + signs).decode("latin-1")
    if not 2 <= len(signs) <= 5 or len(set(every)) != len(every) or any(not _is_sign(sign) for sign in every):
        raise MalformedMessage("MSH-2", "is no set of encoding characters", fix=r"begin with MSH|^~\&|")
    names = ("field", "component", "repetition", "escape", "subcomponent", "truncation")
    given = dict(zip(names, every.ljust(6, "\0"), strict=True))
    return Delimiters(**{name: sign.strip("\0") for name, sign in given.items()})


def _is_sign(sign: str) -> bool:
    return "!" <= sign <= "~" and not sign.isalnum()


def _charset(body: bytes, delimiters: Delimiters) -> str:
    line = re.split(rb"[\r\n]", body, maxsplit=1)[0].decode("latin-1")
    fields = line.split(delimiters.field)
    said = _split(fields[17], delimiters.repetition)[0].strip().upper() if len(fields) > 17 else ""
    if said not in CHARSETS:
        raise MalformedMessage("MSH-18", "names a character set that is not read here", fix="send UNICODE UTF-8")
    return CHARSETS[said]


def _segments(lines: list[str], delimiters: Delimiters, charset: str) -> Iterator[Segment]:
    counted: dict[str, int] = {}
    for position, line in enumerate(lines, 1):
        name, rest = line[:3], line[3:4]
        if not _NAME.fullmatch(name) or (rest and rest != delimiters.field):
            raise MalformedMessage(f"segment {position}", "has no name", fix="begin it with three letters")
        if name == "MSH" and position > 1:
            raise MalformedMessage("MSH", "stands twice in one frame", fix="send one message a frame")
        counted[name] = counted.get(name, 0) + 1
        place = f"{name}[{counted[name]}]" if counted[name] > 1 or name == "FT1" else name
        fields = line.split(delimiters.field)
        for number, field in enumerate(fields):
            if _CONTROLS.search(field):
                raise MalformedMessage(
                    f"{place}-{number}", "holds a control character", fix="leave it out or escape it"
                )
        if name == "MSH":
            fields = ["MSH", delimiters.field, *fields[1:]]
        yield Segment(name, tuple(fields), delimiters, charset, place)


def _split(text: str, sign: str) -> list[str]:
    return text.split(sign) if sign else [text]


def _pick(text: str, sign: str, number: int) -> str:
    parts = _split(text, sign)
    return parts[number - 1] if number <= len(parts) else ""


def unescaped(text: str, delimiters: Delimiters, charset: str = "utf-8") -> str:
    r"""The text that was meant: `\T\` is the subcomponent sign, `\X41\` a byte; an escape that means nothing here stays.

    >>> unescaped(r"Smith \T\ Sons", Delimiters())
    'Smith & Sons'
    """
    sign = delimiters.escape
    if not sign or sign not in text:
        return text
    pieces = text.split(sign)
    found, position = [pieces[0]], 1
    while position < len(pieces):
        meant = _meant(pieces[position], delimiters, charset) if position + 1 < len(pieces) else None
        if meant is None:
            found.append(sign + pieces[position])
            position += 1
        else:
            found.append(meant + pieces[position + 1])
            position += 2
    return "".join(found)


def _meant(name: str, delimiters: Delimiters, charset: str) -> str | None:
    known = {
        "F": delimiters.field, "S": delimiters.component, "T": delimiters.subcomponent, "R": delimiters.repetition,
        "E": delimiters.escape, "P": delimiters.truncation or "#", "H": "", "N": "", ".br": "\n",
    }  # fmt: skip
    if name in known:
        return known[name]
    if match := _HEX.fullmatch(name):
        return _CONTROLS.sub(" ", bytes.fromhex(match[1]).decode(charset, errors="replace"))
    return None
