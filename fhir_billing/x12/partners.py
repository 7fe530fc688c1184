"""A file goes from somebody to somebody, under numbers that somebody keeps.

Spec: ISA05 to ISA08, GS02, GS03, ISA13, GS06, ST02.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhir_billing.domain.partner import Receiver, Sender
from fhir_billing.x12.elements import clean
from fhir_billing.x12.seal import Envelope

__all__ = ["Controls", "Receiver", "Sender", "around", "hhmm", "phone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The numbers of one sending, chosen by whoever keeps them."""

    interchange: int
    group: int
    set_start: int = 1


def around(
    sender: Sender, receiver: Receiver, controls: Controls, at: datetime, *, functional: str, version: str, test: bool
) -> Envelope:
    """The envelope of one sending."""
    return Envelope(
        sender=clean(sender.id), receiver=clean(receiver.id), sender_qualifier=sender.qualifier,
        receiver_qualifier=receiver.qualifier, interchange_control=controls.interchange, group_control=controls.group,
        functional=functional, version=version, at=at, test=test,
    )  # fmt: skip


def hhmm(at: datetime) -> str:
    """A time as BHT and TA1 write it."""
    return f"{at.hour:02d}{at.minute:02d}"


def phone(text: str) -> str:
    """Ten digits, or what there is.

    >>> phone("+1 555-555-0100"), phone("5550100")
    ('5555550100', '5550100')
    """
    digits = "".join(letter for letter in text if letter.isascii() and letter.isdigit())
    return digits[-10:]
