"""A hospital whose EHR takes only HL7 v2 hears of a claim as a result that replaces itself: ORU^R01, one order a claim.

Of all messages this is the one that every interface engine and chart takes from an outside system; a charge message would
post money again, an admission message would change the visit, and Z-segments are read by nobody who was not asked. The claim's
number is the filler order number, so a later status replaces the one before (OBR-25 and OBX-11: P while it goes on, F when it
is over). The engine tells it from a laboratory's by OBR-4 and OBR-24.
Spec: HL7 v2.5.1 chapter 7: ORU^R01, 7.4.1 OBR (3 filler, 4 service, 22 changed at, 24 section, 25 status), 7.4.2 OBX; PID, PV1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fhir_billing.domain.money import NotMoney, cents, show
from fhir_billing.fhir.ours import CLAIM_NUMBER
from fhir_billing.hl7.write import escaped, field, header, message, segment, stamp

Resource = Mapping[str, Any]
SERVICE: Final = ("BILLING", "Billing status of the visit", "L")
NAMESPACE: Final = "FHIR-BILLING"
CLASSES: Final = {"IMP": "I", "ACUTE": "I", "NONAC": "I", "EMER": "E", "AMB": "O", "OBSENC": "O", "VR": "O", "HH": "O"}
OVER: Final = frozenset({"completed", "cancelled", "failed"})


def status(
    resources: Sequence[Resource], chart: Sequence[Resource], *, control: str, at: datetime, site: str, test: bool
) -> bytes:
    """The message of a claim's latest state. `resources`: what a chart would hold of it; `chart`: the visit as it was read."""
    task = _one(resources, "Task")
    patient, encounter = _named(chart, task.get("for")), _named(chart, task.get("encounter"))
    number = next((i["value"] for i in task.get("identifier", ()) if i.get("system") == CLAIM_NUMBER), "")
    final = "F" if task.get("status") in OVER else "P"
    changed = _moment(str(task.get("lastModified", "")), at)
    mode = "T" if test else "P"
    lines = [
        header(
            NAMESPACE,
            escaped(site),
            "",
            "",
            stamp(at),
            "",
            "ORU^R01^ORU_R01",
            control,
            mode,
            "2.5.1",
            "",
            "",
            "AL",
            "NE",
            "",
            "UNICODE UTF-8",
        ),
        _pid(patient, task),
        _pv1(encounter, task),
        segment("OBR", "1", "", (number, NAMESPACE), SERVICE, *([""] * 17), stamp(changed), "", "OTH", final),
    ]
    for place, (kind, code, words, value) in enumerate(_said(resources, task, number), 1):
        lines.append(
            segment("OBX", str(place), kind, (code, words, "L"), "", value, *([""] * 5), final, "", "", stamp(changed))
        )
    return message(lines)


def _said(resources: Sequence[Resource], task: Resource, number: str) -> list[tuple[str, str, str, str]]:
    """Type, code, words and value of each line."""
    business = task.get("businessStatus") or {}
    coding: Resource = next(iter(business.get("coding") or ()), {})
    found = [
        ("ST", "STATUS", "Status", str(coding.get("code", ""))),
        ("ST", "STATUS-TEXT", "Status in words", str(business.get("text", ""))),
        ("ST", "CLAIM", "Claim number", number),
        ("ST", "OWNER", "Whose turn it is", str((task.get("owner") or {}).get("display", ""))),
        ("TX", "REASON", "Why", str((task.get("statusReason") or {}).get("text", ""))),
        ("NM", "CHARGE", "Charged, US dollars", _money(_one(resources, "Claim").get("total"))),
        ("TX", "PAYER", "The payer says", str(_one(resources, "ClaimResponse").get("disposition", ""))),
        (
            "NM",
            "PAID",
            "Paid, US dollars",
            _money((_one(resources, "ExplanationOfBenefit").get("payment") or {}).get("amount")),
        ),
    ]
    return [line for line in found if line[3]]


def _pid(patient: Resource, task: Resource) -> str:
    numbers = [
        field((str(i["value"]), "", "", _authority(str(i.get("system", ""))), _kind(i)))
        for i in patient.get("identifier") or ()
        if i.get("value") and _kind(i) != "SS"
    ]
    numbers = numbers or [field((_id(task.get("for")), "", "", "FHIR"))]
    name: Resource = next(iter(patient.get("name") or ()), {})
    given = [str(part) for part in name.get("given") or ()]
    birth = str(patient.get("birthDate", "")).replace("-", "")
    gender = {"female": "F", "male": "M", "other": "O"}.get(str(patient.get("gender", "")), "")
    named = field((str(name.get("family", "")), *given[:2]))
    return "|".join(("PID", "1", "", "~".join(numbers), "", named, "", birth, gender)).rstrip("|")


def _pv1(encounter: Resource, task: Resource) -> str:
    numbers = [i for i in encounter.get("identifier") or () if i.get("value")]
    visit: Resource = next((i for i in numbers if _kind(i) == "VN"), next(iter(numbers), {}))
    value = str(visit.get("value") or _id(task.get("encounter")))
    code = CLASSES.get(str((encounter.get("class") or {}).get("code", "")), "O")
    number = (value, "", "", _authority(str(visit.get("system", ""))) if visit else "FHIR", "VN")
    return segment("PV1", "1", code, *([""] * 16), number)


def _one(resources: Sequence[Resource], kind: str) -> Resource:
    return next((r for r in resources if r.get("resourceType") == kind), {})


def _named(chart: Sequence[Resource], reference: Any) -> Resource:
    wanted = str((reference or {}).get("reference", ""))
    return next((r for r in chart if f"{r.get('resourceType')}/{r.get('id')}" == wanted), {})


def _id(reference: Any) -> str:
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


def _authority(system: str) -> str:
    """CX-4 has room for a name: the last word of an address, or the OID."""
    return system.removeprefix("urn:oid:").rstrip("/").rpartition("/")[2][:20]


def _kind(identifier: Resource) -> str:
    codings = (identifier.get("type") or {}).get("coding") or ()
    return next((str(c["code"]) for c in codings if c.get("code")), "")


def _money(amount: Any) -> str:
    try:
        return show(cents(amount["value"])) if isinstance(amount, Mapping) and "value" in amount else ""
    except NotMoney:
        return ""


def _moment(text: str, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return found if found.tzinfo else otherwise
