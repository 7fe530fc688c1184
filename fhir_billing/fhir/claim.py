"""A FHIR Claim says by reference whom a bill is about; what an 837 needs of them is contained, as it was when it was billed.

The Claim's own references keep the chart's ids; an extension `as-billed` leads from each to the contained resource. So a
claim can be written a year later without the chart, and shows what was billed then.
Spec: FHIR R4 Claim; extensions under https://fhir-billing.example/fhir/StructureDefinition/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fhir_billing.domain.claim import (
    Accident,
    Address,
    Claim,
    ClaimKind,
    Diagnosis,
    Frequency,
    InpatientProcedure,
    Insurance,
    Party,
    Payer,
    Person,
    ServiceLine,
    Stay,
)
from fhir_billing.domain.codes import icd10
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.domain.money import cents
from fhir_billing.fhir.states import STATES

Resource = dict[str, Any]

NPI = "http://hl7.org/fhir/sid/us-npi"
TAX_ID = "urn:oid:2.16.840.1.113883.4.4"
TAXONOMY = "http://nucc.org/provider-taxonomy"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10PCS = frozenset(
    {"http://www.cms.gov/Medicare/Coding/ICD10", "urn:oid:2.16.840.1.113883.6.4", "http://hl7.org/fhir/sid/icd-10-pcs"}
)
REVENUE = "https://www.nubc.org/CodeSystem/RevenueCodes"
BILLING_CODES = frozenset(
    {
        "http://www.ama-assn.org/go/cpt",
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "http://www.ada.org/cdt",
        "urn:oid:2.16.840.1.113883.6.12",
        "urn:oid:2.16.840.1.113883.6.285",
        "urn:oid:2.16.840.1.113883.6.14",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "http://terminology.hl7.org/CodeSystem/HCPCS",
        "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes",
    }
)
_CLAIM_KINDS = {"professional": ClaimKind.PROFESSIONAL, "institutional": ClaimKind.INSTITUTIONAL}
_SEX = {"male": "M", "female": "F"}
_KINDS = {
    "principal": "principal",
    "admitting": "admitting",
    "externalcauseofinjury": "external",
    "patientreasonforvisit": "reason",
}


def read_claim(resource: Any) -> Claim:
    """The bill that a FHIR Claim of ours stands for. Raises MalformedResource for one that cannot be read."""
    try:
        claim = _read(resource)
        _check_text(claim)
        return claim
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, ArithmeticError, RecursionError) as error:
        number = ""
        if isinstance(resource, dict) and isinstance(resource.get("identifier"), list):
            number = str(next(iter(resource["identifier"]), ""))[:80]
        raise MalformedResource(
            f"this Claim cannot be read ({_why(error)}) {number}".strip(),
            fix="draft it again from the chart with `fhir-billing draft`",
        ) from error


def _why(error: Exception) -> str:
    """What is wrong, without the names of our own machinery."""
    match error:
        case KeyError():
            return f"{str(error.args[0])[:80] if error.args else 'an element'} is missing"
        case IndexError():
            return "a list is empty"
        case RecursionError():
            return "it is nested too deep"
        case AttributeError() | ArithmeticError():
            return "an element has the wrong type"
        case _:
            return str(error)[:80]


_TEXT: dict[type, tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind) if f.type == "str")
    for kind in (Claim, Party, Person, Payer, Address, Insurance, Diagnosis, ServiceLine, Stay)
}


def _check_text(claim: Claim) -> None:
    """Everything that is text in the domain is text: JSON of a stranger may say 5 where a name should stand."""
    people = [claim.patient, *(i.subscriber for i in claim.insurance)]
    parties = [
        p
        for p in (
            claim.billing,
            claim.rendering,
            claim.attending,
            claim.operating,
            claim.referring,
            claim.supervising,
            claim.facility,
        )
        if p
    ]
    payers = [i.payer for i in claim.insurance]
    places = [*(p.address for p in people), *(p.address for p in parties), *(p.address for p in payers)]
    stays = [claim.stay] if claim.stay else []
    for part in (claim, *people, *parties, *payers, *places, *claim.insurance, *claim.diagnoses, *claim.lines, *stays):
        for name in _TEXT[type(part)]:
            if not isinstance(getattr(part, name), str):
                raise TypeError(f"{name} is not text")
    words = [word for place in places for word in place.lines] + [m for line in claim.lines for m in line.modifiers]
    if not all(isinstance(word, str) for word in words):
        raise TypeError("a line of an address, or a modifier, is not text")


def _read(resource: Resource) -> Claim:
    if resource.get("resourceType") != "Claim":
        raise ValueError(f"resourceType is {resource.get('resourceType')!r}")
    inside = {r["id"]: r for r in resource.get("contained") or ()}
    kind = _CLAIM_KINDS[_code(resource["type"])]
    team = {
        _code(m["role"]): _party(_billed(m["provider"], inside), m["provider"]) for m in resource.get("careTeam") or ()
    }
    info = _information(resource)
    diagnoses, places = _diagnoses(resource, kind)
    lines = tuple(_lines(resource, places, kind))
    filing = {e["url"]: e.get("valueCode", "") for e in _nested(resource, "filing")}
    stay = _stay(resource, info, kind)
    served_from, served_to = _served(resource, lines, stay)
    billing = _billed(resource["provider"], inside)
    related = _prior_claim(resource)
    facility = resource.get("facility")
    insurance = sorted(resource["insurance"], key=lambda one: not one.get("focal", False))
    authorizations = insurance[0].get("preAuthRef") or ("",)
    return Claim(
        id=resource["identifier"][0]["value"],
        kind=kind,
        frequency=Frequency(_extension(resource, "frequency") or "1"),
        payer_icn=related[0],
        replaces=related[1],
        encounter=_encounter(resource),
        patient=_person(_billed(resource["patient"], inside), resource["patient"].get("reference", "")),
        insurance=tuple(_insurance(one, inside) for one in insurance),
        billing=_party(billing, resource["provider"]),
        pay_to=_pay_to(billing),
        rendering=team.get("rendering"),
        attending=team.get("attending"),
        operating=team.get("operating"),
        referring=team.get("referring"),
        supervising=team.get("supervising"),
        facility=_party(_billed(facility, inside), facility) if facility else None,
        place=str(_extension(resource, "place-of-service") or ""),
        diagnoses=diagnoses,
        lines=lines,
        served_from=served_from,
        served_to=served_to,
        authorization=str(authorizations[0]),
        referral=str((resource.get("referral") or {}).get("identifier", {}).get("value", "")),
        clia=str(_extension(resource, "clia") or ""),
        accident=_accident(resource),
        stay=stay,
        signature_on_file=filing.get("signature-on-file", "Y") == "Y",
        assigned=filing.get("assigned") or "A",
        benefits_assigned=filing.get("benefits-assigned") or "Y",
        release=filing.get("release") or "Y",
        note=str(info.get("info", {}).get("valueString", "")),
    )


# ---- small pieces ------------------------------------------------------------------------------


def _code(concept: Resource | None) -> str:
    return next((str(c.get("code", "")) for c in (concept or {}).get("coding") or ()), "")


def _extension(element: Resource, name: str) -> Any:
    for extension in element.get("extension") or ():
        if extension.get("url", "").endswith(f"/{name}"):
            return next((v for k, v in extension.items() if k.startswith("value")), None)
    return None


def _nested(element: Resource, name: str) -> list[Resource]:
    for extension in element.get("extension") or ():
        if extension.get("url", "").endswith(f"/{name}"):
            found: list[Resource] = extension.get("extension") or []
            return found
    return []


def _billed(reference: Resource, inside: dict[str, Resource]) -> Resource:
    """The contained resource behind a reference of the Claim."""
    billed = _extension(reference, "as-billed")
    name = billed["reference"] if billed else reference.get("reference", "")
    return inside.get(name.removeprefix("#"), {}) if name.startswith("#") else {}


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None
    return found if found and 1850 <= found.year <= 2199 else None


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _address(resource: Resource) -> Address:
    found = resource.get("address") or {}
    if isinstance(found, list):
        found = next(iter(found), {})
    return _place(found)


def _place(found: Resource) -> Address:
    return Address(
        lines=tuple(line for line in found.get("line") or () if line),
        city=found.get("city", ""),
        state=_state(found.get("state", "")),
        zip=_digits(found.get("postalCode", "")),
    )


def _state(text: str) -> str:
    """The postal code of a state; one that is written out is looked up, anything else is left as it is."""
    plain = text.strip()
    return plain.upper() if len(plain) == 2 else STATES.get(plain.casefold(), plain)


def _pay_to(billing: Resource) -> Address | None:
    return next((_place(a) for a in (billing.get("address") or ())[1:] if a.get("use") == "billing"), None)


def _name(resource: Resource) -> dict[str, str]:
    found = resource.get("name") or {}
    if isinstance(found, list):
        found = next(iter(found), {})
    given = [part for part in found.get("given") or () if part]
    return {
        "family": found.get("family", ""),
        "given": given[0] if given else "",
        "middle": given[1] if len(given) > 1 else "",
        "suffix": next(iter(found.get("suffix") or ()), ""),
    }


def _person(resource: Resource, reference: str) -> Person:
    return Person(
        ref=reference,
        **_name(resource),
        birth_date=_day(resource.get("birthDate")),
        sex=_SEX.get(resource.get("gender", ""), "U"),
        address=_address(resource),
    )


def _party(resource: Resource, reference: Resource) -> Party:
    numbers = {i.get("system"): i.get("value", "") for i in resource.get("identifier") or ()}
    person = resource.get("resourceType") == "Practitioner"
    concepts = (
        [q.get("code") or {} for q in resource.get("qualification") or ()] if person else resource.get("type") or ()
    )
    taxonomy = next((c["code"] for t in concepts for c in t.get("coding") or () if c.get("system") == TAXONOMY), "")
    names = _name(resource) if person else {"name": resource.get("name", "")}
    return Party(
        ref=reference.get("reference", ""),
        **names,
        npi=numbers.get(NPI, ""),
        tax_id=_digits(numbers.get(TAX_ID, "")),
        taxonomy=taxonomy,
        address=_address(resource),
        phone=next(
            (_digits(t.get("value", "")) for t in resource.get("telecom") or () if t.get("system") == "phone"), ""
        ),
    )


def _encounter(resource: Resource) -> str:
    for item in resource.get("item") or ():
        for encounter in item.get("encounter") or ():
            return str(encounter.get("reference", ""))
    return str((_extension(resource, "encounter") or {}).get("reference", ""))


# ---- who pays ----------------------------------------------------------------------------------

_RANKS = ("P", "S", "T")


def _insurance(entry: Resource, inside: dict[str, Resource]) -> Insurance:
    coverage = _billed(entry["coverage"], inside)
    payer = _billed((coverage.get("payor") or [{}])[0], inside)
    groups = [c for c in coverage.get("class") or () if _code(c.get("type")) == "group"]
    relationship = str(_extension(coverage, "relationship-as-billed") or "")
    subscriber = (coverage.get("subscriber") or {}).get("reference", "#patient").removeprefix("#")
    person = inside.get(subscriber, {})
    period = coverage.get("period") or {}
    order = int(coverage.get("order") or entry.get("sequence") or 1)
    return Insurance(
        ref=entry["coverage"].get("reference", ""),
        rank=_RANKS[min(max(order, 1), 3) - 1],
        payer=Payer(
            id=next((i["value"] for i in payer.get("identifier") or ()), ""),
            name=payer.get("name", ""),
            address=_address(payer),
        ),
        filing_indicator=str(_extension(coverage, "filing-indicator") or "CI"),
        member_id=coverage.get("subscriberId", ""),
        group_number=groups[0].get("value", "") if groups else "",
        group_name=groups[0].get("name", "") if groups else "",
        insurance_type=str(_extension(coverage, "insurance-type") or ""),
        relationship=relationship,
        subscriber=_person(person, str((_extension(person, "charted-as") or {}).get("reference", "")))
        if person
        else Person(),
        active_from=_day(period.get("start")),
        active_to=_day(period.get("end")),
    )


# ---- what for ----------------------------------------------------------------------------------


def _diagnoses(resource: Resource, kind: ClaimKind) -> tuple[tuple[Diagnosis, ...], dict[int, int]]:
    """Diagnoses without repeats, and for each sequence of the Claim the place where its code now stands."""
    made: dict[tuple[str, str], Diagnosis] = {}
    places: dict[int, int] = {}
    for entry in resource.get("diagnosis") or ():
        code = _billing_diagnosis(entry.get("diagnosisCodeableConcept") or {})
        role = next((_KINDS[c] for t in entry.get("type") or () if (c := _code(t)) in _KINDS), "other")
        key = (code, role if role in {"admitting", "reason"} else "")
        if key not in made:
            made[key] = Diagnosis(
                sequence=len(made) + 1, code=code, kind=role, present_on_admission=_code(entry.get("onAdmission")),
                ref=str((_extension(entry, "charted-as") or {}).get("reference", "")),
            )  # fmt: skip
        places[entry["sequence"]] = made[key].sequence
    return tuple(made.values()), places


def _billing_diagnosis(concept: Resource) -> str:
    first: Resource = next(iter(concept.get("coding") or ()), {})
    return icd10(first.get("code", "")) if first.get("system") == ICD10CM else ""


def _lines(resource: Resource, places: dict[int, int], kind: ClaimKind) -> Iterator[ServiceLine]:
    claim_place = str(_extension(resource, "place-of-service") or "")
    for item in resource.get("item") or ():
        period = item.get("servicedPeriod") or {}
        start = _day(item.get("servicedDate") or period.get("start"))
        quantity = item.get("quantity") or {}
        place = _code(item.get("locationCodeableConcept"))
        net = (item.get("net") or {}).get("value")
        yield ServiceLine(
            number=item["sequence"],
            procedure=_billing_code(item.get("productOrService") or {}),
            modifiers=tuple(code for m in item.get("modifier") or () if (code := _code(m))),
            revenue_code=_code(item.get("revenue")) if kind is ClaimKind.INSTITUTIONAL else "",
            charge=cents(net) if net is not None else 0,
            units=Decimal(quantity.get("value", 1)),
            unit=quantity.get("code") or "UN",
            served_from=start,
            served_to=_day(period.get("end")) or start,
            pointers=tuple(dict.fromkeys(places[p] for p in item.get("diagnosisSequence") or () if p in places)),
            place=place if place != claim_place and kind is ClaimKind.PROFESSIONAL else "",
            ref=str((_extension(item, "charted-as") or {}).get("reference", "")),
        )


def _billing_code(concept: Resource) -> str:
    """The procedure to bill: the first code, when it is of a system that payers read; a revenue code alone is none."""
    first: Resource = next(iter(concept.get("coding") or ()), {})
    return str(first.get("code", "")) if first.get("system") in BILLING_CODES else ""


def _served(resource: Resource, lines: tuple[ServiceLine, ...], stay: Stay | None) -> tuple[date | None, date | None]:
    """The local days that the bill covers: the stay's, else those of its lines."""
    period = resource.get("billablePeriod") or {}
    if stay is not None and stay.admitted_at is not None:
        return stay.admitted_at.date(), (stay.discharged_at or stay.admitted_at).date()
    days = [day for line in lines for day in (line.served_from, line.served_to) if day]
    if days:
        return min(days), max(days)
    return _day(period.get("start")), _day(period.get("end") or period.get("start"))


def _information(resource: Resource) -> dict[str, Resource]:
    return {_code(entry.get("category")): entry for entry in resource.get("supportingInfo") or ()}


def _moment(entry: Resource | None) -> datetime | None:
    text = (entry or {}).get("valueString", "")
    return datetime.fromisoformat(text) if text else None


def _stay(resource: Resource, info: dict[str, Resource], kind: ClaimKind) -> Stay | None:
    if kind is ClaimKind.PROFESSIONAL and "admitted-at" not in info:
        return None
    return Stay(
        admission_type=_code(info.get("admtype", {}).get("code")),
        admission_source=_code(info.get("pointoforigin", {}).get("code")),
        patient_status=_code(info.get("discharge-status", {}).get("code")),
        admitted_at=_moment(info.get("admitted-at")),
        discharged_at=_moment(info.get("discharged-at")),
        drg=_code(info.get("drg", {}).get("code")),
        procedures=tuple(_operations(resource)),
    )


def _operations(resource: Resource) -> Iterator[InpatientProcedure]:
    for entry in resource.get("procedure") or ():
        codings = (entry.get("procedureCodeableConcept") or {}).get("coding") or ()
        code = next((c["code"] for c in codings if c.get("system") in ICD10PCS), "")
        day = _day(entry.get("date"))
        if code and day:
            yield InpatientProcedure(code=code, on=day)


def _accident(resource: Resource) -> Accident | None:
    accident = resource.get("accident")
    day = _day((accident or {}).get("date"))
    if not accident or day is None:
        return None
    cause = {"MVA": "AA", "WPA": "EM", "WORKACC": "EM"}.get(_code(accident.get("type")), "OA")
    return Accident(cause=cause, on=day, state=(accident.get("locationAddress") or {}).get("state", ""))


def _prior_claim(resource: Resource) -> tuple[str, str]:
    """The payer's number and our number of the claim that this one replaces."""
    for related in resource.get("related") or ():
        if _code(related.get("relationship")) in {"prior", "replaces"}:
            return (
                str((related.get("reference") or {}).get("value", "")),
                str((related.get("claim") or {}).get("identifier", {}).get("value", "")),
            )
    return "", ""
