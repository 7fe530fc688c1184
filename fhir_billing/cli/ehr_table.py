"""What a check found, as somebody reads it in a terminal: grouped, a mark and a word a line, and what is done instead."""

from __future__ import annotations

import textwrap
from datetime import datetime

from fhir_billing.cycle.conformance import Conformance, Found, Interaction

MARKS = {
    Found.WORKS: "✓",
    Found.PARTLY: "~",
    Found.FORBIDDEN: "⊘",
    Found.MISSING: "✗",
    Found.IGNORED: "✗",
    Found.NOT_TRIED: "·",
}
WIDE = 118


def table(run: Conformance) -> str:
    """The whole table with its last lines."""
    lines = [
        f"{run.url}",
        f"{run.software or 'an EHR without a name'}, FHIR {run.fhir_version or '?'}, {run.at:%Y-%m-%d %H:%M} UTC",
    ]
    for group, rows in run.groups():
        if not run.could_ask() and group != "connection":
            continue
        lines += ["", group[:1].upper() + group[1:]]
        for row in rows:
            lines += _row(row)
    return "\n".join([*lines, "", *sentences(run)])


def sentences(run: Conformance) -> list[str]:
    """What follows from the table, one sentence a line."""
    if not run.could_ask():
        return ["Nothing more could be asked: there is no token."]
    said = run.facts.get("sentences", "").splitlines()
    if run.facts.get("kept-at"):
        when = datetime.fromisoformat(run.facts["kept-at"])
        said.insert(
            0, f"What it takes was not tried now; what is said of it was tried {when:%Y-%m-%d %H:%M} UTC, and is kept."
        )
    if run.facts.get("left"):
        said.insert(0, f"Left behind: {run.facts['left']}.")
    if lacking := run.lacking():
        said.insert(0, f"Not usable yet: no bill can be made without what may not be read: {'; '.join(lacking)}.")
    elif not run.is_usable():
        said.insert(0, "Not usable yet: visits must be found and read.")
    elif run.is_empty():
        said.insert(
            0,
            "No finished visit is charted there: what belongs to a visit could not be tried. Chart one, and check again.",
        )
    return said


def row_line(row: Interaction) -> str:
    """One line, without what is done instead."""
    said = f"{': ' if row.found is Found.NOT_TRIED else ', '}{row.say}" if row.say else ""
    return f"{MARKS[row.found]} {row.what}: {row.found.value}{said}"


def _row(row: Interaction) -> list[str]:
    doubt = "; it declares this" if row.declared and row.found not in {Found.WORKS, Found.NOT_TRIED} else ""
    said = textwrap.wrap(f"{row_line(row)}{doubt}", WIDE, initial_indent="  ", subsequent_indent="      ")
    if row.instead and row.found is not Found.NOT_TRIED:
        said += textwrap.wrap(f"instead: {row.instead}", WIDE, initial_indent="      ", subsequent_indent="      ")
    return said
