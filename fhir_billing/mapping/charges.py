"""What is billed is what was done: the visit itself, its procedures and vaccines, at the price the chart or the site says.

Some EHRs chart what was done and leave pricing to the site; others decide it in ChargeItems. Where both speak of the
same service it is one line, priced by the ChargeItem; the site says which of them to believe.
Spec: Procedure.status, Immunization.status, ChargeItem.status, context, service, priceOverride ("total price").
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhir_billing.domain.codes import on_list
from fhir_billing.domain.finding import Owner
from fhir_billing.domain.money import Money, show
from fhir_billing.fhir.answered import MINUTES, MODIFIER
from fhir_billing.mapping import extensions
from fhir_billing.mapping.chart import Chart, Resource
from fhir_billing.mapping.dates import partial
from fhir_billing.mapping.diagnoses import said, with_source
from fhir_billing.mapping.found import Found
from fhir_billing.mapping.people import in_system, reference
from fhir_billing.mapping.site import Site

_MOST_POINTERS = 4
_DATES = {"Procedure": "performed[x]", "Immunization": "occurrence[x]", "ChargeItem": "occurrence[x]"}
_MINUTES = frozenset({"min", "minute", "minutes", "MJ"})
_TABLES = {"Encounter": "visit", "Procedure": "procedure", "Immunization": "vaccine", "ChargeItem": "procedure"}


def charge_items(chart: Chart, encounter: Resource) -> list[Resource]:
    """The visit's ChargeItems that may be billed."""
    return [c for c in chart.of_visit(encounter, "ChargeItem") if c.get("status") == "billable"]


def service_lines(
    chart: Chart, encounter: Resource, site: Site, kind: str, diagnoses: list[dict[str, Any]], found: Found
) -> list[dict[str, Any]]:
    """The lines of the visit's bill, numbered, each with its price, day and diagnoses."""
    items = charge_items(chart, encounter)
    if site.options.charges == "chargeitem":
        lines = [_from_charge_item(item, None, encounter, site) for item in items]
    else:
        lines = [_from_chart(done, encounter, site) for done in _done(chart, encounter, site, kind)]
        if site.options.charges == "both":
            lines = _priced(chart, lines, items, encounter, site)
    conditions = {one["id"]: one["sequence"] for one in diagnoses}
    for number, line in enumerate(lines, 1):
        line["sequence"] = number
        line["pointers"], own = _pointers(chart, line, conditions, diagnoses)
        _complete(line, site, kind, found)
        _check_reason(line, site, kind, diagnoses, found, own=own)
    return lines


def _done(chart: Chart, encounter: Resource, site: Site, kind: str) -> list[Resource]:
    found: list[Resource] = (
        [encounter] if any(t.get("coding") or t.get("text") for t in encounter.get("type") or ()) else []
    )
    for procedure in chart.of_visit(encounter, "Procedure"):
        pcs = in_system([procedure.get("code") or {}], "icd10pcs", site.terminology.systems)
        if procedure.get("status") == "completed" and not (pcs and kind == "institutional"):
            found.append(procedure)
    return found + [i for i in chart.of_visit(encounter, "Immunization") if i.get("status") == "completed"]


def _concept(resource: Resource) -> dict[str, Any]:
    match resource["resourceType"]:
        case "Encounter":
            return dict(next(t for t in resource["type"] if t.get("coding") or t.get("text")))
        case "Immunization":
            return resource.get("vaccineCode") or {}
        case _:
            return resource.get("code") or {}


def _times(resource: Resource) -> tuple[str | None, str | None]:
    match resource["resourceType"]:
        case "Procedure":
            start = resource.get("performedDateTime") or (resource.get("performedPeriod") or {}).get("start")
            return start, None
        case "Immunization":
            return resource.get("occurrenceDateTime"), None
        case "ChargeItem":
            period = resource.get("occurrencePeriod") or {}
            return resource.get("occurrenceDateTime") or period.get("start"), period.get("end")
        case _:
            return None, None


def _from_chart(resource: Resource, encounter: Resource, site: Site) -> dict[str, Any]:
    concept = _concept(resource)
    billing = site.terminology.billing(concept, _TABLES[resource["resourceType"]])
    line: dict[str, Any] = {
        "billing": billing, "concept": concept, "coding": with_source(billing, concept), "text": concept.get("text"),
        "modifiers": list(extensions.codes(resource, _modifier_urls(site))), "quantity": 1, "unit": "UN", "price": None, "reference": reference(resource), "source": resource,
        "kind": resource["resourceType"], "revenueCode": "", "authorization": "", "note": "", "reasons": resource.get("reasonReference") or (),
        "concepts": (),
    }  # fmt: skip
    return _dated(line, resource, encounter, site)


def _dated(line: dict[str, Any], resource: Resource, encounter: Resource, site: Site) -> dict[str, Any]:
    start, end = _times(resource)
    period = encounter.get("period") or {}
    first = site.days.day(start) or site.days.day(period.get("start"))
    last = site.days.day(end) if end else None
    line["from"] = first.isoformat() if first else None
    line["to"] = last.isoformat() if last and first and last > first else None
    return line


def _from_charge_item(item: Resource, line: dict[str, Any] | None, encounter: Resource, site: Site) -> dict[str, Any]:
    """A ChargeItem as a line, or laid over the line of what it charges for."""
    urls = site.options.extensions
    concept = item.get("code") or {}
    extra = extensions.codings(item, urls.get("procedure", ()))
    if extra:
        concept = {**concept, "coding": [*extra, *(concept.get("coding") or ())]}
    billing = site.terminology.billing(concept, "procedure")
    quantity = item.get("quantity") or {}
    made: dict[str, Any] = {
        "modifiers": list(extensions.codes(item, _modifier_urls(site))),
        "quantity": quantity.get("value", 1),
        "unit": "MJ" if quantity.get("unit") in _MINUTES or quantity.get("code") in _MINUTES else "UN",
        "price": _price(item, quantity.get("value", 1), site),
        "quantityWrong": "quantity" in item and "value" not in quantity,
        "priceWrong": "priceOverride" in item and extensions.money(item["priceOverride"]) is None,
        "item": reference(item),
        "revenueCode": extensions.first_text(item, urls.get("revenue", (f"{extensions.OURS}revenue-code",)))
        or in_system([concept], "revenue", site.terminology.systems),
        "authorization": extensions.first_text(item, urls.get("authorization", ())),
        "concepts": item.get("reason") or (),
    }
    if line is None:
        made |= {
            "billing": billing, "concept": concept, "coding": with_source(billing, concept), "text": concept.get("text"),
            "reference": reference(item), "source": item, "kind": "ChargeItem", "note": "",
            "reasons": (*(item.get("supportingInformation") or ()), *(item.get("service") or ())),
        }  # fmt: skip
        return _dated(made, item, encounter, site)
    if billing is not None:
        made |= {"billing": billing, "coding": with_source(billing, line["concept"])}
    made["modifiers"] = list(dict.fromkeys([*made["modifiers"], *line["modifiers"]]))
    return {**line, **made, "source": [line["source"], item]}


def _modifier_urls(site: Site) -> tuple[str, ...]:
    return site.options.extensions.get("modifier", (MODIFIER,))


def _price(item: Resource, quantity: int | Decimal, site: Site) -> Money | None:
    if (override := item.get("priceOverride")) is not None:
        return extensions.money(override)
    urls = site.options.extensions
    total = extensions.first_money(item, urls.get("price", ()))
    if total is not None:
        return total
    unit = extensions.first_money(item, urls.get("unit-price", ()))
    return extensions.money(Decimal(unit) / 100 * quantity) if unit is not None else None


def _priced(
    chart: Chart, lines: list[dict[str, Any]], items: list[Resource], encounter: Resource, site: Site
) -> list[dict[str, Any]]:
    """Lay each ChargeItem over the line that it charges for, one to one; those that charge for nothing else are lines."""
    free = list(range(len(lines)))
    added: list[dict[str, Any]] = []
    for item in items:
        position = next((p for p in free if _is_about(chart, item, lines[p], site)), None)
        if position is None:
            added.append(_from_charge_item(item, None, encounter, site))
        else:
            free.remove(position)
            lines[position] = _from_charge_item(item, lines[position], encounter, site)
    return lines + added


def _is_about(chart: Chart, item: Resource, line: dict[str, Any], site: Site) -> bool:
    services = [chart.written(service) for service in item.get("service") or ()]
    if services:
        return line["reference"] in services
    return bool(_codes(item.get("code") or {}, site) & _codes({"coding": line["coding"]}, site))


def _codes(concept: Mapping[str, Any], site: Site) -> set[tuple[str, str]]:
    return {
        (site.terminology.systems.uri(c.get("system", "")), c["code"])
        for c in concept.get("coding") or ()
        if c.get("code")
    }


def _pointers(
    chart: Chart, line: dict[str, Any], conditions: dict[str, int], diagnoses: list[dict[str, Any]]
) -> tuple[list[int], bool]:
    """The diagnoses that a line was done for: those that the chart names, else the first four; whether the chart names them."""
    named = [key[1] for r in line["reasons"] if (key := chart.key(r)) and key[0] == "Condition"]
    found = [conditions[name] for name in named if name in conditions]
    wanted = {c.get("code") for concept in line["concepts"] for c in concept.get("coding") or () if c.get("code")}
    if wanted:
        found += [d["sequence"] for d in diagnoses if any(c.get("code") in wanted for c in d["coding"])]
    billable = [d["sequence"] for d in diagnoses if d["type"] in {"principal", "other"}]
    own = list(dict.fromkeys(s for s in found if s in billable))
    return (own or billable)[:_MOST_POINTERS], bool(own)


def _check_reason(
    line: dict[str, Any], site: Site, kind: str, diagnoses: list[dict[str, Any]], found: Found, *, own: bool
) -> None:
    """A service that the site lists has a diagnosis of its own where the visit has several."""
    code = line["billing"]["code"] if line["billing"] else ""
    several = sum(d["type"] in {"principal", "other"} for d in diagnoses) > 1
    if kind == "professional" and several and not own and on_list(code, site.clinicians.reasons):
        found.add(
            "reason-missing", f"The chart does not say what {code} was done for", at=f"Claim.item[{line['sequence'] - 1}].diagnosisSequence",
            resource=line["reference"], fix="say which of the visit's diagnoses this service was for", by=Owner.CLINICIAN,
        )  # fmt: skip


def _check_minutes(line: dict[str, Any], site: Site, at: str, found: Found) -> None:
    """A service that is billed by time has its time in the chart, and enough of it."""
    code = line["billing"]["code"] if line["billing"] else ""
    least = site.clinicians.minutes.get(code)
    if least is None:
        return
    took = _minutes(line, site)
    if took is None:
        found.add(
            "minutes-missing", f"The chart does not say how many minutes {code} took", at=f"{at}.quantity", resource=line["reference"],
            fix="say how many minutes it took", by=Owner.CLINICIAN,
        )  # fmt: skip
    elif took < least:
        found.add(
            "minutes-short", f"{code} took {took} minutes, and is billed from {least} on", at=f"{at}.quantity", resource=line["reference"],
            fix="choose the code that fits the time, or leave it out", by=Owner.CODER,
        )  # fmt: skip


def _minutes(line: dict[str, Any], site: Site) -> int | None:
    """How long it took: what was said, else its start and end, else minutes that are billed as such."""
    sources = line["source"] if isinstance(line["source"], list) else [line["source"]]
    for resource in sources:
        said = extensions.first_text(resource, (MINUTES,))
        if said.isascii() and said.isdigit():
            return int(said)
    for resource in sources:
        period = resource.get("performedPeriod") or resource.get("occurrencePeriod") or {}
        start, end = site.days.wall(period.get("start")), site.days.wall(period.get("end"))
        if start and end and end > start:
            return int((end - start).total_seconds() // 60)
    return int(line["quantity"]) if line["unit"] == "MJ" else None


def _check_item(line: dict[str, Any], at: str, found: Found) -> None:
    """A ChargeItem's price and quantity are those of a bill, or somebody must look."""
    resource = line.get("item", line["reference"])
    if line.get("priceWrong"):
        found.add(
            "price-invalid", "The ChargeItem's price is not an amount in dollars and cents", at="ChargeItem.priceOverride",
            resource=resource, fix="correct ChargeItem.priceOverride",
        )  # fmt: skip
    quantity = Decimal(line["quantity"])
    if line.get("quantityWrong") or not quantity.is_finite() or quantity <= 0 or not -5 < quantity.adjusted() < 8:
        found.add(
            "quantity-invalid", "The quantity is not a positive number", at="ChargeItem.quantity", resource=resource,
            fix="correct ChargeItem.quantity",
        )  # fmt: skip
        line["quantity"] = 1


def _check_dates(line: dict[str, Any], site: Site, found: Found) -> None:
    """A date that cannot be read is not the visit's own day."""
    sources = line["source"] if isinstance(line["source"], list) else [line["source"]]
    for resource in sources:
        for text in _times(resource):
            if text and site.days.day(text) is None and not partial(text):
                kind = resource["resourceType"]
                found.add(
                    "resource-unreadable", f"The date of {reference(resource)} is no date", at=f"{kind}.{_DATES[kind]}",
                    resource=reference(resource), fix="correct the date in the chart", by=Owner.CLINICIAN,
                )  # fmt: skip


def _complete(line: dict[str, Any], site: Site, kind: str, found: Found) -> None:
    """Price and revenue code, and what is missing."""
    at = f"Claim.item[{line['sequence'] - 1}]"
    billing = line["billing"]
    _check_item(line, at, found)
    _check_dates(line, site, found)
    if billing is None:
        found.add(
            "code-unmapped", f"{said(line['concept'])} has no billing code", at=f"{at}.productOrService", resource=line["reference"],
            fix=f"add a row to the site's table `{_TABLES[line['kind']]}`", by=Owner.CODER,
        )  # fmt: skip
    _check_minutes(line, site, at, found)
    price = site.chargemaster.find(billing["code"], tuple(line["modifiers"])) if billing else None
    if line["price"] is None and price is not None and price.amount is not None and not line.get("priceWrong"):
        quantity = Decimal(line["quantity"]) if line["unit"] == "UN" else Decimal(1)
        line["price"] = extensions.money(Decimal(price.amount) / 100 * quantity)
    if line["price"] is None and billing is not None and not line.get("priceWrong"):
        found.add(
            "price-missing", f"{billing['code']} has no price", at=f"{at}.net", resource=line["reference"],
            fix="add it to the chargemaster", by=Owner.SITE,
        )  # fmt: skip
    if kind == "institutional":
        line["revenueCode"] = (
            line["revenueCode"] or (price.revenue if price else "") or site.chargemaster.revenue_otherwise
        )
    line["cents"] = line["price"] or 0
    line["net"] = Decimal(show(line["price"])) if line["price"] is not None else None
