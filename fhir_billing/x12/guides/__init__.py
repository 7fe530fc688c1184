"""A guide says which loops and segments a transaction set may hold; here each is a table, and one walker reads all.

Spec: the guides' numbers and the sets they describe are public (45 CFR 162.920); the tables were checked against
pyx12's maps and the samples, for the guides themselves are licensed. Loops and segments only, no wording.
"""

from __future__ import annotations

import re
from datetime import date

PUBLISHED: dict[str, dict[str, str]] = {
    "837": {
        "X222": "837P", "X223": "837I", "X224": "837D", "X291": "837P", "X292": "837I", "X293": "837D",
        "X298": "837P", "X299": "837I", "X300": "837D",
    },
    "835": {"X221": "835"},
    "999": {"X231": "999"},
    "997": {"X230": "997", "X231": "997"},
    "277": {"X212": "277", "X213": "277", "X214": "277CA", "X228": "277", "X364": "277"},
    "276": {"X212": "276"},
    "270": {"X279": "270"},
    "271": {"X279": "271"},
    "275": {"X210": "275", "X211": "275"},
    "278": {"X215": "278", "X216": "278", "X217": "278"},
    "834": {"X220": "834", "X307": "834"},
    "820": {"X218": "820", "X306": "820"},
    "824": {"X186": "824"},
    "269": {"X187": "269"},
}  # fmt: skip
"""Set → guide of release 005010 → what we call it. X291 to X300 are claims reported after they were decided."""

BEFORE_5010: dict[str, dict[str, str]] = {
    "837": {"X096": "837I", "X097": "837D", "X098": "837P"},
    "835": {"X091": "835"},
    "997": {"": "997"},
    "276": {"X093": "276"},
    "277": {"X093": "277", "X070": "277", "X104": "277"},
    "270": {"X092": "270"},
    "271": {"X092": "271"},
    "278": {"X094": "278"},
    "834": {"X095": "834"},
    "820": {"X061": "820"},
}
"""The same for 004010, which some old senders still use; near enough to be read, not to be written."""

_VERSION = re.compile(r"(00)?([45]010)(X\d{3})?([AE]\d{1,2})?")
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")


def _guides() -> set[str]:
    return {guide for sets in PUBLISHED.values() for guide in sets}


def release_fault(version: str, isa12: str) -> str:
    """What is wrong with a group's version, or nothing.

    >>> release_fault("005010X221A1", "00501"), release_fault("004010X091A1", "00501")
    ('', "version '004010X091A1' is release 4010, but ISA12 says 00501")
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        return f"version {version[:20]!r} is none that we read"
    release, guide = found[2], found[3] or ""
    if release == "4010" and isa12 == "00501":
        return f"version {version[:20]!r} is release 4010, but ISA12 says {isa12}"
    if release == "5010" and guide and guide not in _guides():
        return f"version {version[:20]!r} names a guide that nobody published"
    return ""


def kind_of(set_id: str, version: str, group_version: str) -> tuple[str, str, str]:
    """(what we call the set, what is wrong with its version, what is odd about it).

    >>> kind_of("837", "005010X223A2", "005010X222A1")[:2]
    ('837I', '')
    >>> kind_of("835", "005010X999", "005010X999")[1]
    "version '005010X999' is no guide of an 835"
    """
    found, outer = _VERSION.fullmatch(version), _VERSION.fullmatch(group_version)
    known = PUBLISHED.get(set_id)
    if known is None:
        return set_id[:6], "", f"set {set_id[:6]!r} is known by name only"
    if found is None:
        return set_id, f"version {version[:20]!r} is none that we read", ""
    if outer and outer[2] != found[2]:
        return set_id, f"ST03 says {version[:20]!r}, GS08 says {group_version[:20]!r}", ""
    guide, old = found[3] or "", found[2] == "4010"
    names = (BEFORE_5010 if old else PUBLISHED).get(set_id, {})
    if not guide and len(set(names.values())) == 1:
        return (
            next(iter(names.values())),
            "",
            f"version {version[:20]!r} names no guide; read as the only one of an {set_id}",
        )
    if guide not in names:
        return set_id, f"version {version[:20]!r} is no guide of an {set_id}", ""
    doubt = ""
    if old:
        doubt = f"version {version[:20]!r} is a release that HIPAA has left; read by the rules of 005010"
    elif version != group_version:
        doubt = f"ST03 says {version[:20]!r}, GS08 says {group_version[:20]!r}; read as ST03 says"
    return names[guide], "", doubt


def is_date(text: str) -> bool:
    """CCYYMMDD that the calendar knows; six digits as old groups wrote them are taken too.

    >>> is_date("20260229"), is_date("20240229"), is_date("991231"), is_date("")
    (False, True, True, False)
    """
    return day(text if len(text) != 6 else f"20{text}") is not None


def day(text: str) -> date | None:
    """CCYYMMDD as a date; None when it is none.

    >>> day("20240229"), day("2024022"), day("00000101")
    (datetime.date(2024, 2, 29), None, None)
    """
    found = _DATE.fullmatch(text)
    if found is None or not text.isascii():
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
