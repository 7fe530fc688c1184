"""Who pays is decided by the day of service, not by today, and in an order that somebody else has to know.

The coverages active on that day, in their order; a person who pays alone has none. Doubt about the order is a
question for a person.
Spec: Coverage.period, order, relationship, payor; Account.coverage.priority.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from fhir_billing.domain.finding import Owner, Severity
from fhir_billing.mapping.chart import Chart, Key, Resource
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.people import best_address, best_name, reference
from fhir_billing.mapping.site import Site

RANKS = ("P", "S", "T")
_SELF_PAY = frozenset({"pay", "PAY", "SELFPAY", "self-pay"})


def coverages_on(
    chart: Chart, patient: Key, day: date, site: Site, encounter: Resource, found: Found
) -> list[dict[str, Any]]:
    """The insurances to bill, the first to be asked first; empty when the patient pays alone."""
    active = [c for c in chart.coverages(patient) if _is_active(c, day, site) and not _is_self_pay(chart, c)]
    priority = _priorities(chart, encounter)
    active.sort(key=lambda c: (priority.get(c["id"], c.get("order", 99)), -_start(c, site).toordinal()))
    ordered = _one_for_each_turn(active, priority, day, site, found)
    return [_facts(chart, coverage, position, site, found) for position, coverage in enumerate(ordered[:3])]


def _is_active(coverage: Resource, day: date, site: Site) -> bool:
    if coverage.get("status") != "active":
        return False
    period = coverage.get("period") or {}
    start, end = period.get("start"), period.get("end")
    return not (start and _first_day(start, site) > day) and not (end and _last_day(end, site) < day)


def _first_day(text: str, site: Site) -> date:
    return site.days.day(text) or _padded(text, "-01-01", date.min)


def _last_day(text: str, site: Site) -> date:
    return site.days.day(text) or _padded(text, "-12-31", date.max)


def _padded(text: str, rest: str, otherwise: date) -> date:
    """A partial date covers the whole year or month that it names."""
    for tail in (rest, rest[3:], "-30", "-28"):
        try:
            return date.fromisoformat(text[:10] + tail)
        except ValueError:
            continue
    return otherwise


def _start(coverage: Resource, site: Site) -> date:
    start = (coverage.get("period") or {}).get("start")
    return _first_day(start, site) if start else date.min


def _is_self_pay(chart: Chart, coverage: Resource) -> bool:
    if any(c.get("code") in _SELF_PAY for c in (coverage.get("type") or {}).get("coding") or ()):
        return True
    payors = coverage.get("payor") or ()
    return bool(payors) and all((chart.key(p, coverage) or ("", ""))[0] in {"Patient", "RelatedPerson"} for p in payors)


def _priorities(chart: Chart, encounter: Resource) -> dict[str, int]:
    """The visit's Account may say the order."""
    found: dict[str, int] = {}
    for account in (chart.resolve(a, encounter) for a in encounter.get("account") or ()):
        for entry in (account or {}).get("coverage") or ():
            key = chart.key(entry.get("coverage") or {})
            if key and "priority" in entry:
                found[key[1]] = entry["priority"]
    return found


def _one_for_each_turn(
    active: list[Resource], priority: dict[str, int], day: date, site: Site, found: Found
) -> list[Resource]:
    """Two coverages of the same turn: one may have replaced the other on this very day, else a person must say."""
    kept: list[Resource] = []
    for coverage in active:
        rival = kept[-1] if kept else None
        if rival is None or _turn(rival, priority) != _turn(coverage, priority):
            kept.append(coverage)
            continue
        end = (coverage.get("period") or {}).get("end")
        if _start(rival, site) == day and end and _last_day(end, site) == day:
            found.add(
                "coverage-changed-that-day", "The coverage changed on the day of service; the new one is billed",
                at="Coverage.period", resource=reference(rival), by=Owner.REGISTRATION, severity=Severity.WARNING,
                fix="check which plan was in force at the hour of the visit",
            )  # fmt: skip
            continue
        found.add(
            "coverage-order-unclear", "Two coverages were active on the day, and the chart does not say which pays first",
            at="Coverage.order", resource=reference(coverage), by=Owner.REGISTRATION, fix="set Coverage.order",
        )  # fmt: skip
        kept.append(coverage)
    return kept


def _turn(coverage: Resource, priority: dict[str, int]) -> int | None:
    found: int | None = priority.get(coverage["id"], coverage.get("order"))
    return found


def _facts(chart: Chart, coverage: Resource, position: int, site: Site, found: Found) -> dict[str, Any]:
    number = position + 1
    payer = _payer(chart, coverage, number, site, found)
    relationship = _relationship(chart, coverage, site, found)
    groups = {_class_code(c): c for c in coverage.get("class") or ()}
    group, plan = groups.get("group", {}), groups.get("plan", {})
    profile = site.payer(payer["id"])
    member = coverage.get("subscriberId") or next(
        (i.get("value", "") for i in coverage.get("identifier") or () if i.get("value")), ""
    )
    return {
        "sequence": number, "focal": position == 0, "rank": RANKS[position], "reference": reference(coverage),
        "contained": f"coverage-{number}", "status": coverage.get("status", "active"), "memberId": member,
        "group": group.get("value", ""), "groupName": group.get("name") or plan.get("name", ""), "relationship": relationship,
        "relationshipConcept": coverage.get("relationship"), "period": coverage.get("period"), "payer": payer,
        "filing": profile.filing_indicator or site.terminology.code(coverage.get("type"), "claim-filing-indicator") or "CI",
        "subscriber": _subscriber(chart, coverage, number, relationship, found), "order": number, "type": coverage.get("type"),
        "authorization": extension_text(coverage, site.options.extensions.get("authorization", ())), "source": coverage,
    }  # fmt: skip


def extension_text(resource: dict[str, Any], urls: tuple[str, ...]) -> str:
    """A text that this EHR keeps in an extension."""
    for extension in resource.get("extension") or ():
        if extension.get("url") in urls:
            return next((str(v) for k, v in extension.items() if k.startswith("value") and not isinstance(v, dict)), "")
    return ""


def _class_code(entry: dict[str, Any]) -> str:
    return next((c.get("code", "") for c in (entry.get("type") or {}).get("coding") or ()), "")


def _payer(chart: Chart, coverage: Resource, number: int, site: Site, found: Found) -> dict[str, Any]:
    payors = coverage.get("payor") or [{}]
    organization = found.follow(chart, coverage, payors[0], "Coverage.payor[0]")
    name = (organization or {}).get("name") or payors[0].get("display", "")
    identifiers = [str(i.get("value", "")) for i in (organization or {}).get("identifier") or ()]
    payer_id = site.payer_of(*identifiers, chart.written(payors[0]), name)
    if not payer_id:
        found.add(
            "payer-unknown", f"The site has no file for the payer {name or chart.written(payors[0]) or 'that the coverage does not name'}",
            at="Coverage.payor[0]", resource=reference(coverage), by=Owner.SITE,
            fix="add it to mappings/payers, or to known_as of a payer that is there",
        )  # fmt: skip
    profile = site.payer(payer_id) if payer_id else None
    return {
        "contained": f"payer-{number}", "id": payer_id, "name": profile.name if profile else name, "chartName": name,
        "reference": chart.written(payors[0]), "address": best_address(organization or {}), "source": organization,
    }  # fmt: skip


def _relationship(chart: Chart, coverage: Resource, site: Site, found: Found) -> str:
    """PAT01 of the patient to the subscriber; a coverage without a relationship says it by who its subscriber is."""
    concept = coverage.get("relationship")
    if concept:
        code = site.terminology.code(concept, "subscriber-relationship")
        if not code:
            found.add(
                "code-unmapped", "The patient's relationship to the subscriber has no row in subscriber-relationship",
                at="Coverage.relationship", resource=reference(coverage), by=Owner.SITE, fix="add the row",
            )  # fmt: skip
        return code
    subscriber, patient = coverage.get("subscriber"), coverage.get("beneficiary") or {}
    if subscriber and chart.key(subscriber, coverage) == chart.key(patient, coverage):
        return "18"
    found.add(
        "relationship-missing", "The coverage does not say how the patient is related to the subscriber",
        at="Coverage.relationship", resource=reference(coverage), by=Owner.REGISTRATION, fix="add the relationship",
    )  # fmt: skip
    return ""


def _subscriber(
    chart: Chart, coverage: Resource, number: int, relationship: str, found: Found
) -> dict[str, Any] | None:
    """Who holds the plan, when it is not the patient."""
    if relationship in {"18", ""}:
        return None
    holder = coverage.get("subscriber") or coverage.get("policyHolder")
    person = found.follow(chart, coverage, holder, "Coverage.subscriber")
    if person is None or person["resourceType"] not in {"Patient", "RelatedPerson"}:
        if not holder or person is not None:
            found.add(
                "subscriber-missing", "The plan is another person's, and the chart does not say whose", at="Coverage.subscriber",
                resource=reference(coverage), by=Owner.REGISTRATION, fix="add the subscriber with name, birth date and address",
            )  # fmt: skip
        return None
    return {
        "contained": f"subscriber-{number}", "reference": reference(person), "name": best_name(person), "gender": person.get("gender"),
        "birthDate": person.get("birthDate"), "address": best_address(person), "source": person,
    }  # fmt: skip
