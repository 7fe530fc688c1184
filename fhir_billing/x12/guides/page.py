"""The guides as a page for people: `docs/x12.md` is printed from the same tables that the walker reads."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.x12.guides import BEFORE_5010, PUBLISHED, g277, g277ca, g835, g837i, g837p, g999, ta1
from fhir_billing.x12.guides.loops import Guide, Loop

ALL = (g837p.GUIDE, g837i.GUIDE, g999.GUIDE, g277ca.GUIDE, g277.GUIDE, g835.GUIDE, ta1.GUIDE)

_HEAD = """# X12: what is read, what is written, and by which tables

The guides (TR3) are licensed and were not read. The tables below hold loop and segment names only; they were checked
against pyx12's public maps and the public samples of `tests/corpus/x12`, and both pyx12 and x12sdk read what we write
(`tests/unit/x12/test_oracles.py`). What could not be checked: situational rules that only the guides' notes tell.

| set | reads into | is written from |
| --- | --- | --- |
| 837P, 837I | `domain.Claim` (`x12/read_837.py`) | `domain.Claim` (`x12/write_837.py`) |
| 835 | `domain.Remittance` (`x12/read_835.py`) | `domain.Remittance` (`x12/write_835.py`) |
| 999, 997, 277CA, 277, TA1 | `domain.acknowledgment` (`x12/read_acks.py`) | 999, 277CA, TA1 (`x12/write_acks.py`) |
| 837D | claim numbers and sums | not written |
| all others | recognised by name, envelopes checked | not written |

## What refuses a file

`x12 read` and `receive` refuse a whole file, never a part of it, and name segment, element and byte:

- **envelope**: an ISA of other than 106 characters; ISA13 and IEA02, GS06 and GE02, ST02 and SE02 that differ; ISA15 other than P or T
- **count**: SE01, GE01, IEA01 that do not count what they hold
- **nesting**: a missing or doubled ISA, GS, ST, SE, GE or IEA; a segment between them
- **version**: a guide that nobody published, that is not one of this set, or whose release is not the one that ISA12 or GS08 tells
- **amount**, **date**: one that cannot be read, in the sets that are read further
- **balance**: an 835 line, claim or file that does not add up

What does not change the meaning is let pass: a byte order mark, text before the first ISA, indents, wrapped lines, CRLF,
a missing last newline or terminator, any delimiters. GS08 and ST03 that name different guides are a warning, ST03 counts.
Release 004010 is read by the rules of 005010 with a warning, where ISA12 says 00401 too.

`x12 check` adds what sending needs: required loops and segments, CLM02 as the sum of its lines, diagnosis pointers, NPI
check digits, nine-digit ZIP codes, tax id, REF\\*F8 for 7 and 8, numbers used once, earlier payers' decisions that add up.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, "## Guides by set\n", "| set | called | 005010 | 004010 |", "| --- | --- | --- | --- |"]
    parts.extend(_published())
    for one in ALL:
        parts.extend(
            [
                "",
                f"## {one.kind} ({one.version})\n",
                "| loop | opened by | must hold | may hold |",
                "| --- | --- | --- | --- |",
            ]
        )
        parts.extend(_rows(one))
    return "\n".join(parts) + "\n"


def _published() -> Iterator[str]:
    for set_id, guides in PUBLISHED.items():
        for name in dict.fromkeys(guides.values()):
            now = ", ".join(guide for guide, called in guides.items() if called == name)
            old = ", ".join(guide for guide, called in BEFORE_5010.get(set_id, {}).items() if called == name)
            yield f"| {set_id} | {name} | {now} | {old} |"


def _rows(one: Guide) -> Iterator[str]:
    seen: set[str] = set()
    for loop in one.loops():
        if loop.id in seen:  # 2300 lies under 2000B and under 2000C
            continue
        seen.add(loop.id)
        must = " ".join(segment for segment in loop.segments if segment in loop.needed)
        may = " ".join(segment for segment in loop.segments if segment not in loop.needed)
        usage = "" if loop.required else " (may be absent)"
        yield f"| {loop.id}{'+' if loop.repeats else ''}{usage} | {_opener(loop)} | {must} | {may} |"


def _opener(loop: Loop) -> str:
    if not loop.element:
        return loop.opener
    return f"{loop.opener}{loop.element:02d} {' or '.join(sorted(loop.values))}"
