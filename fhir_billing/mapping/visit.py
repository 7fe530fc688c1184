"""A finished visit becomes claims, the patient's own bill, or nothing that can be billed; it never vanishes.

Here the facts of one visit are gathered from the chart: who pays, who did it, what was found and done, at what price.
The mapping gives them the shape of a Claim.
Spec: FHIR R4 Encounter, Coverage, Claim; more than 50 lines or 12 diagnoses do not fit one 837P claim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_billing.domain.finding import Finding, Owner
from fhir_billing.domain.money import Money, show
from fhir_billing.fhir.answered import PLACE
from fhir_billing.mapping import insurance, people
from fhir_billing.mapping.charges import service_lines
from fhir_billing.mapping.chart import NOT_BILLED, Chart, Resource
from fhir_billing.mapping.dates import partial
from fhir_billing.mapping.diagnoses import diagnoses as find_diagnoses
from fhir_billing.mapping.extensions import first_text
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.people import reference
from fhir_billing.mapping.site import Site
from fhir_billing.mapping.split import split
from fhir_billing.mapping.stay import stay
from fhir_billing.mapping.template import Origin

_STATUSES = {
    "Procedure": frozenset(
        ["preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"]
    ),
    "Immunization": frozenset(["completed", "entered-in-error", "not-done"]),
    "ChargeItem": frozenset(
        ["planned", "billable", "not-billable", "aborted", "billed", "entered-in-error", "unknown"]
    ),
}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitDraft:
    """What became of one finished visit. `outcome` is claims, self-pay or not billable."""

    encounter: str
    number: str
    outcome: str
    claims: tuple[Resource, ...] = ()
    findings: tuple[Finding, ...] = ()
    dangling: tuple[tuple[Finding, str], ...] = ()
    """References that lead nowhere, with the resource that holds each."""
    charge: Money = 0
    mapping: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The visit as billing sees it: patient, patient_name, patient_birth, served_on, what, practitioner."""
    trace: tuple[tuple[Origin, ...], ...] = ()
    """For each claim, where its elements came from; only when asked for."""


def claim_number(encounter: str) -> str:
    """CLM01 of a visit: `C-` and twelve characters made from the encounter's id, the same on every run.

    >>> claim_number("123")
    'C-MSJT8P9088QS'
    """
    bits = int.from_bytes(hashlib.sha256(encounter.encode()).digest()[:8], "big") >> 4
    return "C-" + "".join(_CROCKFORD[(bits >> (5 * place)) & 31] for place in range(11, -1, -1))


def draft_visit(
    chart: Chart, encounter: Resource, site: Site, as_of: date | None = None, *, trace: bool = False
) -> VisitDraft:
    """Draft a finished visit. `as_of` is its last day when nothing else is said."""
    found = Found(site.findings)
    number = claim_number(encounter["id"])
    kind = site.terminology.code(encounter.get("class"), "claim-kind")
    period = encounter.get("period") or {}
    day = site.days.day(period.get("start"))
    patient_key = chart.key(encounter.get("subject") or {}, encounter)
    patient = found.follow(chart, encounter, encounter.get("subject"), "Encounter.subject")
    facts = _facts(chart, encounter, patient, patient_key, day, site)
    if kind == "not-billable":
        return VisitDraft(encounter=reference(encounter), number=number, outcome="not billable", facts=facts)
    if not kind:
        _unknown_class(encounter, found)
        kind = "professional"
    if patient_key is None or (patient is None and "subject" not in encounter):
        found.add(
            "patient-missing", "The visit does not say whose it is", at="Encounter.subject", resource=reference(encounter),
            fix="set Encounter.subject", by=Owner.REGISTRATION,
        )  # fmt: skip
    if day is None:
        found.add(
            "date-missing", "The visit has no day on which it started", at="Encounter.period.start", resource=reference(encounter),
            fix="set Encounter.period.start to a full date", by=Owner.REGISTRATION,
        )  # fmt: skip
    insurances = insurance.coverages_on(chart, patient_key, day, site, encounter, found) if patient_key and day else []
    diagnoses = find_diagnoses(chart, encounter, site, kind, found)
    lines = service_lines(chart, encounter, site, kind, diagnoses, found)
    _unread_or_foreign(chart, encounter, found)
    _period(encounter, site, found)
    charge = sum(line["cents"] for line in lines)
    made = VisitDraft(
        encounter=reference(encounter), number=number, outcome="self-pay", charge=charge, facts=facts,
        findings=tuple(found.findings), dangling=tuple(found.dangling),
    )  # fmt: skip
    if not insurances:
        doubt = any(f.key == insurance.UNREADABLE and f.is_blocking for f in found.findings)
        blocked = patient_key is None or day is None or patient is None or doubt
        return replace(made, outcome="claims") if blocked else replace(made, findings=())
    env = _env(chart, encounter, patient, patient_key, site, found, kind, insurances)
    env["asOf"] = (as_of or site.days.day(period.get("end")) or day or date.min).isoformat()
    return _claims(made, env, diagnoses, lines, site, kind, found, trace=trace)


def _unread_or_foreign(chart: Chart, encounter: Resource, found: Found) -> None:
    """What the visit's bill should have read and could not, and what points at it and is another patient's."""
    for unread in chart.unread(("Encounter", encounter["id"])):
        found.add(
            "resource-unreadable", f"{unread.kind}.{unread.at} {unread.say}, so the bill may be incomplete",
            at=f"{unread.kind}.{unread.at}", resource=unread.name, fix="correct it in the chart and read it again", by=Owner.SITE,
        )  # fmt: skip
    for kind, known in _STATUSES.items():
        for resource in chart.of_visit(encounter, kind):
            if resource.get("status") not in known:
                found.add(
                    "resource-unreadable", f"{kind}.status is none that it can have, so the bill may be incomplete",
                    at=f"{kind}.status", resource=reference(resource), fix="correct the status in the chart", by=Owner.SITE,
                )  # fmt: skip
    for resource in chart.foreign(encounter):
        if resource.get("status") not in NOT_BILLED:
            people.foreign(resource, found)


def _period(encounter: Resource, site: Site, found: Found) -> None:
    """A visit does not end before it starts."""
    period = encounter.get("period") or {}
    start, end = period.get("start"), period.get("end")
    first, last = site.days.day(start), site.days.day(end)
    if end and last is None and not partial(end):
        found.add(
            "resource-unreadable", "Encounter.period.end is no date", at="Encounter.period.end", resource=reference(encounter),
            fix="correct the end of the visit", by=Owner.REGISTRATION,
        )  # fmt: skip
    begun, over = site.days.wall(start), site.days.wall(end)
    if (first and last and last < first) or (begun and over and over < begun):
        found.add(
            "period-backwards", "The visit ends before it starts", at="Encounter.period.end", resource=reference(encounter),
            fix="correct the start or the end of the visit", by=Owner.REGISTRATION,
        )  # fmt: skip


def _unknown_class(encounter: Resource, found: Found) -> None:
    code = (encounter.get("class") or {}).get("code", "")
    found.add(
        "code-unmapped", f"The visit's class {code or '(none)'} has no row in claim-kind", at="Encounter.class",
        resource=reference(encounter), fix="add the row, or set Encounter.class", by=Owner.SITE,
    )  # fmt: skip


def _facts(
    chart: Chart,
    encounter: Resource,
    patient: Resource | None,
    key: tuple[str, str] | None,
    day: date | None,
    site: Site,
) -> dict[str, Any]:
    name = {**(people.best_name(patient or {}) or {}), "prefix": ()}
    practitioner: dict[str, Any] = next(
        (p["individual"] for p in encounter.get("participant") or () if p.get("individual", {}).get("reference")), {}
    )
    resolved = chart.resolve(practitioner, encounter)
    if resolved and resolved["resourceType"] == "PractitionerRole":
        resolved = chart.resolve(resolved.get("practitioner"), resolved)
    return {
        "patient": "/".join(key) if key else "",
        "patient_name": people.spoken(name),
        "patient_birth": site.days.day((patient or {}).get("birthDate")),
        "served_on": day,
        "what": site.terminology.code(encounter.get("class"), "visit-word") or "visit",
        "practitioner": practitioner.get("display") or people.spoken(people.best_name(resolved or {}) or {}),
    }  # fmt: skip


def _env(
    chart: Chart, encounter: Resource, patient: Resource | None, key: tuple[str, str] | None, site: Site, found: Found, kind: str,
    insurances: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    who, organization = people.biller(chart, encounter, site, found)
    place = site.terminology.code(encounter.get("class"), "place-of-service" if kind == "professional" else "bill-type")
    if kind == "professional":
        place = first_text(encounter, site.options.extensions.get("place", (PLACE,))) or place
    provider = {"reference": chart.written(encounter.get("serviceProvider")), "source": organization}
    terminology = site.terminology

    def translate(value: Any, table: str) -> list[Any]:
        if isinstance(value, str):
            code = terminology.bare(value, table)
            return [code] if code else []
        coding = terminology.billing({"coding": [value]} if "coding" not in value else value, table)
        return [coding] if coding else []

    return {
        "Encounter": encounter, "Patient": patient or {"resourceType": "Patient", "id": key[1] if key else "unknown"},
        "PatientName": people.best_name(patient or {}), "PatientAddress": people.best_address(patient or {}),
        "Insurances": insurances, "Coverage": insurances[0]["source"], "Payer": insurances[0]["payer"],
        "BillingProvider": {**people.biller_facts(who), "source": organization}, "ServiceProvider": provider if provider["reference"] else None,
        "CareTeam": people.care_team(chart, encounter, site, found, kind),
        "Facility": people.facility(chart, encounter, organization, who, site, found, place) if kind == "professional" else None,
        "Stay": stay(chart, encounter, site), "Place": place or None, "Filing": site.options.filing,
        "__translate": translate, "__site_date": lambda text: (d.isoformat() if (d := site.days.day(text)) else None),
    }  # fmt: skip


def _claims(
    made: VisitDraft, env: dict[str, Any], diagnoses: list[dict[str, Any]], lines: list[dict[str, Any]], site: Site, kind: str,
    found: Found, *, trace: bool,
) -> VisitDraft:  # fmt: skip
    mapping = site.mapper.of_kind(kind)
    parts = split(diagnoses, lines, kind, found)
    claims, traces = [], []
    for position, (some_diagnoses, some_lines) in enumerate(parts, 1):
        here = {
            **env, "Mapping": mapping.label, "Number": f"{made.number}-{position}" if len(parts) > 1 else made.number,
            "Diagnoses": some_diagnoses, "Lines": some_lines,
            "Total": Decimal(show(sum(line["cents"] for line in some_lines))),
        }  # fmt: skip
        claim = mapping.run(here)
        mapping.check(here, claim, found)
        claims.append(claim)
        if trace:
            traces.append(mapping.explain(here))
    return replace(
        made, outcome="claims", claims=tuple(claims), mapping=mapping.label, findings=tuple(found.findings),
        dangling=tuple(found.dangling), trace=tuple(traces),
    )  # fmt: skip
