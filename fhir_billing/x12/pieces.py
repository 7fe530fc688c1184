"""Segments that stand in many loops: a name, an address, a line of elements cut where nothing follows.

Spec: NM1, N3, N4, REF, DTP, PER as the guides use them; the delimiters are the ones of `grammar.Delimiters`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from fhir_billing.domain.claim import Address, Adjustment, Party, Person
from fhir_billing.domain.codes import zip_digits
from fhir_billing.x12.elements import clean, money, number


def seg(*elements: str) -> str:
    """Elements as a segment; empty ones at the end are not written.

    >>> seg("REF", "F8", "1", "", "")
    'REF*F8*1'
    """
    return "*".join(elements).rstrip("*")


def comp(*components: str) -> str:
    """Components as one element."""
    return ":".join(components).rstrip(":")


def name(role: str, party: Party) -> str:
    """NM1 of a provider, with its NPI."""
    npi = ("XX", party.npi) if party.npi else ("", "")
    if party.is_person:
        return seg(
            "NM1", role, "1", clean(party.family, 60), clean(party.given, 35), clean(party.middle, 25), "",
            clean(party.suffix, 10), *npi,
        )  # fmt: skip
    return seg("NM1", role, "2", clean(party.name, 60), "", "", "", "", *npi)


def subscriber_loop(role: str, person: Person, member_id: str) -> str:
    """NM1 of a patient or subscriber, with the member id."""
    known = ("MI", clean(member_id)) if member_id else ("", "")
    return seg(
        "NM1", role, "1", clean(person.family, 60), clean(person.given, 35), clean(person.middle, 25), "",
        clean(person.suffix, 10), *known,
    )  # fmt: skip


def address(place: Address) -> Iterator[str]:
    """N3 and N4; lines beyond the second have no room."""
    lines = [clean(line, 55) for line in place.lines if clean(line)]
    if lines:
        yield seg("N3", *lines[:2])
    yield seg("N4", clean(place.city, 30), clean(place.state, 2), zip_digits(place.zip))


def specialty(role: str, party: Party) -> Iterator[str]:
    """PRV with the taxonomy, when there is one."""
    if party.taxonomy:
        yield seg("PRV", role, "PXC", party.taxonomy)


def adjustments(found: tuple[Adjustment, ...]) -> Iterator[str]:
    """CAS: a group with up to six triplets; the order is kept."""
    for group, members in groupby(found, lambda one: one.group):
        mine = list(members)
        for start in range(0, len(mine), 6):
            elements: list[str] = []
            for one in mine[start : start + 6]:
                elements += [one.reason, money(one.amount), number(one.quantity) if one.quantity is not None else ""]
            yield seg("CAS", group.value, *elements)
