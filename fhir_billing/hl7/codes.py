"""A code in HL7 v2 names its system by a short word, which FHIR calls by an address.

A word that is the hospital's own becomes an address of ours, so that a row of the site's table can say what it is in a bill;
a code is never taken for one of another system because it looks like one.
Spec: HL7 v2.5.1 table 0396 coding systems; CE, CWE, CNE.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fhir_billing.fhir.ours import BASE
from fhir_billing.hl7.message import Segment

_CPT = "http://www.ama-assn.org/go/cpt"
_HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
_ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
_ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
_REVENUE = "https://www.nubc.org/CodeSystem/RevenueCodes"
SYSTEMS: Final = {
    "C4": _CPT, "CPT": _CPT, "CPT4": _CPT, "CPT-4": _CPT, "CPTM": _CPT,
    "HCPCS": _HCPCS, "HPC": _HCPCS, "HCPC": _HCPCS,
    "I10C": _ICD10CM, "ICD10CM": _ICD10CM, "ICD-10-CM": _ICD10CM, "I10CM": _ICD10CM,
    "I10P": _ICD10PCS, "ICD10PCS": _ICD10PCS, "ICD-10-PCS": _ICD10PCS,
    "CVX": "http://hl7.org/fhir/sid/cvx", "NDC": "http://hl7.org/fhir/sid/ndc",
    "SCT": "http://snomed.info/sct", "NUBC": _REVENUE,
}  # fmt: skip
"""The words of table 0396, and how interface engines write them in fact."""
LOCAL: Final = f"{BASE}CodeSystem/hl7v2-"
_ODD = re.compile(r"[^A-Za-z0-9.-]+")


def system(word: str, *, field: str) -> str:
    """The address of a coding system; the hospital's own, or none named, is one of ours with that word or the field in it.

    >>> system("C4", field="FT1-7"), system("99CDM", field="FT1-7")[-11:], system("", field="FT1-7")[-11:]
    ('http://www.ama-assn.org/go/cpt', 'hl7v2-99cdm', 'hl7v2-ft1-7')
    """
    known = SYSTEMS.get(word.strip().upper())
    return known or LOCAL + _ODD.sub("-", (word.strip() or field).lower())


def concept(segment: Segment, text: str, *, field: str) -> dict[str, Any]:
    """A CodeableConcept of a CE, CWE or CNE repetition: the code and its alternate; empty when it has none."""
    codings = []
    for code, words, named in ((1, 2, 3), (4, 5, 6)):
        if value := segment.part(text, code):
            coding = {"system": system(segment.part(text, named), field=field), "code": value}
            codings.append(coding | ({"display": said} if (said := segment.part(text, words)) else {}))
    words_alone = segment.part(text, 2) or segment.part(text, 9)
    found: dict[str, Any] = {"coding": codings} if codings else {}
    return found | ({"text": words_alone} if words_alone else {})
