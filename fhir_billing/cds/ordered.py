"""An order is the first line of a bill: the payer may want to be asked before it, and will ask why it was done.

The payer's list is that of the claim edit `prior-auth-missing`, so card and edit never disagree. An order that says where
its authorization or its reason stands is left alone.
Spec: ServiceRequest.code, reasonCode, reasonReference, insurance (a ClaimResponse there is a preauthorization).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from fhir_billing.cds import coverage
from fhir_billing.cds.card import Action, Card, Suggestion, plain
from fhir_billing.cds.hook import Call, Resource
from fhir_billing.cds.missing import MOST_CHOICES, evidence_of, pointed
from fhir_billing.edits.prior_auth_missing import prior_auth_missing, wanted

_CONCEPTS = ("code", "codeCodeableConcept", "medicationCodeableConcept")
_OVER = frozenset({"revoked", "completed", "entered-in-error", "cancelled", "noshow", "fulfilled"})
REASONS = (("asked", "It has been asked for"), ("not-needed", "It is not needed here"), ("later", "Not now"))


def authorization(call: Call, day: date) -> list[Card]:
    """A card for each order or appointment that the first payer wants to be asked about before."""
    waiting = [(order, code) for order in call.orders for code in codes(order, call) if not _is_asked(order)]
    insurance = coverage.first_on(call, day) if waiting else None
    if insurance is None or insurance["authorization"]:
        return []
    profile = call.site.payer(insurance["payer"]["id"])
    settings = call.site.edit_settings(prior_auth_missing.key, profile)
    if settings.get("severity") == "none":
        return []
    return [
        Card(
            key=f"authorization:{_name(order)}:{code}",
            summary=f"{plain(profile.name or profile.id, 60)} wants to be asked before {plain(code, 20)}.",
            detail="No authorization number is on file for this order.",
            indicator="warning",
            reasons=REASONS,
            link="Open this patient's bills",
            context=(("view", "bills"), ("authorization", code)),
        )
        for order, code in waiting
        if wanted(code, settings)
    ]


def reason(call: Call) -> list[Card]:
    """A card for each billable order that does not say why, with the chart's own conditions as answers."""
    if not call.knows("problems"):
        return []
    return [_why(order, code, call) for order in call.orders for code in codes(order, call)[:1] if _lacks_reason(order)]


def _why(order: Resource, code: str, call: Call) -> Card:
    what = plain(_words(order) or code, 60)
    seen = [(condition, label) for condition in evidence_of(call) if (label := _label(condition))]
    return Card(
        key=f"reason:{_name(order)}",
        summary=f"Why is {what} ordered?",
        detail="The order has no reason next to it.",
        suggestions=tuple(_because(order, condition, label) for condition, label in seen[:MOST_CHOICES]),
    )


def _because(order: Resource, condition: Resource, label: str) -> Suggestion:
    named = {"reference": f"Condition/{condition['id']}", "display": label}
    changed = {**order, "reasonReference": [named]}
    return Suggestion(
        key=str(condition["id"]),
        label=label,
        actions=(Action(kind="update", say=f"Reason: {label}", resource=changed),),
    )


def codes(order: Resource, call: Call) -> list[str]:
    """The billing codes of an order or appointment, by the site's own table."""
    found = (call.site.terminology.billing(concept, "procedure") for concept in _concepts(order))
    return [] if str(order.get("status")) in _OVER else list(dict.fromkeys(str(one["code"]) for one in found if one))


def _concepts(order: Resource) -> Iterator[dict[str, Any]]:
    """What is ordered, in a shape that can be looked up; draft orders are not yet FHIR that anybody has checked."""
    services = order.get("serviceType") if order.get("resourceType") == "Appointment" else None
    for concept in [order.get(name) for name in _CONCEPTS] + (services if isinstance(services, list) else []):
        codings = concept.get("coding") if isinstance(concept, dict) else None
        if isinstance(codings, list):
            yield {"coding": [_coding(c) for c in codings if isinstance(c, dict)]}


def _coding(coding: Resource) -> dict[str, str]:
    return {name: text for name in ("system", "code", "display") if isinstance(text := coding.get(name), str)}


def _words(order: Resource) -> str:
    for name in _CONCEPTS:
        concept = order.get(name)
        if isinstance(concept, dict) and isinstance(text := concept.get("text"), str) and text.strip():
            return text
    return next((c["display"] for concept in _concepts(order) for c in concept["coding"] if c.get("display")), "")


def _label(condition: Resource) -> str:
    concept = condition.get("code")
    if not isinstance(concept, dict) or not isinstance(condition.get("id"), str):
        return ""
    texts = [concept.get("text"), *(c.get("display") for c in concept.get("coding") or () if isinstance(c, dict))]
    return plain(next((text for text in texts if isinstance(text, str) and text.strip()), ""), 80)


def _lacks_reason(order: Resource) -> bool:
    return order.get("resourceType") == "ServiceRequest" and not (
        order.get("reasonCode") or order.get("reasonReference")
    )


def _is_asked(order: Resource) -> bool:
    found = order.get("insurance")
    return isinstance(found, list) and any(pointed(one).startswith("ClaimResponse/") for one in found)


def _name(order: Resource) -> str:
    return f"{order.get('resourceType')}/{order.get('id')}"
