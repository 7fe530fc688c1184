"""A hospital's bill tells of a stay: how the patient came, how and when the patient left, and what was operated.

Spec: CL1, DTP*435 and 096, HI*DR, HI*BBR of 837I; Encounter.hospitalization, priority; ICD-10-PCS on Procedures.
"""

from __future__ import annotations

from typing import Any

from fhir_billing.mapping import extensions
from fhir_billing.mapping.chart import Chart, Resource
from fhir_billing.mapping.people import in_system, reference
from fhir_billing.mapping.site import Site


def stay(chart: Chart, encounter: Resource, site: Site) -> dict[str, Any]:
    """What the hospital's bill says of the stay; the site's defaults where the chart is silent."""
    hospital = encounter.get("hospitalization") or {}
    terminology, defaults = site.terminology, site.options.defaults
    period = encounter.get("period") or {}
    drg_urls = site.options.extensions.get("drg", (f"{extensions.OURS}drg",))
    return {
        "admissionType": terminology.code(encounter.get("priority"), "admission-type")
        or defaults.get("admission_type"),
        "admissionSource": terminology.code(hospital.get("admitSource"), "admission-source")
        or defaults.get("admission_source"),
        "patientStatus": _status(hospital.get("dischargeDisposition"), site) or defaults.get("patient_status"),
        "admittedAt": _minute(period.get("start"), site),
        "dischargedAt": _minute(period.get("end"), site),
        "period": period,
        "drg": extensions.first_text(encounter, drg_urls) or None,
        "billType": terminology.code(encounter.get("class"), "bill-type"),
        "procedures": _procedures(chart, encounter, site),
        "source": encounter,
    }


def _status(concept: dict[str, Any] | None, site: Site) -> str:
    if not concept:
        return ""
    return in_system([concept], "discharge", site.terminology.systems) or site.terminology.code(
        concept, "patient-status"
    )


def _minute(text: str | None, site: Site) -> str | None:
    found = site.days.wall(text)
    return found.isoformat(timespec="minutes") if found else None


def _procedures(chart: Chart, encounter: Resource, site: Site) -> list[dict[str, Any]]:
    """Operations with their ICD-10-PCS code and day, in the order they were done."""
    found = []
    for procedure in chart.of_visit(encounter, "Procedure"):
        code = in_system([procedure.get("code") or {}], "icd10pcs", site.terminology.systems)
        start = procedure.get("performedDateTime") or (procedure.get("performedPeriod") or {}).get("start")
        day = site.days.day(start) or site.days.day((encounter.get("period") or {}).get("start"))
        if procedure.get("status") == "completed" and code and day:
            found.append((day.isoformat(), code, procedure))
    found.sort(key=lambda one: one[0])
    return [
        {
            "sequence": number, "date": day, "code": code, "coding": procedure["code"]["coding"], "reference": reference(procedure),
            "source": procedure,
        }
        for number, (day, code, procedure) in enumerate(found, 1)
    ]  # fmt: skip
