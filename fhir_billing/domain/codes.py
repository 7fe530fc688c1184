"""A code is parsed once at the border and trusted after.

Spec: NPI check digit: Luhn over 80840 + NPI. ICD-10 is written without dot in X12. Group codes: X221A1 CAS01.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

_ICD10 = re.compile(r"[A-TV-Z]\d[0-9A-Z]{0,5}", re.ASCII)
_HCPCS = re.compile(r"[A-Z0-9]\d{3}[A-Z0-9]", re.ASCII)
_NPI = re.compile(r"[12]\d{9}", re.ASCII)
_TAX_ID = re.compile(r"\d{2}-?\d{7}|\d{3}-\d{2}-\d{4}", re.ASCII)
_ZIP = re.compile(r"\d{5}(\d{4})?", re.ASCII)


def luhn_ok(digits: str) -> bool:
    """Whether the last digit checks the others (Luhn, mod 10)."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def is_npi(text: str) -> bool:
    """Ten digits, first 1 or 2, check digit right.

    >>> is_npi("1234567893"), is_npi("1234567890"), is_npi("160")
    (True, False, False)
    """
    return bool(_NPI.fullmatch(text)) and luhn_ok("80840" + text)


def is_tax_id(text: str) -> bool:
    """Nine digits, a hyphen allowed."""
    return bool(_TAX_ID.fullmatch(text))


def icd10(text: str) -> str:
    """An ICD-10-CM code as X12 writes it: upper case, no dot."""
    return text.replace(".", "").upper()


def dotted(text: str) -> str:
    """An ICD-10-CM code as people write it.

    >>> dotted("m25561"), dotted("I10"), dotted("J02.9")
    ('M25.561', 'I10', 'J02.9')
    """
    bare = icd10(text)
    return f"{bare[:3]}.{bare[3:]}" if len(bare) > 3 else bare


def is_icd10(text: str) -> bool:
    """Whether this has the shape of an ICD-10-CM code (dot or not)."""
    return bool(_ICD10.fullmatch(icd10(text)))


def is_procedure(text: str) -> bool:
    """Whether this has the shape of a CPT or HCPCS level II code."""
    return bool(_HCPCS.fullmatch(text))


def zip_digits(text: str) -> str:
    """The digits of a ZIP code, five or nine; anything else is kept out.

    >>> zip_digits("99999-0001"), zip_digits("1234"), zip_digits("")
    ('999990001', '', '')
    """
    digits = re.sub(r"[\s-]", "", text)
    return digits if _ZIP.fullmatch(digits) else ""


class Group(StrEnum):
    """Who bears an adjustment (CAS01). CR is 4010's, still sent by old systems."""

    CO = "CO"
    PR = "PR"
    OA = "OA"
    PI = "PI"
    CR = "CR"


def on_list(code: str, listed: Iterable[str]) -> bool:
    """Whether a code is on a site's list; a `*` at the end of an entry stands for the rest.

    >>> on_list("73562", ["735*"]), on_list("73562", ["73560"]), on_list("", ["*"])
    (True, False, False)
    """
    return bool(code) and any(code.startswith(one[:-1]) if one.endswith("*") else code == one for one in listed)
