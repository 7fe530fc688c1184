"""A chart is written by somebody else's software: what it says in the wrong shape is refused before any rule looks at it.

Only the elements that a bill reads are looked at, so that the rules may trust them; a resource with one of them in the
wrong type is refused with its path, and the others go on.
Spec: FHIR R4 resource definitions, https://hl7.org/fhir/R4/
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

Shape: TypeAlias = "type | tuple[type, ...] | dict[str, Shape] | list[Shape]"
Fault: TypeAlias = tuple[str, str]
"""FHIR path and what is wrong there."""

_NUMBER = (int, Decimal)
_CODING: Shape = {"system": str, "code": str, "display": str}
_CONCEPT: Shape = {"coding": [_CODING], "text": str}
_CLASS: Shape = {"system": str, "code": str, "display": str, "coding": [_CODING]}
"""A Coding; some servers write a CodeableConcept where R4 has a Coding."""
_IDENTIFIER: Shape = {"system": str, "value": str, "type": _CONCEPT, "use": str}
_REFERENCE: Shape = {"reference": str, "identifier": _IDENTIFIER, "type": str, "display": str}
_PERIOD: Shape = {"start": str, "end": str}
_QUANTITY: Shape = {"value": _NUMBER, "unit": str, "code": str}
_MONEY: Shape = {"value": _NUMBER, "currency": str}
_NAME: Shape = {
    "use": str,
    "text": str,
    "family": str,
    "given": [str],
    "prefix": [str],
    "suffix": [str],
    "period": _PERIOD,
}
_ADDRESS: Shape = {
    "use": str, "type": str, "line": [str], "city": str, "state": str, "postalCode": str, "country": str, "period": _PERIOD,
}  # fmt: skip
_TELECOM: Shape = {"system": str, "value": str, "use": str}
_PERSON: dict[str, Shape] = {
    "identifier": [_IDENTIFIER], "name": [_NAME], "telecom": [_TELECOM], "gender": str, "birthDate": str, "address": [_ADDRESS],
}  # fmt: skip
_BASE: dict[str, Shape] = {
    "id": str,
    "meta": {"lastUpdated": str, "versionId": str},
    "extension": [{"url": str}],
    "contained": [{"resourceType": str}],
}

SHAPES: dict[str, dict[str, Shape]] = {
    "Encounter": {
        **_BASE, "identifier": [_IDENTIFIER], "status": str, "class": _CLASS, "type": [_CONCEPT], "priority": _CONCEPT, "subject": _REFERENCE,
        "participant": [{"type": [_CONCEPT], "individual": _REFERENCE, "period": _PERIOD}], "period": _PERIOD,
        "reasonReference": [_REFERENCE], "diagnosis": [{"condition": _REFERENCE, "use": _CONCEPT, "rank": int}],
        "account": [_REFERENCE], "location": [{"location": _REFERENCE, "period": _PERIOD}], "serviceProvider": _REFERENCE,
        "hospitalization": {"admitSource": _CONCEPT, "dischargeDisposition": _CONCEPT}, "serviceType": _CONCEPT,
    },
    "Patient": {**_BASE, **_PERSON},
    "RelatedPerson": {**_BASE, **_PERSON, "patient": _REFERENCE, "relationship": [_CONCEPT]},
    "Practitioner": {**_BASE, **_PERSON, "qualification": [{"code": _CONCEPT}]},
    "PractitionerRole": {
        **_BASE, "identifier": [_IDENTIFIER], "practitioner": _REFERENCE, "organization": _REFERENCE, "specialty": [_CONCEPT], "code": [_CONCEPT],
    },
    "Organization": {**_BASE, "identifier": [_IDENTIFIER], "type": [_CONCEPT], "name": str, "telecom": [_TELECOM], "address": [_ADDRESS]},
    "Location": {
        **_BASE, "identifier": [_IDENTIFIER], "name": str, "type": [_CONCEPT], "address": _ADDRESS, "managingOrganization": _REFERENCE,
        "physicalType": _CONCEPT,
    },
    "Coverage": {
        **_BASE, "identifier": [_IDENTIFIER], "status": str, "type": _CONCEPT, "policyHolder": _REFERENCE, "subscriber": _REFERENCE,
        "subscriberId": str, "beneficiary": _REFERENCE, "dependent": str, "relationship": _CONCEPT, "period": _PERIOD,
        "payor": [_REFERENCE], "class": [{"type": _CONCEPT, "value": str, "name": str}], "order": int,
    },
    "Condition": {
        **_BASE, "clinicalStatus": _CONCEPT, "verificationStatus": _CONCEPT, "category": [_CONCEPT], "code": _CONCEPT,
        "subject": _REFERENCE, "encounter": _REFERENCE, "onsetDateTime": str, "recordedDate": str,
    },
    "Procedure": {
        **_BASE, "status": str, "code": _CONCEPT, "subject": _REFERENCE, "encounter": _REFERENCE, "performedDateTime": str,
        "performedPeriod": _PERIOD, "performer": [{"function": _CONCEPT, "actor": _REFERENCE}], "reasonReference": [_REFERENCE],
        "location": _REFERENCE,
    },
    "Immunization": {
        **_BASE, "status": str, "vaccineCode": _CONCEPT, "patient": _REFERENCE, "encounter": _REFERENCE, "occurrenceDateTime": str,
        "reasonReference": [_REFERENCE],
    },
    "ChargeItem": {
        **_BASE, "status": str, "code": _CONCEPT, "subject": _REFERENCE, "context": _REFERENCE, "occurrenceDateTime": str,
        "occurrencePeriod": _PERIOD, "quantity": _QUANTITY, "priceOverride": _MONEY, "factorOverride": _NUMBER, "service": [_REFERENCE],
        "reason": [_CONCEPT], "performer": [{"function": _CONCEPT, "actor": _REFERENCE}], "supportingInformation": [_REFERENCE],
    },
    "Account": {**_BASE, "status": str, "coverage": [{"coverage": _REFERENCE, "priority": int}]},
}  # fmt: skip

_SAY = {str: "text", int: "a whole number", bool: "true or false"}


def faults(resource: dict[str, Any]) -> list[Fault]:
    """Where a resource is not what FHIR says it is; empty for one that a bill can read."""
    shape = SHAPES.get(resource["resourceType"])
    found: list[Fault] = []
    if shape is not None:
        _object(resource, shape, "", found)
    return found


def _object(value: dict[str, Any], shape: dict[str, Shape], at: str, found: list[Fault]) -> None:
    for name, inner in value.items():
        wanted = shape.get(name)
        if wanted is not None:
            _check(inner, wanted, f"{at}.{name}" if at else name, found)


def _check(value: Any, wanted: Shape, at: str, found: list[Fault]) -> None:
    if wanted is str:
        if not isinstance(value, str):
            found.append((at, "is not text"))
    elif isinstance(wanted, dict):
        if isinstance(value, dict):
            _object(value, wanted, at, found)
        else:
            found.append((at, "is not an object"))
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            found.append((at, "is not a list"))
            return
        for position, each in enumerate(value):
            if each is None and wanted[0] is str:
                continue  # a list of primitives may hold null where an extension stands beside it
            _check(each, wanted[0], f"{at}[{position}]", found)
    elif isinstance(value, bool) or not isinstance(value, wanted):
        found.append((at, f"is not {_SAY.get(wanted, 'a number') if isinstance(wanted, type) else 'a number'}"))
