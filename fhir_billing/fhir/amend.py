"""A correction changes the FHIR Claim that the bill is built from, names what it changed, and leaves the chart alone.

Spec: Claim.insurance, Claim.preAuthRef, Claim.item.modifier, Claim.diagnosis; contained Coverage, Patient, Organization.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fhir_billing.domain.codes import dotted, is_icd10, is_npi, zip_digits
from fhir_billing.domain.errors import MalformedResource

Resource = dict[str, Any]
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]{1,49}", re.ASCII)
"""What identifies something on a bill: nothing that X12 could take for a delimiter."""
_MODIFIER = re.compile(r"[A-Z0-9]{2}", re.ASCII)
NPI = "http://hl7.org/fhir/sid/us-npi"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"


def amend(claim: Resource, changes: Mapping[str, Any]) -> list[str]:
    """Apply changes in place; returns a sentence for each. Raises MalformedResource for one that is not known or not well formed."""
    said = []
    for name, value in changes.items():
        kind, _, place = name.partition(".")
        change = _CHANGES.get(kind)
        if change is None:
            raise MalformedResource(
                f"a claim has nothing called {name[:40]!r} to correct", fix=f"use one of {', '.join(_CHANGES)}"
            )
        said.append(change(claim, value, place))
    return said


def contained(claim: Resource, reference: str) -> Resource:
    """The contained resource behind a `#id`."""
    for resource in claim.get("contained", []):
        if f"#{resource.get('id')}" == reference:
            found: Resource = resource
            return found
    raise MalformedResource(f"Claim.contained holds no {reference}", fix="draft the claim again from the chart")


def _as_billed(element: Resource) -> str:
    for extension in element.get("extension", []):
        if str(extension.get("url", "")).endswith("/as-billed"):
            return str(extension["valueReference"]["reference"])
    return str(element.get("reference", ""))


def _focal(claim: Resource) -> Resource:
    return next(i for i in claim["insurance"] if i.get("focal"))


def _coverage(claim: Resource) -> Resource:
    return contained(claim, _as_billed(_focal(claim)["coverage"]))


def _number(claim: Resource, value: Any, place: str) -> str:
    claim["identifier"][0]["value"] = str(value)
    return f"Numbered {value}"


def _member_id(claim: Resource, value: Any, place: str) -> str:
    if not _WORD.fullmatch(str(value).strip()):
        raise MalformedResource(
            "this is no member id", fix="letters, digits, hyphens and blanks, as on the insurance card"
        )
    _coverage(claim)["subscriberId"] = str(value).strip()
    return "Member id corrected"


def _payer(claim: Resource, value: Any, place: str) -> str:
    payer = contained(claim, _as_billed(_coverage(claim)["payor"][0]))
    payer["identifier"] = [{**(payer.get("identifier") or [{}])[0], "value": str(value)}]
    return f"Payer set to {value}"


def _payer_name(claim: Resource, value: Any, place: str) -> str:
    contained(claim, _as_billed(_coverage(claim)["payor"][0]))["name"] = str(value)
    return f"Payer named {value}"


def _authorization(claim: Resource, value: Any, place: str) -> str:
    if not _WORD.fullmatch(str(value).strip()):
        raise MalformedResource("this is no authorization number", fix="letters, digits, hyphens and blanks")
    value = str(value).strip()
    _focal(claim)["preAuthRef"] = [value]
    return f"Authorization {value} added"


def _billing_npi(claim: Resource, value: Any, place: str) -> str:
    if not is_npi(str(value)):
        raise MalformedResource(
            f"{value} is no NPI: ten digits with a right check digit", fix="look it up in the registry"
        )
    billing = contained(claim, _as_billed(claim["provider"]))
    others = [i for i in billing.get("identifier", []) if i.get("system") != NPI]
    billing["identifier"] = [{"system": NPI, "value": str(value)}, *others]
    return f"Billing NPI set to {value}"


def _patient_zip(claim: Resource, value: Any, place: str) -> str:
    if not zip_digits(str(value)):
        raise MalformedResource(f"{value} is no ZIP code", fix="five or nine digits")
    patient = contained(claim, _as_billed(claim["patient"]))
    patient.setdefault("address", [{}])[0]["postalCode"] = str(value)
    return "Patient's ZIP code corrected"


def _diagnoses(claim: Resource, value: Any, place: str) -> str:
    codes = [str(v) for v in (value if isinstance(value, list) else str(value).replace(",", " ").split())]
    wrong = [code for code in codes if not is_icd10(code)]
    if wrong or not codes:
        raise MalformedResource(f"{', '.join(wrong) or 'nothing'} is no ICD-10-CM code", fix="such as J02.9")
    claim["diagnosis"] = [
        {"sequence": n, "diagnosisCodeableConcept": {"coding": [{"system": ICD10, "code": dotted(code)}]}}
        for n, code in enumerate(codes, 1)
    ]
    for item in claim.get("item", []):
        kept = [p for p in item.get("diagnosisSequence", []) if p <= len(codes)]
        item["diagnosisSequence"] = kept or [1]
    return f"Diagnoses set to {', '.join(codes)}"


def _modifiers(claim: Resource, value: Any, place: str) -> str:
    modifiers = [str(v).upper() for v in (value if isinstance(value, list) else str(value).replace(",", " ").split())]
    if not place.isdigit() or not any(item["sequence"] == int(place) for item in claim["item"]):
        raise MalformedResource(f"the claim has no line {place[:8]!r}", fix="write modifiers.1 for the first line")
    if len(modifiers) > 4 or not all(_MODIFIER.fullmatch(m) for m in modifiers):
        raise MalformedResource("a line takes up to four modifiers of two letters or digits", fix="such as 25")
    item = next(item for item in claim["item"] if item["sequence"] == int(place))
    item["modifier"] = [{"coding": [{"code": modifier}]} for modifier in modifiers]
    return f"Line {place}: modifiers {', '.join(modifiers) or 'removed'}"


_CHANGES: dict[str, Callable[[Resource, Any, str], str]] = {
    "number": _number,
    "member_id": _member_id,
    "payer": _payer,
    "payer_name": _payer_name,
    "authorization": _authorization,
    "billing_npi": _billing_npi,
    "patient_zip": _patient_zip,
    "diagnoses": _diagnoses,
    "modifiers": _modifiers,
}
