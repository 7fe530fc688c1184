"""A charge that a hospital posts becomes a ChargeItem of ours, so that its bill is made as any other.

Amounts are read as written and never as binary fractions. A charge is known again by its transaction id (FT1-2) within
its sender and visit: P11 puts its new version in the place of the old, and a credit (FT1-6 CR) takes it away. A credit under an
id of its own takes away one charge that says the same.
Spec: HL7 v2.5.1 chapter 6: DFT P03 and P11, 6.5.1 FT1 (2 id, 4 date, 6 type, 7 code, 10 quantity, 11 extended amount, 12 unit
amount, 19 diagnosis, 20 performed by, 25 procedure, 26 modifiers); FHIR R4 ChargeItem.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from fhir_billing.domain.money import Money, NotMoney, cents
from fhir_billing.fhir.answered import MODIFIER
from fhir_billing.fhir.ours import BASE, usd
from fhir_billing.hl7.codes import concept
from fhir_billing.hl7.message import MalformedMessage, Segment, V2Message
from fhir_billing.hl7.times import fhir_time
from fhir_billing.hl7.visits import LONGEST

Resource = dict[str, Any]
CHARGE: Final = f"{BASE}NamingSystem/hl7v2-charge"
"""Identifier system of a charge that came by HL7 v2."""
NPI: Final = "http://hl7.org/fhir/sid/us-npi"
CHARGED, CREDITED, REVERSED = "billable", "not-billable", "entered-in-error"
"""ChargeItem.status: a charge, a credit under an id of its own, and a charge that a credit under its own id took away."""
KINDS: Final = frozenset({"", "CG", "CR"})
"""FT1-6: charge and credit. Payments (PY, CP) and adjustments (AJ) are the hospital's own books."""
_QUANTITY = re.compile(r"-?\d{1,7}(?:\.\d{1,4})?", re.ASCII)
_MODIFIER = re.compile(r"[A-Z0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardCharge:
    """One FT1."""

    key: str
    """The same for every version of one charge."""
    resource: Resource
    """A ChargeItem without subject and context; its status says whether it is a charge or a credit."""


def charges(message: V2Message, visit: str, zone: tzinfo | None = None) -> tuple[HeardCharge, ...]:
    """The charges and credits of a DFT, in their order; other kinds of transaction are passed over. Raises MalformedMessage."""
    lines = [ft1 for ft1 in message.all("FT1") if ft1.text(6).upper() in KINDS]
    return tuple(_charge(message, ft1, visit, zone) for ft1 in lines)


def _charge(message: V2Message, ft1: Segment, visit: str, zone: tzinfo | None) -> HeardCharge:
    transaction = ft1.text(2)
    if len(transaction) > LONGEST:
        raise MalformedMessage(ft1.at(2), "is longer than a transaction id", fix="send one of up to 227 letters")
    own = f"t:{transaction}" if transaction else f"m:{message.control}:{ft1.place}"
    key = "|".join((*message.sender, visit, own))
    quantity, amount = _quantity(ft1), _amount(ft1)
    credit = ft1.text(6).upper() == "CR" or quantity < 0 or (amount is not None and amount < 0)
    resource: Resource = {
        "resourceType": "ChargeItem",
        "id": f"hl7v2-{hashlib.sha256(key.encode()).hexdigest()[:24]}",
        "identifier": [{"system": CHARGE, "value": key}],
        "status": CREDITED if credit else CHARGED,
        "code": _code(ft1),
        "quantity": {"value": abs(quantity)},
        **_when(ft1, zone),
    }
    if amount is not None:
        resource["priceOverride"] = usd(abs(amount))
    reasons = [c for text in ft1.repetitions(19) if (c := concept(ft1, text, field="FT1-19"))]
    people = [_person(ft1, text) for text in ft1.repetitions(20)]
    modifiers = [{"url": MODIFIER, "valueCode": m} for text in ft1.repetitions(26) if (m := _modifier(ft1, text))]
    for name, found in (("reason", reasons), ("performer", people), ("extension", modifiers)):
        if found:
            resource[name] = found
    return HeardCharge(key=key, resource=resource)


def _code(ft1: Segment) -> Resource:
    """FT1-25 is the procedure as it is billed, FT1-7 the hospital's own charge code; both are kept, the first one first."""
    found = [
        c
        for number in (25, 7)
        for text in ft1.repetitions(number)[:1]
        if (c := concept(ft1, text, field=f"FT1-{number}"))
    ]
    codings = [coding for one in found for coding in one.get("coding", ())]
    if not codings:
        raise MalformedMessage(ft1.at(7), "holds no code, and FT1-25 holds none", fix="send what is charged")
    text = next((one["text"] for one in found if "text" in one), "")
    return {"coding": codings} | ({"text": text} if text else {})


def _quantity(ft1: Segment) -> Decimal:
    said = ft1.text(10)
    if not said:
        return Decimal(1)
    if not _QUANTITY.fullmatch(said) or not Decimal(said):
        raise MalformedMessage(ft1.at(10), "is no quantity", fix="send a number such as 1 or 2.5")
    return Decimal(said)


def _amount(ft1: Segment) -> Money | None:
    """The whole price: FT1-11, else FT1-12 times the quantity."""
    try:
        if said := ft1.text(11, 1):
            _check_currency(ft1, 11)
            return cents(said)
        if said := ft1.text(12, 1):
            _check_currency(ft1, 12)
            return cents(Decimal(cents(said)).scaleb(-2) * _quantity(ft1))
    except NotMoney:
        number = 11 if ft1.text(11, 1) else 12
        raise MalformedMessage(ft1.at(number), "is no amount in dollars and cents", fix="send it as 125.00") from None
    return None


def _check_currency(ft1: Segment, number: int) -> None:
    if ft1.text(number, 1, sub=2).upper() not in {"", "USD"}:
        raise MalformedMessage(ft1.at(number), "is in another currency than US dollars", fix="send US dollars")


def _when(ft1: Segment, zone: tzinfo | None) -> Resource:
    said = ft1.text(4, 1)
    if not said:
        return {}
    start, end = fhir_time(said, zone), fhir_time(ft1.text(4, 2), zone)
    if len(start) < 10:
        raise MalformedMessage(ft1.at(4), "is no day", fix="send it as YYYYMMDD")
    return {"occurrencePeriod": {"start": start, "end": end}} if end else {"occurrenceDateTime": start}


def _person(ft1: Segment, text: str) -> Resource:
    number, name = ft1.part(text, 1), " ".join(filter(None, (ft1.part(text, 3), ft1.part(text, 2))))
    is_npi = "NPI" in {ft1.part(text, 13).upper(), ft1.part(text, 9).upper()}
    identifier = {"identifier": ({"system": NPI} if is_npi else {}) | {"value": number}} if number else {}
    return {"actor": {"type": "Practitioner"} | identifier | ({"display": name} if name else {})}


def _modifier(ft1: Segment, text: str) -> str:
    found = ft1.part(text).upper()
    if not _MODIFIER.fullmatch(found):
        raise MalformedMessage(
            ft1.at(26), "is no modifier of two letters or digits", fix="send one modifier a repetition"
        )
    return found


def replaced(new: Resource, before: Resource | None) -> Resource:
    """What is kept under a charge's key: a credit of a charge that is known by this key takes that one away, and no other."""
    known = before is not None and before["status"] in {CHARGED, REVERSED}
    return {**new, "status": REVERSED} if known and new["status"] == CREDITED else new


def standing(heard: Sequence[Resource]) -> tuple[list[Resource], list[Resource]]:
    """The charges that stand after all credits, and the credits that found none to take away."""
    left = [item for item in heard if item["status"] == CHARGED]
    unmatched: list[Resource] = []
    for credit in (item for item in heard if item["status"] == CREDITED):
        same = next((item for item in left if _alike(item) == _alike(credit)), None)
        if same is None:
            unmatched.append(credit)
        else:
            left.remove(same)
    return left, unmatched


def _alike(item: Resource) -> tuple[object, ...]:
    """What a credit and its charge have in common."""
    period = item.get("occurrencePeriod") or {}
    return (
        item["code"]["coding"][0].get("code"),
        str(item.get("occurrenceDateTime") or period.get("start") or "")[:10],
        Decimal(str(item["quantity"]["value"])).normalize(),
        str((item.get("priceOverride") or {}).get("value", "")),
        tuple(extension.get("valueCode") for extension in item.get("extension", ())),
    )


def laid(resources: Sequence[Resource], encounter: str, heard: Sequence[Resource]) -> list[Resource]:
    """The visit's resources with the heard charges among them, pointing at its visit and patient."""
    visit = next((r for r in resources if f"{r.get('resourceType')}/{r.get('id')}" == encounter), {})
    links = {"context": {"reference": encounter}}
    if isinstance(subject := visit.get("subject"), dict):
        links["subject"] = subject
    return [*resources, *({**item, **links} for item in heard)]
