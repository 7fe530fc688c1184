"""Three envelopes lie in one another, ISA, GS and ST, and each end repeats its number and counts what it holds.

A file whose envelopes do not agree was cut, glued or edited on its way: nothing in it can be trusted to be whole.
Spec: X12.5, X12.6 §3; SE01 counts ST and SE; ISA13 = IEA02, GS06 = GE02, ST02 = SE02.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fhir_billing.domain.errors import MalformedInterchange
from fhir_billing.x12 import guides
from fhir_billing.x12.grammar import MOST_PIECES, Complaint, Interchange, NotX12, Weight, lex

MOST_COMPLAINTS = 200
"""A file broken everywhere is described by its first places."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransactionSet:
    """One ST to SE. `kind` is what we call it (837P, 277CA …), `first` and `last` index the interchange's segments."""

    kind: str
    set_id: str
    control: str
    version: str
    """ST03, else GS08."""
    interchange: Interchange = field(repr=False)
    group: GroupHead
    first: int
    last: int

    @property
    def segments(self) -> Sequence[str]:
        """Its text from ST to SE."""
        return self.interchange.segments[self.first : self.last + 1]

    @property
    def is_test(self) -> bool:
        """ISA15 is T: it must never be posted."""
        return self.group.is_test


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupHead:
    """What the envelopes around a set say of it: who, to whom, when, and the numbers an answer must repeat."""

    interchange_control: str
    sender: str
    sender_qualifier: str
    receiver: str
    receiver_qualifier: str
    is_test: bool
    control: str
    functional: str
    """GS01."""
    version: str
    """GS08."""
    application_sender: str
    application_receiver: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """One GS to GE."""

    head: GroupHead
    sets: list[TransactionSet]

    @property
    def control(self) -> str:
        """GS06."""
        return self.head.control

    @property
    def version(self) -> str:
        """GS08."""
        return self.head.version


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedInterchange:
    """One ISA to IEA, opened: its groups, and the TA1 segments that lie between its envelopes."""

    control: str
    is_test: bool
    groups: list[Group]
    text: Interchange = field(repr=False)
    notes: list[int]
    """Indexes of its TA1 segments."""
    seen: tuple[tuple[str, str, str], ...] = ()
    """ST01, ST03 and GS08 of each kind of set that begins in it, whether or not it ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A file as opened. `findings` with an error mean that nothing in it may be used."""

    interchanges: list[OpenedInterchange]
    findings: list[Complaint]

    @property
    def is_sound(self) -> bool:
        """Whether the envelopes, counts and versions agree."""
        return not any(found.severity is Weight.ERROR for found in self.findings)

    @property
    def seen_kinds(self) -> tuple[str, ...]:
        """What begins in this file, in its order, even where an envelope is cut and nothing in it may be used."""
        begun = (guides.kind_of(*one)[0] for interchange in self.interchanges for one in interchange.seen)
        return tuple(dict.fromkeys(kind for kind in begun if kind))

    @property
    def sets(self) -> Iterator[TransactionSet]:
        """Each transaction set, in the order of the file."""
        for interchange in self.interchanges:
            for group in interchange.groups:
                yield from group.sets


class Refused(MalformedInterchange):
    """A file that breaks its own rules: `complaints` name each place, the first one is the message."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        first = next((one for one in complaints if one.severity is Weight.ERROR), complaints[0])
        super().__init__(f"{first.place}: {first.say}", fix=first.fix)
        self.complaints = tuple(complaints)


def opened(data: bytes) -> Reading:
    """Open a file's envelopes, or raise `Refused` when they are not sound."""
    reading = read(data)
    if not reading.is_sound:
        raise Refused(reading.findings)
    return reading


def read(data: bytes) -> Reading:
    """Open a file's envelopes; what is wrong with them is in `findings`, never raised."""
    try:
        lexed = lex(data)
    except NotX12 as fault:
        return Reading(interchanges=[], findings=[fault.complaint])
    findings: list[Complaint] = []
    if lexed.before.strip(" \t\r\n\x00\ufeff"):
        say = f"{len(lexed.before)} characters before the first ISA are no X12 and were passed over"
        findings.append(Complaint(say=say, severity=Weight.WARNING))
    found = []
    for one in lexed.interchanges:
        opener = _Opener(one)
        found.append(opener.open())
        if len(findings) < MOST_COMPLAINTS:
            findings.extend(opener.findings[: MOST_COMPLAINTS - len(findings)])
    findings.extend(_repeated(found))
    return Reading(interchanges=found, findings=findings)


def _repeated(interchanges: Iterable[OpenedInterchange]) -> Iterator[Complaint]:
    """An interchange's number used again in one file is worth a word; senders do it, and it loses nothing."""
    seen: dict[tuple[str, str], int] = {}
    for one in interchanges:
        key = (one.text.segments[0][:70], one.control)
        if key in seen:
            say = f"interchange {one.control} came already at segment {seen[key]}"
            yield one.text.complain(0, say, element=13, severity=Weight.WARNING)
            return
        seen[key] = one.text.first


class _Opener:
    """Walks the segments of one interchange once, and holds each end against its beginning."""

    def __init__(self, text: Interchange) -> None:
        self.text = text
        self.findings: list[Complaint] = []
        self.groups: list[Group] = []
        self.notes: list[int] = []
        self.group: Group | None = None
        self.opened_set: tuple[int, list[str]] | None = None
        self.stray: int | None = None
        self.seen: dict[tuple[str, str, str], None] = {}

    def open(self) -> OpenedInterchange:
        isa = [part.strip() for part in self.text.elements(0)]
        isa += [""] * (17 - len(isa))
        for place, fault in self.text.header_faults:
            self.wrong(
                0, f"ISA{place:02d} {fault}: the ISA must be 106 characters", "ask for an ISA of fixed width", place
            )
        if not (isa[13].isdigit() and len(isa[13]) == 9):
            self.wrong(0, f"control number {isa[13][:20]!r} is not nine digits", "", 13)
        if isa[15] not in {"P", "T"}:
            self.wrong(0, f"ISA15 is {isa[15][:5]!r}; only P (production) and T (test) are known", "", 15)
        if guides.day(f"20{isa[9]}") is None:
            self.wrong(0, f"{isa[9][:10]!r} is no date", "write YYMMDD", 9, key="date")
        overfull = list(self.text.overfull())
        for index in overfull:
            say = f"the segment has more than {MOST_PIECES} elements or components"
            self.wrong(index, say, "no guide has so many: ask for the whole file")
        if overfull:
            return self.as_opened(isa)
        closed = self.walk(isa)
        last = len(self.text.segments) - 1
        if not closed:
            if self.opened_set:
                self.wrong(
                    last,
                    f"the file ends inside set {self.opened_set[1][2][:20]!r}: no SE",
                    "ask for the whole file",
                    key="nesting",
                )
            elif self.group:
                self.wrong(last, "the file ends inside a group: no GE", "ask for the whole file", key="nesting")
            self.wrong(last, "the interchange has no IEA", "ask for the whole file", key="nesting")
        return self.as_opened(isa)

    def as_opened(self, isa: list[str]) -> OpenedInterchange:
        return OpenedInterchange(
            control=isa[13], is_test=isa[15] == "T", groups=self.groups, text=self.text, notes=self.notes,
            seen=tuple(self.seen),
        )  # fmt: skip

    def wrong(
        self,
        index: int,
        say: str,
        fix: str = "",
        element: int | None = None,
        *,
        key: str = "envelope",
        weight: Weight = Weight.ERROR,
    ) -> None:
        if len(self.findings) < MOST_COMPLAINTS:
            self.findings.append(self.text.complain(index, say, fix=fix, element=element, key=key, severity=weight))

    def walk(self, isa: list[str]) -> bool:
        segments, mark = self.text.segments, self.text.delimiters.element
        envelope = tuple(name + mark for name in ("GS", "GE", "ST", "SE", "IEA", "TA1", "ISA"))
        bare = {name[:-1] for name in envelope}
        closed = False
        for index in range(1, len(segments)):
            segment = segments[index]
            if not segment.startswith(envelope) and segment not in bare:
                if self.opened_set is None and self.stray is None:
                    self.stray = index
                    say = (
                        "a segment after IEA" if closed else f"segment {segment[:3]!r} stands outside a transaction set"
                    )
                    self.wrong(index, say, "check what was cut or glued here", key="nesting")
                continue
            parts = segment.split(mark)
            parts += [""] * (9 - len(parts))
            if closed:
                self.wrong(index, f"{parts[0]} after IEA", "each interchange begins with its own ISA", key="nesting")
                closed = True
                continue
            match parts[0]:
                case "GS":
                    self.begin_group(index, parts, isa)
                case "ST":
                    self.begin_set(index, parts)
                case "SE":
                    self.end_set(index, parts)
                case "GE":
                    self.end_group(index, parts)
                case "TA1":
                    self.notes.append(index)
                case "IEA":
                    self.end(index, parts, isa)
                    closed = True
                case _:
                    self.wrong(
                        index,
                        "an ISA inside an interchange",
                        "the one before has no IEA: ask for the whole file",
                        key="nesting",
                    )
        return closed

    def begin_group(self, index: int, parts: list[str], isa: list[str]) -> None:
        if self.group or self.opened_set:
            self.wrong(index, "GS before the group above is closed: no GE", "ask for the whole file", key="nesting")
        head = GroupHead(
            interchange_control=isa[13], sender=isa[6], sender_qualifier=isa[5], receiver=isa[8], receiver_qualifier=isa[7],
            is_test=isa[15] == "T", control=parts[6].strip(), functional=parts[1], version=parts[8].strip(),
            application_sender=parts[2].strip(), application_receiver=parts[3].strip(),
        )  # fmt: skip
        if not guides.is_date(parts[4]):
            self.wrong(index, f"{parts[4][:20]!r} is no date", "write CCYYMMDD", 4, key="date")
        fault = guides.release_fault(head.version, isa[12])
        if fault:
            self.wrong(index, fault, "ask for 005010", 8, key="version")
        self.opened_set = None
        self.group = Group(head=head, sets=[])
        self.groups.append(self.group)
        self.group_at = index

    def begin_set(self, index: int, parts: list[str]) -> None:
        if self.opened_set:
            self.wrong(index, "ST before the set above is closed: no SE", "ask for the whole file", key="nesting")
        if self.group is None:
            self.wrong(index, "ST outside a group: no GS", "ask for the whole file", key="nesting")
        if not parts[2].strip():
            self.wrong(index, "the set has no control number", "", 2)
        self.opened_set = (index, parts)
        version = self.group.head.version if self.group else ""
        self.seen[parts[1].strip(), parts[3].strip() or version, version] = None

    def end_set(self, index: int, parts: list[str]) -> None:
        if self.opened_set is None:
            self.wrong(index, "SE without ST", "ask for the whole file", key="nesting")
            return
        first, begun = self.opened_set
        self.opened_set = None
        held = index - first + 1
        self.count(index, parts[1], held, f"SE01 says {parts[1][:12]} segments, ST to SE are {held}")
        self.same(index, "SE02", parts[2], "ST02", begun[2])
        if self.group is not None:
            self.group.sets.append(self.a_set(first, index, begun, self.group.head))

    def a_set(self, first: int, last: int, begun: list[str], head: GroupHead) -> TransactionSet:
        version = begun[3].strip() or head.version
        kind, fault, doubt = guides.kind_of(begun[1], version, head.version)
        if fault:
            self.wrong(first, fault, "ask for the guide that we read", 3 if begun[3].strip() else 1, key="version")
        elif doubt:
            self.wrong(first, doubt, "", 3 if begun[3].strip() else 1, key="version", weight=Weight.WARNING)
        return TransactionSet(
            kind=kind, set_id=begun[1], control=begun[2].strip(), version=version, interchange=self.text, group=head,
            first=first, last=last,
        )  # fmt: skip

    def end_group(self, index: int, parts: list[str]) -> None:
        if self.opened_set:
            self.wrong(
                index, f"GE inside set {self.opened_set[1][2][:20]!r}: no SE", "ask for the whole file", key="nesting"
            )
            self.opened_set = None
        if self.group is None:
            self.wrong(index, "GE without GS", "ask for the whole file", key="nesting")
            return
        sets = len(self.group.sets)
        self.count(index, parts[1], sets, f"GE01 says {parts[1][:12]} sets, the group holds {sets}")
        self.same(index, "GE02", parts[2], "GS06", self.group.control)
        repeated = {one.control for one in self.group.sets}
        if len(repeated) < sets:
            self.wrong(index, "a set's control number is used twice in this group", weight=Weight.WARNING)
        self.group = None

    def end(self, index: int, parts: list[str], isa: list[str]) -> None:
        if self.opened_set or self.group:
            what, missing = ("a set", "SE") if self.opened_set else ("a group", "GE")
            self.wrong(index, f"IEA inside {what}: no {missing}", "ask for the whole file", key="nesting")
            self.opened_set = self.group = None
        groups = len(self.groups)
        if not (groups == 0 and self.notes and parts[1].strip().isdigit() and int(parts[1]) <= len(self.notes)):
            self.count(index, parts[1], groups, f"IEA01 says {parts[1][:12]} groups, the interchange holds {groups}")
        self.same(index, "IEA02", parts[2], "ISA13", isa[13])

    def count(self, index: int, said: str, held: int, say: str) -> None:
        text = said.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) == held):
            self.wrong(index, say, "segments were lost or added: ask for the whole file", 1, key="count")

    def same(self, index: int, name: str, said: str, other: str, begun: str) -> None:
        if said.strip() != begun.strip() or not said.strip():
            say = f"{name} is {said.strip()[:20]!r}, {other} is {begun.strip()[:20]!r}"
            self.wrong(index, say, "two files were mixed: ask for the whole file", 2)
