"""A segment means what its loop says: NM1 is the payer in one place and the patient in the next.

A guide is a table of loops, one a line, indented by nesting: name, what opens it, the segments it may hold. `!` is
required, `+` may repeat; `NM1/41` opens when NM101 is 41, `HL///20` when HL03 is 20 (a slash for each element).
`walk` gives each segment its loop, whatever the order of what is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One line of a guide: the segment that opens it (with the values that tell it apart), what it holds, what lies in it."""

    id: str
    opener: str
    element: int = 0
    values: frozenset[str] = frozenset()
    required: bool = False
    repeats: bool = False
    segments: tuple[str, ...] = ()
    needed: frozenset[str] = frozenset()
    children: tuple[Loop, ...] = ()

    def opens(self, parts: Sequence[str]) -> bool:
        """Whether this segment begins the loop."""
        if parts[0] != self.opener:
            return False
        return not self.element or (len(parts) > self.element and parts[self.element] in self.values)

    def all(self) -> Iterator[Loop]:
        """This loop and each inside, in the guide's order."""
        yield self
        for child in self.children:
            yield from child.all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """One implementation guide as we read it."""

    kind: str
    version: str
    functional: str
    """GS01."""
    root: Loop

    def loops(self) -> Iterator[Loop]:
        """Each loop, in the guide's order."""
        return self.root.all()


@dataclass(slots=True, eq=False)
class Place:
    """A loop that is open: what it has held so far, and which one it lies in. Place objects tell repeats apart."""

    loop: Loop
    parent: Place | None
    position: int
    held: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The loop's name."""
        return self.loop.id


def guide(kind: str, version: str, functional: str, table: str) -> Guide:
    """Read a guide's table."""
    rows = [(len(line) - len(line.lstrip()), line.split()) for line in table.strip("\n").splitlines() if line.strip()]
    root, used = _loop(rows, 0)
    if used != len(rows):
        raise ValueError(f"guide {version}: row {used} lies outside the first loop")
    return Guide(kind=kind, version=version, functional=functional, root=root)


def _loop(rows: list[tuple[int, list[str]]], at: int) -> tuple[Loop, int]:
    depth, words = rows[at]
    children: list[Loop] = []
    row = at + 1
    while row < len(rows) and rows[row][0] > depth:
        child, row = _loop(rows, row)
        children.append(child)
    name, opener, *segments = words
    segment, *path = opener.split("/")
    held = tuple(one.rstrip("!") for one in segments)
    made = Loop(
        id=name.rstrip("!+"), opener=segment, element=len(path), values=frozenset(path[-1].split(",")) if path else frozenset(),
        required="!" in name, repeats="+" in name, segments=held,
        needed=frozenset(one.rstrip("!") for one in segments if one.endswith("!")), children=tuple(children),
    )  # fmt: skip
    return made, row


@dataclass(frozen=True, slots=True)
class Step:
    """A segment with its loop. `place` is None when the guide has none for it here."""

    position: int
    parts: list[str]
    place: Place | None


def walk(one: Guide, segments: Iterable[str], mark: str) -> Iterator[Step]:
    """Give each segment of a set its loop: the innermost open one that knows it, or a new one inside an open one."""
    stack: list[Place] = []
    for position, segment in enumerate(segments, 1):
        parts = segment.split(mark)
        place = _place(one, stack, parts, position)
        if place is not None:
            place.held.append(parts[0])
        yield Step(position, parts, place)


def _place(one: Guide, stack: list[Place], parts: list[str], position: int) -> Place | None:
    if not stack:
        if one.root.opens(parts):
            stack.append(Place(one.root, None, position))
            return stack[0]
        return None
    for level in range(len(stack) - 1, -1, -1):
        here = stack[level]
        for child in here.loop.children:
            if child.opens(parts):
                del stack[level + 1 :]
                stack.append(Place(child, here, position))
                here.inner.append(child.id)
                return stack[-1]
        if parts[0] in here.loop.segments:
            del stack[level + 1 :]
            return here
    return None
