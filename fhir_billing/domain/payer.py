"""What a companion guide says about a payer, as data that edits and channels read.

Written by the site in mappings/payers/PAYER.yaml; a payer without a file gets these defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealLevel:
    """One level of appeal and the days after the remittance in which it must be filed."""

    level: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerProfile:
    """A payer as the site knows it."""

    id: str
    name: str = ""
    channel: str = ""
    """How files go to it; empty for a payer that no file describes: nothing is sent to such a one."""
    receiver: str = ""
    """ISA08 and NM1*40: who gets the file; the payer itself when empty."""
    filing_window: timedelta = timedelta(days=365)
    acknowledgment_due: timedelta = timedelta(days=2)
    answer_due: timedelta = timedelta(days=30)
    appeals: tuple[AppealLevel, ...] = (AppealLevel(level=1, within=timedelta(days=180)),)
    edits: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Settings by edit key: `severity` none, warning or blocking, and what the edit itself asks for."""
    filing_indicator: str = ""
    """SBR09 of this payer when the coverage does not say."""
    takes_replacement: bool = True
