"""A bill goes to one payer: billing provider, then subscriber, then patient, then what was done.

The order of segments is the guide's; what stands in them is the claim's, transliterated and never invented. A claim
that lacks what the format demands is refused whole (`CannotWrite`), with findings that say who mends it.
Spec: 005010X222A1, 005010X223A2; ST03 and GS08 say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from fhir_billing.domain.claim import Claim, ClaimKind, Insurance, Party, Person
from fhir_billing.domain.errors import OurContract
from fhir_billing.domain.finding import Finding
from fhir_billing.x12 import write_claim, write_lines
from fhir_billing.x12.elements import clean, d8
from fhir_billing.x12.missing import is_whole, missing
from fhir_billing.x12.partners import Controls, Receiver, Sender, around, hhmm, phone
from fhir_billing.x12.pieces import address, name, seg, subscriber_loop
from fhir_billing.x12.seal import seal

__all__ = ["MOST_CLAIMS", "VERSIONS", "CannotWrite", "Controls", "Receiver", "Sender", "sorted_by_loop", "write"]

VERSIONS = {ClaimKind.PROFESSIONAL: "005010X222A1", ClaimKind.INSTITUTIONAL: "005010X223A2"}
MOST_CLAIMS = 5000
"""In one transaction set, as the guides ask."""


class CannotWrite(OurContract):
    """Claims that lack what an 837 demands; `findings` by claim number say what."""

    code = "cannot-write-837"

    def __init__(self, findings: dict[str, list[Finding]]) -> None:
        claim, found = next(iter(findings.items()))
        super().__init__(f"claim {claim}: {found[0].say}", fix=found[0].fix)
        self.findings = findings


def write(
    claims: Sequence[Claim], *, sender: Sender, receiver: Receiver, controls: Controls, at: datetime, test: bool = False
) -> bytes:
    """One interchange with all these claims, of one kind and to one payer; raises `CannotWrite` with findings."""
    if not claims:
        raise ValueError("there is no claim to write")
    if len({claim.kind for claim in claims}) > 1:
        raise ValueError("an interchange holds claims of one kind")
    if len({claim.insurance[0].payer.id for claim in claims if claim.insurance}) > 1:
        raise ValueError("an interchange holds claims to one payer")
    lacking = {claim.id: found for claim in claims if (found := missing(claim))}
    if lacking:
        raise CannotWrite(lacking)
    kind = claims[0].kind
    ordered = sorted_by_loop(claims)
    sets = []
    for start in range(0, len(ordered), MOST_CLAIMS):
        control = f"{controls.set_start + start // MOST_CLAIMS:04d}"
        reference = f"{controls.interchange:09d}-{control}"
        body = _set(ordered[start : start + MOST_CLAIMS], kind, sender, receiver, control, reference, at)
        sets.append((control, body))
    return seal(around(sender, receiver, controls, at, functional="HC", version=VERSIONS[kind], test=test), sets)


def sorted_by_loop(claims: Iterable[Claim]) -> list[Claim]:
    """Claims of one provider together, in them those of one subscriber, in them those of one patient; else as given."""
    groups: dict[object, dict[object, dict[object, list[Claim]]]] = {}
    for claim in claims:
        subscribers = groups.setdefault(_provider_key(claim), {})
        subscribers.setdefault(_subscriber_key(claim), {}).setdefault(_patient_key(claim), []).append(claim)
    return [
        one for subs in groups.values() for patients in subs.values() for found in patients.values() for one in found
    ]


def _provider_key(claim: Claim) -> object:
    return claim.billing, claim.pay_to


def _subscriber_key(claim: Claim) -> object:
    one = claim.insurance[0]
    who = claim.patient if one.relationship == "18" else one.subscriber
    return (
        one.member_id,
        one.rank,
        one.relationship == "18",
        one.group_number,
        one.group_name,
        one.filing_indicator,
        one.insurance_type,
        who,
        one.payer,
    )


def _patient_key(claim: Claim) -> object:
    return claim.patient, claim.insurance[0].relationship


def _set(
    claims: Sequence[Claim],
    kind: ClaimKind,
    sender: Sender,
    receiver: Receiver,
    control: str,
    reference: str,
    at: datetime,
) -> list[str]:
    segments = [
        seg("ST", "837", control, VERSIONS[kind]),
        seg("BHT", "0019", "00", reference, d8(at), hhmm(at), "CH"),
        seg("NM1", "41", "2", clean(sender.name, 60), "", "", "", "", "46", clean(sender.id)),
        seg("PER", "IC", clean(sender.contact_name or sender.name, 60), "TE", phone(sender.contact_phone)),
        seg("NM1", "40", "2", clean(receiver.name, 60), "", "", "", "", "46", clean(receiver.id)),
    ]
    segments.extend(_hierarchy(claims))
    return segments


def _hierarchy(claims: Sequence[Claim]) -> Iterator[str]:
    level = 0
    for _, of_provider in groupby(claims, _provider_key):
        mine = list(of_provider)
        level += 1
        provider = level
        yield seg("HL", str(level), "", "20", "1")
        yield from _provider(mine[0])
        for _, of_subscriber in groupby(mine, _subscriber_key):
            theirs = list(of_subscriber)
            itself = theirs[0].insurance[0].relationship == "18"
            level += 1
            subscriber = level
            yield seg("HL", str(level), str(provider), "22", "0" if itself else "1")
            yield from _subscriber(theirs[0], itself)
            for _, of_patient in groupby(theirs, _patient_key):
                bills = list(of_patient)
                if not itself:
                    level += 1
                    yield seg("HL", str(level), str(subscriber), "23", "0")
                    yield from _patient(bills[0].patient, bills[0].insurance[0])
                for claim in bills:
                    yield from write_claim.segments(claim)
                    yield from write_lines.segments(claim)


def _provider(claim: Claim) -> Iterator[str]:
    billing: Party = claim.billing
    if billing.taxonomy:
        yield seg("PRV", "BI", "PXC", billing.taxonomy)
    yield name("85", billing)
    yield from address(billing.address)
    yield seg("REF", billing.tax_id_kind, billing.tax_id.replace("-", ""))
    if phone(billing.phone):
        yield seg("PER", "IC", clean(billing.name or billing.family, 60), "TE", phone(billing.phone))
    if claim.pay_to is not None:
        yield seg("NM1", "87", "1" if billing.is_person else "2")
        yield from address(claim.pay_to)


def _subscriber(claim: Claim, itself: bool) -> Iterator[str]:
    insurance = claim.insurance[0]
    yield seg(
        "SBR", insurance.rank, "18" if itself else "", clean(insurance.group_number, 50),
        "" if insurance.group_number else clean(insurance.group_name, 60), insurance.insurance_type, "", "", "",
        insurance.filing_indicator,
    )  # fmt: skip
    who = claim.patient if itself else insurance.subscriber
    yield subscriber_loop("IL", who, insurance.member_id)
    if itself:
        yield from address(who.address)
        yield _demographics(who)
    yield seg("NM1", "PR", "2", clean(insurance.payer.name, 60), "", "", "", "", "PI", clean(insurance.payer.id))
    if is_whole(insurance.payer.address):
        yield from address(insurance.payer.address)


def _demographics(who: Person) -> str:
    assert who.birth_date is not None  # noqa: S101 - `missing` has looked
    return seg("DMG", "D8", d8(who.birth_date), who.sex if who.sex in {"M", "F"} else "U")


def _patient(patient: Person, insurance: Insurance) -> Iterator[str]:
    yield seg("PAT", insurance.relationship)
    yield subscriber_loop("QC", patient, "")
    yield from address(patient.address)
    yield _demographics(patient)
