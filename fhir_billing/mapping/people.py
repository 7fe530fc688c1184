"""A person in a chart has several names and addresses, and a provider several numbers; a bill carries one of each.

Spec: HumanName.use, Address.use; NPI in identifier, taxonomy in PractitionerRole.specialty or Practitioner.qualification.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_billing.domain.claim import Address
from fhir_billing.domain.codes import is_npi
from fhir_billing.domain.finding import Owner, Severity
from fhir_billing.mapping.chart import Chart, Resource
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.site import Biller, Site
from fhir_billing.mapping.terminology import Systems

_NAME_USES = ("official", "usual", None, "nickname")
_ADDRESS_USES = ("home", None, "billing", "work", "temp")

ROLES = {
    "ATND": "attending", "PPRF": "performer", "SPRF": "assisting", "REF": "referring", "ADM": "admitting", "DIS": "discharging",
    "CON": "consulting", "SPV": "supervising", "PRF": "performer",
}  # fmt: skip
"""Participation type → who it is to a bill."""


def best_name(person: Mapping[str, Any]) -> dict[str, Any] | None:
    """The name for a bill: official before usual before the rest, never an old one."""
    return _best(person.get("name") or (), _NAME_USES)


def best_address(person: Mapping[str, Any]) -> dict[str, Any] | None:
    """The address for a bill: home before others, never an old one."""
    found = person.get("address") or ()
    return _bare(found) if isinstance(found, dict) else _best(found, _ADDRESS_USES)


def _best(found: Sequence[dict[str, Any]], uses: Sequence[str | None]) -> dict[str, Any] | None:
    current = [one for one in found if one.get("use") != "old"] or list(found)
    for use in uses:
        for one in current:
            if one.get("use") == use:
                return _bare(one)
    return _bare(current[0]) if current else None


def spoken(name: Mapping[str, Any]) -> str:
    """A name as people say it."""
    parts = [*(name.get("prefix") or ()), *(name.get("given") or ()), name.get("family", "")]
    return name.get("text") or " ".join(part for part in parts if part)


def _bare(element: dict[str, Any]) -> dict[str, Any]:
    """Without extensions: a bill needs no map co-ordinates."""
    return {k: v for k, v in element.items() if k != "extension"} if "extension" in element else element


def reference(resource: Resource) -> str:
    """`Type/ID`."""
    return f"{resource['resourceType']}/{resource.get('id', '')}"


def foreign(resource: Resource, found: Found) -> None:
    """A resource that is another patient's is not billed, and somebody must look."""
    kind = resource["resourceType"]
    found.add(
        "other-patient", f"{reference(resource)} points at this visit and is another patient's; it is not billed",
        at=f"{kind}.{'patient' if kind == 'Immunization' else 'subject'}", resource=reference(resource),
        fix="correct whose it is, or which visit it belongs to", by=Owner.CLINICIAN,
    )  # fmt: skip


def identifier(resource: Mapping[str, Any], name: str, systems: Systems) -> str:
    """A number of the resource in a system that has a name, such as npi."""
    wanted = systems.by_name.get(name, ())
    return next((i.get("value", "") for i in resource.get("identifier") or () if i.get("system") in wanted), "")


def in_system(concepts: Iterable[Mapping[str, Any]], name: str, systems: Systems) -> str:
    """The first code of these concepts in a system that has a name."""
    wanted = systems.by_name.get(name, ())
    return next(
        (c.get("code", "") for concept in concepts for c in concept.get("coding") or () if c.get("system") in wanted),
        "",
    )


def care_team(chart: Chart, encounter: Resource, site: Site, found: Found, kind: str) -> list[dict[str, Any]]:
    """Who took part and stands on the bill, each once."""
    team: dict[str, dict[str, Any]] = {}
    for position, participant in enumerate(encounter.get("participant") or ()):
        at = f"Encounter.participant[{position}].individual"
        individual = found.follow(chart, encounter, participant.get("individual"), at, severity=Severity.WARNING)
        if individual is None or individual["resourceType"] not in {"Practitioner", "PractitionerRole"}:
            continue
        codes = [c.get("code", "") for t in participant.get("type") or () for c in t.get("coding") or ()]
        for role in dict.fromkeys(_role(code, kind) for code in codes or [""]):
            if role and role not in team and (member := _member(chart, individual, role, kind, site, found, at)):
                team[role] = member
    if kind == "institutional" and "attending" not in team and "rendering" in team:
        team["attending"] = {**team.pop("rendering"), "role": "attending", "contained": "attending"}
    return [{**member, "sequence": n} for n, member in enumerate(team.values(), 1)]


def _role(code: str, kind: str) -> str:
    role = ROLES.get(code, "performer" if not code else "")
    if role == "performer" or (role == "attending" and kind == "professional"):
        return "rendering"
    return role if role in {"attending", "referring", "supervising"} else ""


def _member(
    chart: Chart, individual: Resource, role: str, kind: str, site: Site, found: Found, at: str
) -> dict[str, Any] | None:
    systems = site.terminology.systems
    practitioner, specialty = individual, individual.get("specialty") or ()
    if individual["resourceType"] == "PractitionerRole":
        linked = found.follow(
            chart, individual, individual.get("practitioner"), f"{at}.practitioner", severity=Severity.WARNING
        )
        if linked is None:
            return None
        practitioner = linked
    npi = identifier(practitioner, "npi", systems) or identifier(individual, "npi", systems)
    if not is_npi(npi) and site.options.practitioners_without_npi == "leave-out":
        if kind == "professional" or role not in {"attending", "rendering"}:
            return None  # a hospital bill names its attending provider all the same
        npi = ""
    elif not is_npi(npi):
        found.add(
            "npi-missing" if not npi else "npi-invalid",
            f"The {role} practitioner has {'no NPI' if not npi else f'an NPI that is none: {npi}'}",
            at=at, resource=reference(practitioner), fix="add the NPI to the practitioner", by=Owner.SITE,
        )  # fmt: skip
    taxonomy = in_system(specialty, "taxonomy", systems) or in_system(
        [q["code"] for q in practitioner.get("qualification") or () if q.get("code")], "taxonomy", systems
    )
    return {
        "role": role, "contained": role, "reference": reference(practitioner), "name": best_name(practitioner), "npi": npi,
        "taxonomy": taxonomy, "source": [practitioner] if practitioner is individual else [practitioner, individual],
    }  # fmt: skip


def biller(chart: Chart, encounter: Resource, site: Site, found: Found) -> tuple[Biller, Resource | None]:
    """Who bills for this visit: the site's entry for the chart's organization, else the site itself."""
    organization = found.follow(chart, encounter, encounter.get("serviceProvider"), "Encounter.serviceProvider")
    if organization is None:
        return site.billing, None
    names = [reference(organization), *(str(i.get("value", "")) for i in organization.get("identifier") or ())]
    return next((site.organizations[n] for n in names if n in site.organizations), site.billing), organization


def biller_facts(who: Biller) -> dict[str, Any]:
    """The billing organization as a mapping sees it."""
    return {
        "name": who.name, "npi": who.npi, "taxId": f"{who.tax_id[:2]}-{who.tax_id[2:]}" if len(who.tax_id) == 9 else who.tax_id,
        "taxonomy": who.taxonomy, "phone": who.phone, "address": as_fhir(who.address),
        "payTo": as_fhir(who.pay_to) if who.pay_to else None,
    }  # fmt: skip


def as_fhir(address: Address) -> dict[str, Any]:
    """An address of a site file as FHIR has it."""
    zip_code = f"{address.zip[:5]}-{address.zip[5:]}" if len(address.zip) == 9 else address.zip
    return {"line": list(address.lines), "city": address.city, "state": address.state, "postalCode": zip_code}


def facility(
    chart: Chart, encounter: Resource, organization: Resource | None, who: Biller, site: Site, found: Found, place: str
) -> dict[str, Any] | None:
    """Where it happened, when that is not the billing address (loop 2310C); never for a visit at home or from afar."""
    location = None
    for position, stay in enumerate(encounter.get("location") or ()):
        resolved = found.follow(
            chart,
            encounter,
            stay.get("location"),
            f"Encounter.location[{position}].location",
            severity=Severity.WARNING,
        )
        location = location or resolved
    if site.options.service_facility == "never" or place in {"02", "10", "12"}:
        return None
    for where in (location, organization):
        address = best_address(where) if where else None
        if where is None or not address or not address.get("line"):
            continue
        if _same(address, who.address):
            return None
        name = where.get("name") or (organization or {}).get("name", "")
        return {
            "name": name, "address": address, "npi": identifier(where, "npi", site.terminology.systems),
            "reference": reference(where), "source": where, "type": where["resourceType"],
        }  # fmt: skip
    return None


def _same(address: Mapping[str, Any], other: Address) -> bool:
    lines = [str(line).casefold() for line in address.get("line") or ()]
    digits = "".join(c for c in str(address.get("postalCode", "")) if c.isdigit())
    return lines[:1] == [line.casefold() for line in other.lines][:1] and digits[:5] == other.zip[:5]
