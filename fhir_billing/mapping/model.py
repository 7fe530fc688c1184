"""A mistyped element finds nothing and says nothing; so every path of a mapping is walked against this model when it is loaded.

Elements of the resources and data types that a mapping can see, and of what the engine prepares.
Spec: FHIR R4 resource definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fhir_billing.mapping.fhirpath import Chain

ANYTHING: Final = "*"
LEAF: Final = ""


def _elements(text: str) -> dict[str, str]:
    """`name:Type` words; a word without a type is a value."""
    return {name: kind for name, _, kind in (word.partition(":") for word in text.split())}


MODEL: Mapping[str, Mapping[str, str]] = {
    kind: _elements(text)
    for kind, text in {
        "Coding": "id extension:* system version code display userSelected",
        "CodeableConcept": "id extension:* coding:Coding text",
        "Identifier": "id extension:* use type:CodeableConcept system value period:Period assigner:Reference",
        "Reference": "id extension:* reference type identifier:Identifier display",
        "Period": "id extension:* start end",
        "HumanName": "id extension:* use text family given prefix suffix period:Period",
        "Address": "id extension:* use type text line city district state postalCode country period:Period",
        "ContactPoint": "id extension:* system value use rank period:Period",
        "Encounter": (
            "resourceType id meta:* extension:* text:* contained:* identifier:Identifier status statusHistory:* class:Coding classHistory:*"
            " type:CodeableConcept serviceType:CodeableConcept priority:CodeableConcept subject:Reference episodeOfCare:Reference"
            " basedOn:Reference participant:Participant appointment:Reference period:Period length:* reasonCode:CodeableConcept"
            " reasonReference:Reference diagnosis:EncounterDiagnosis account:Reference hospitalization:Hospitalization"
            " location:EncounterLocation serviceProvider:Reference partOf:Reference"
        ),
        "Participant": "id extension:* type:CodeableConcept period:Period individual:Reference",
        "EncounterDiagnosis": "id extension:* condition:Reference use:CodeableConcept rank",
        "EncounterLocation": "id extension:* location:Reference status physicalType:CodeableConcept period:Period",
        "Hospitalization": (
            "id extension:* preAdmissionIdentifier:Identifier origin:Reference admitSource:CodeableConcept reAdmission:CodeableConcept"
            " dietPreference:CodeableConcept specialCourtesy:CodeableConcept specialArrangement:CodeableConcept destination:Reference"
            " dischargeDisposition:CodeableConcept"
        ),
        "Patient": (
            "resourceType id meta:* extension:* text:* contained:* identifier:Identifier active name:HumanName telecom:ContactPoint gender"
            " birthDate deceased deceasedBoolean deceasedDateTime address:Address maritalStatus:CodeableConcept multipleBirth"
            " multipleBirthBoolean multipleBirthInteger photo:* contact:* communication:* generalPractitioner:Reference"
            " managingOrganization:Reference link:*"
        ),
        "Coverage": (
            "resourceType id meta:* extension:* identifier:Identifier status type:CodeableConcept policyHolder:Reference subscriber:Reference"
            " subscriberId beneficiary:Reference dependent relationship:CodeableConcept period:Period payor:Reference class:CoverageClass"
            " order network costToBeneficiary:* subrogation contract:Reference"
        ),
        "CoverageClass": "id extension:* type:CodeableConcept value name",
        # What the engine prepares
        "Insurance": (
            "sequence focal rank reference contained status memberId group groupName relationship relationshipConcept:CodeableConcept"
            " period:Period payer:Payer filing subscriber:Subscriber order type:CodeableConcept authorization source:*"
        ),
        "Payer": "contained id name chartName reference address:Address source:*",
        "Subscriber": "contained reference name:HumanName gender birthDate address:Address source:*",
        "BillingProvider": "name npi taxId taxonomy phone address:Address payTo:Address source:*",
        "ServiceProvider": "reference source:*",
        "Member": "sequence role contained reference name:HumanName npi taxonomy source:*",
        "Facility": "name address:Address npi reference type source:*",
        "Diagnosis": "sequence type coding:Coding text code onAdmission reference id source:*",
        "Line": (
            "sequence pointers billing:Coding concept:CodeableConcept coding:Coding text modifiers quantity unit price reference kind"
            " revenueCode authorization note from to cents net item reasons:* concepts:* source:*"
        ),
        "Stay": (
            "admissionType admissionSource patientStatus admittedAt dischargedAt period:Period drg billType procedures:Operation source:*"
        ),
        "Operation": "sequence date code coding:Coding reference source:*",
        "Filing": "signature_on_file assigned benefits_assigned release",
    }.items()
}

NEEDS: Mapping[str, str] = {
    "Encounter": "Encounter", "Patient": "Patient", "PatientName": "HumanName", "PatientAddress": "Address", "Insurances": "Insurance",
    "Payer": "Payer", "Coverage": "Coverage", "BillingProvider": "BillingProvider", "ServiceProvider": "ServiceProvider",
    "CareTeam": "Member", "Facility": "Facility", "Diagnoses": "Diagnosis", "Lines": "Line", "Stay": "Stay", "Filing": "Filing",
    "Number": LEAF, "Place": LEAF, "Total": LEAF, "asOf": LEAF, "Mapping": LEAF,
}  # fmt: skip
"""What a mapping may ask for, and of what type it is."""


def kind_of(chain: Chain | None, bound: Mapping[str, str]) -> str:
    """The type at the end of a chain of elements; ANYTHING when nobody knows."""
    if chain is None:
        return ANYTHING
    kind = bound.get(chain[0], ANYTHING)
    for name in chain[1:]:
        if kind == ANYTHING:
            return ANYTHING
        kind = MODEL.get(kind, {}).get(name, ANYTHING)
    return kind


def unknown_element(chain: Chain, bound: Mapping[str, str]) -> str:
    """The first element of a chain that does not exist, with what does; empty when all do."""
    kind = bound.get(chain[0], ANYTHING)
    for name in chain[1:]:
        if kind == ANYTHING:
            return ""
        elements = MODEL.get(kind, {})
        if name not in elements:
            return f"{kind or 'a value'} has no {name}" + (
                f"; it has {', '.join(sorted(elements))}" if elements else ""
            )
        kind = elements[name]
    return ""
