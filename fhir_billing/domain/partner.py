"""A file goes from somebody to somebody, and both must be named as the other side knows them.

Spec: ISA05 to ISA08, GS02, GS03, NM1*41 and NM1*40 of an 837.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends: the id and qualifier on the envelope, the name and contact inside."""

    id: str
    name: str
    qualifier: str = "ZZ"
    contact_name: str = ""
    contact_phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who receives: the id and qualifier on the envelope, the name inside."""

    id: str
    name: str
    qualifier: str = "ZZ"
