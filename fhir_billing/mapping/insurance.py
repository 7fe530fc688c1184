"""Who pays is decided by the day of service, not by today, and in an order that somebody else has to know.

The coverages active on that day, in their order; a person who pays alone has none. Doubt about the order is a
question for a person.
Spec: Coverage.period, order, relationship, payor; Account.coverage.priority.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from fhir_billing.domain.finding import Owner, Severity
from fhir_billing.fhir.answered import AUTHORIZATION
from fhir_billing.mapping.chart import Chart, Key, Resource
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.people import best_address, best_name, reference
from fhir_billing.mapping.site import Site

RANKS = ("P", "S", "T")
UNREADABLE = "coverage-unreadable"
_NOT_IN_FORCE = frozenset({"cancelled", "draft", "entered-in-error"})
_SELF_PAY = frozenset({"pay", "PAY", "SELFPAY", "self-pay"})


def coverages_on(
    chart: Chart, patient: Key, day: date, site: Site, encounter: Resource, found: Found
) -> list[dict[str, Any]]:
    """The insurances to bill, the first to be asked first; empty when the patient pays alone."""
    mine = sorted(chart.coverages(patient), key=lambda c: str(c["id"]))
    active = [c for c in mine if not is_self_pay(chart, c) and _is_active(c, day, site, found)]
    for unread in chart.unread(patient):
        _unreadable(f"{unread.at} {unread.say}", unread.at, unread.name, found)
    for unread in chart.unread_coverages:
        _unreadable(
            f"{unread.at} {unread.say}, and it may be this patient's", unread.at, unread.name, found,
            severity=Severity.WARNING if active else Severity.BLOCKING,
        )  # fmt: skip
    priority = _priorities(chart, encounter)
    active.sort(key=lambda c: (priority.get(c["id"], c.get("order", 99)), -_start(c, site).toordinal()))
    ordered = _one_for_each_turn(active, priority, day, site, found)
    if len(ordered) > len(RANKS):
        found.add(
            "coverages-many", f"The patient has {len(ordered)} coverages on the day; a bill has room for {len(RANKS)}",
            at="Coverage", resource=reference(ordered[len(RANKS)]), by=Owner.REGISTRATION, severity=Severity.WARNING,
            fix="bill the others by hand, or end those that are over",
        )  # fmt: skip
    made = [_facts(chart, coverage, position, site, found) for position, coverage in enumerate(ordered[:3])]
    if made and not made[0]["authorization"]:
        made[0]["authorization"] = extension_text(encounter, (AUTHORIZATION,))
    return made


def _unreadable(say: str, at: str, name: str, found: Found, severity: Severity = Severity.BLOCKING) -> None:
    """A coverage that cannot be judged holds the visit: a patient is not billed while a payer may pay."""
    found.add(
        UNREADABLE, f"A coverage cannot be read: {say}", at=f"Coverage.{at}" if at else "Coverage", resource=name,
        by=Owner.REGISTRATION, severity=severity, fix="correct the coverage in the chart and read it again",
    )  # fmt: skip


def _is_active(coverage: Resource, day: date, site: Site, found: Found) -> bool:
    """Whether it is in force on the day; a status or date that cannot be read, and that decides, is a finding."""
    status = coverage.get("status")
    if status in _NOT_IN_FORCE:
        return False
    period = coverage.get("period") or {}
    doubts = []
    for name, limit in (("start", _first_day), ("end", _last_day)):
        text = period.get(name)
        if text is None:
            continue
        bound = limit(text, site)
        if bound is None:
            doubts.append((f"period.{name}", f"period.{name} is no date"))
        elif (bound > day) if name == "start" else (bound < day):
            return False
    if status != "active":
        doubts.append(("status", "status is missing" if status is None else "status is none that a coverage can have"))
    for at, say in doubts:
        _unreadable(say, at, reference(coverage), found)
    return status == "active"


def _first_day(text: str, site: Site) -> date | None:
    return site.days.day(text) or _padded(text, ("-01-01", "-01"))


def _last_day(text: str, site: Site) -> date | None:
    return site.days.day(text) or _padded(text, ("-12-31", "-31", "-30", "-29", "-28"))


def _padded(text: str, tails: tuple[str, ...]) -> date | None:
    """A partial date covers the whole year or month that it names; a far year (9999) is a date all the same."""
    for whole in [text + tail for tail in tails if len(text + tail) == 10] or [text]:
        try:
            return date.fromisoformat(whole) if len(whole) == 10 else datetime.fromisoformat(whole).date()
        except ValueError:
            continue
    return None


def _start(coverage: Resource, site: Site) -> date:
    start = (coverage.get("period") or {}).get("start")
    return (_first_day(start, site) if start else None) or date.min


def is_self_pay(chart: Chart, coverage: Resource) -> bool:
    """Whether a person pays alone: the coverage says so, or names no payer but people."""
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
