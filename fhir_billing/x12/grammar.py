"""An interchange says in its own ISA which characters separate it; nothing else may be assumed.

Lenient about what does not change the meaning (byte order mark, text before the ISA, indented or wrapped lines, CRLF, a
missing last newline), exact about the rest: each segment keeps its number and its byte offset, and the text can
be put together again byte by byte.
Spec: X12.5 ISA, X12.6 §3: 16 elements of fixed width, 106 characters with the terminator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from fhir_billing.domain.errors import MalformedInterchange

ISA_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
"""Of ISA01 to ISA16."""
_LINE_ENDS = "\r\n"
_IDENTIFIER = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_NOTHING = " \t\r\n\v\f\x00\x1a\ufeff"
"""White space, and what old systems pad a file with."""


MOST_PIECES = 1000
"""Elements, or components, that a segment may have; the longest of any guide has far fewer."""
_WINDOW = 1 << 16
"""Characters taken apart at once."""


class Weight(StrEnum):
    """An error refuses the file, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong in an X12 text, and exactly where. `segment` counts from 1 in the file, `offset` is in bytes."""

    say: str
    fix: str = ""
    segment: int = 0
    id: str = ""
    element: int | None = None
    component: int | None = None
    offset: int = 0
    severity: Weight = Weight.ERROR
    key: str = "envelope"
    """Which law is broken: envelope, count, nesting, version, amount, date, balance, guide."""

    @property
    def place(self) -> str:
        """`segment 34 SE01`, as a person says it."""
        if not self.segment:
            return f"byte {self.offset}"
        name = self.id + (f"{self.element:02d}" if self.element else "")
        return f"segment {self.segment} {name}{f'-{self.component}' if self.component else ''}".rstrip()

    def __str__(self) -> str:
        """The complaint as a line reads after its file's name."""
        return f"{self.place}: {self.say}{f'; {self.fix}' if self.fix else ''}"


class NotX12(MalformedInterchange):
    """There is no ISA that could be read; `complaint` says where."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(f"{complaint.place}: {complaint.say}", fix=complaint.fix)
        self.complaint = complaint


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """The four characters an interchange is cut with."""

    element: str = "*"
    component: str = ":"
    repetition: str = "^"
    segment: str = "~"

    def all(self) -> str:
        """Each of them, as a string."""
        return self.element + self.component + self.repetition + self.segment


@dataclass(slots=True, kw_only=True, eq=False)
class Interchange:
    """One ISA to its IEA as text: `segments[0]` is the ISA, terminators and line breaks taken off."""

    delimiters: Delimiters
    segments: list[str]
    text: str = field(repr=False)
    start: int
    """Offset of the ISA in bytes."""
    first: int = 1
    """Number of the ISA among the file's segments."""
    ends_open: bool = False
    """The last segment has no terminator."""
    header_faults: list[tuple[int, str]] = field(default_factory=list)
    encoding: str = "ascii"
    _offsets: list[int] | None = None

    def elements(self, index: int) -> list[str]:
        """The elements of one segment; [0] is its identifier."""
        return self.segments[index].split(self.delimiters.element)

    def overfull(self) -> Iterator[int]:
        """The segments with more pieces than any guide has; they must not be taken apart."""
        marks = self.delimiters
        for index, segment in enumerate(self.segments):
            if len(segment) > MOST_PIECES and (
                segment.count(marks.element) > MOST_PIECES or segment.count(marks.component) > MOST_PIECES
            ):
                yield index

    def offset(self, index: int) -> int:
        """Where a segment begins, in bytes from the start of the file."""
        if self._offsets is None:
            self._offsets = list(self._find_offsets())
        if not self._offsets:
            return self.start
        return self._offsets[min(index, len(self._offsets) - 1)]

    def _find_offsets(self) -> Iterator[int]:
        position, width = self.start, len(self.delimiters.segment.encode(self.encoding))
        for raw in self.text.split(self.delimiters.segment):
            body = raw.lstrip(_NOTHING)
            if body and not body.isspace():
                yield position + len(raw) - len(body)
            position += len(raw.encode(self.encoding)) + width

    def complain(
        self,
        index: int,
        say: str,
        *,
        fix: str = "",
        element: int | None = None,
        component: int | None = None,
        key: str = "envelope",
        severity: Weight = Weight.ERROR,
    ) -> Complaint:
        """A complaint about one of these segments, with its number, name and offset."""
        within = min(index, len(self.segments) - 1)
        found = _IDENTIFIER.match(self.segments[within])
        offset = self.offset(within)
        if element:
            before = self.segments[within].split(self.delimiters.element, element)[:element]
            offset += sum(len(part.encode(self.encoding)) + 1 for part in before)
        return Complaint(
            say=say, fix=fix, segment=self.first + within, id=found[0] if found else "", element=element,
            component=component, offset=offset, severity=severity, key=key,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexed:
    """A whole file: its interchanges and what stood before the first."""

    before: str
    interchanges: list[Interchange]
    encoding: str
    mark: bytes = b""


def interchanges(data: bytes) -> list[Interchange]:
    """Cut a file into its interchanges and segments; raises `NotX12` when there is no ISA to go by.

    >>> interchanges(b"hello")
    Traceback (most recent call last):
    ...
    fhir_billing.x12.grammar.NotX12: segment 1 ISA: there is no ISA segment; an X12 file begins with ISA: ask the sender for the whole file
    """
    return lex(data).interchanges


def lex(data: bytes) -> Lexed:
    """Cut a file, and keep what stood before its first ISA."""
    text, encoding, mark = _decode(data)
    starts = _headers(text)
    if not starts:
        raise NotX12(_why_no_header(data, text))
    found: list[Interchange] = []
    number = 1
    at = len(mark) + len(text[: starts[0]].encode(encoding))
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        one = _interchange(text[start:end], at, number, encoding)
        number += len(one.segments)
        at += end - start if encoding == "ascii" else len(text[start:end].encode(encoding))
        found.append(one)
    return Lexed(before=text[: starts[0]], interchanges=found, encoding=encoding, mark=mark)


def _decode(data: bytes) -> tuple[str, str, bytes]:
    """Text, encoding and byte order mark; ISO 8859-1 where it is not UTF-8, for that reads any byte."""
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    body = data[len(mark) :]
    if body.isascii():
        return body.decode("ascii"), "ascii", mark
    try:
        return body.decode("utf-8"), "utf-8", mark
    except UnicodeDecodeError:
        return body.decode("latin-1"), "latin-1", mark


def _why_no_header(data: bytes, text: str) -> Complaint:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\x00I\x00S\x00A" in data[:400]:
        return _at_start("this is UTF-16", "save it as plain ASCII or UTF-8")
    found = re.search(r"ISA([^A-Za-z0-9 \r\n])", text)
    if found:
        at = len(text[: found.start()].encode("utf-8", "replace"))
        return Complaint(
            say="the ISA segment is cut short: it must have 16 elements", fix="ask the sender for the whole file",
            segment=1, id="ISA", offset=at,
        )  # fmt: skip
    if not text.strip(_NOTHING):
        return _at_start("the file is empty", "ask the sender for the whole file")
    return _at_start("there is no ISA segment", "an X12 file begins with ISA: ask the sender for the whole file")


def _at_start(say: str, fix: str) -> Complaint:
    return Complaint(say=say, fix=fix, segment=1, id="ISA")


def _headers(text: str) -> list[int]:
    """Where each ISA begins. A word that only ends in ISA, or an element that says it, is none."""
    starts: list[int] = []
    terminator = ""
    position = text.find("ISA")
    while position >= 0:
        before = text[position - 1] if position else "\n"
        if (before.isspace() or before == terminator or before in _NOTHING) and (found := _header(text, position)):
            starts.append(position)
            terminator = found[1]
            position = text.find("ISA", position + 100)
        else:
            position = text.find("ISA", position + 3)
    return starts


def _header(text: str, start: int) -> tuple[list[str], str] | None:
    """The 17 parts of an ISA and its terminator; None when this is no ISA."""
    separator = text[start + 3 : start + 4]
    if not separator or separator.isalnum() or separator in " \r\n":  # a tab or 0x1C to 0x1F does cut elements
        return None
    parts = text[start : start + 400].split(separator, 16)
    if len(parts) < 17:
        return None
    rest = parts[16].lstrip(_LINE_ENDS)
    if len(rest) < 2 or rest[0].isalnum() or any(len(part) > 40 for part in parts[1:16]):
        return None
    if rest[1].isalnum() or (rest[0] == "~" and rest[1] in _LINE_ENDS):  # ISA16 is missing: this is the terminator
        parts[16], terminator = "", rest[0]
    else:
        parts[16], terminator = rest[0], rest[1]
    return (parts, terminator) if terminator != separator else None


def _interchange(text: str, at: int, number: int, encoding: str) -> Interchange:
    marks = _delimiters(text)
    terminator = marks.segment
    return Interchange(
        delimiters=marks,
        segments=_segments(text, terminator),
        text=text,
        start=at,
        first=number,
        ends_open=bool(text.rsplit(terminator, 1)[-1].strip(_NOTHING)),
        encoding=encoding,
        header_faults=_widths(_parts(text)[0]),
    )


def _parts(text: str) -> tuple[list[str], str]:
    header = _header(text, 0)
    assert header is not None  # noqa: S101 - `_headers` has looked
    return header


def _delimiters(text: str) -> Delimiters:
    parts, terminator = _parts(text)
    repetition = parts[11].strip(_NOTHING)[:1]
    return Delimiters(
        element=text[3],
        component=parts[16] or "\x00",
        repetition="" if repetition.isalnum() else repetition,
        segment=terminator,
    )


def _segments(text: str, terminator: str) -> list[str]:
    """Indents, wrapped lines and padding taken out; blanks at the end of a segment are data and stay."""
    for line_end in ("\r\n", "\n"):  # the usual case: one segment a line, and quick to undo
        if terminator not in line_end and text.count(terminator + line_end) >= text.count("\n") - 1:
            text = text.replace(terminator + line_end, terminator)
            break
    raw = text.split(terminator)
    if any(white in text for white in ("\n", "\r", "\t", "\x00", "\x1a", terminator + " ")):
        raw = [one.lstrip(_NOTHING).replace("\r", "").replace("\n", "") for one in raw]
    return [one for one in raw if one and not one.isspace()]


def _widths(parts: list[str]) -> list[tuple[int, str]]:
    faults = []
    for place, (part, width) in enumerate(zip(parts[1:], ISA_WIDTHS, strict=True), 1):
        size = len(part.replace("\r", "").replace("\n", ""))
        if size != width:
            faults.append((place, f"has {size} characters, not {width}"))
    return faults


# ---- round trip ---------------------------------------------------------------------------------------------------


def rebuilt(data: bytes) -> bytes:
    """The file taken apart to its smallest pieces and put together again: equal, or the grammar lost something.

    Piece by piece in windows of the text, for a file of nothing but separators holds as many pieces as bytes.
    """
    text, encoding, mark = _decode(data)
    starts = _headers(text)
    if not starts:
        raise NotX12(_why_no_header(data, text))
    again = bytearray(mark)
    again += text[: starts[0]].encode(encoding)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        marks = _delimiters(text[start : start + 400])
        for at in range(start, end, _WINDOW):
            again += _rejoined(text[at : min(at + _WINDOW, end)], marks).encode(encoding)
    return bytes(again)


def _rejoined(text: str, marks: Delimiters) -> str:
    return marks.segment.join(
        marks.element.join(_element(element, marks) for element in segment.split(marks.element))
        for segment in text.split(marks.segment)
    )


def _element(text: str, marks: Delimiters) -> str:
    if marks.component not in text:
        return text
    repeats = text.split(marks.repetition) if marks.repetition else [text]
    pieces = [repeat.split(marks.component) for repeat in repeats]
    return marks.repetition.join(marks.component.join(repeat) for repeat in pieces)


def first_difference(data: bytes, again: bytes) -> tuple[int, int] | None:
    """(byte, segment) where two texts part; None when they are equal."""
    if data == again:
        return None
    same = next((i for i, (a, b) in enumerate(zip(data, again, strict=False)) if a != b), min(len(data), len(again)))
    number = 0
    for one in interchanges(data):
        for index in range(len(one.segments)):
            if one.offset(index) > same:
                return same, max(number, 1)
            number += 1
    return same, number
