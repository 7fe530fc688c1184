"""A visit's bill is one living document in the chart: replaced where it stands, never a second one, and never a clinical note.

It is a page of HTML that every browser shows and that carries no script, picture or link.
Spec: FHIR R4 DocumentReference.identifier, .docStatus, .type, .content.attachment (base64), .context.encounter.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any

from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.putting import by_number, settle
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import encounter_of, signed
from fhir_billing.fhir.ours import BASE, identifier, meta

TYPE = {"system": f"{BASE}CodeSystem/document", "code": "billing-status", "display": "Billing status"}
COLUMNS = ("Claim", "Payer", "Status", "Charge", "Paid", "Patient’s share", "Next")
STYLE = "body{font-family:sans-serif}table{border-collapse:collapse}th,td{border:1px solid #999;padding:4px 8px;text-align:left}"


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """The visit's document."""
    number = str(told.visit.get("number") or told.claim)
    put = settle(client, by_number(document(told), number), held.get("DocumentReference"), told.is_latest)
    return [put, *signed(client, told, held, [put])]


def document(told: Told) -> Resource:
    """The document as the chart holds it."""
    visit = told.visit
    changed = str(visit.get("changed", ""))
    attachment = {
        "contentType": "text/html; charset=utf-8",
        "language": "en",
        "data": b64encode(page(visit).encode()).decode(),
        "title": "Billing status",
        **({"creation": changed} if changed else {}),
    }
    resource: Resource = {
        "resourceType": "DocumentReference",
        "meta": meta(),
        "identifier": identifier(str(visit.get("number") or told.claim)),
        "status": "current",
        "docStatus": "final" if visit.get("over") else "preliminary",
        "type": {"coding": [dict(TYPE)], "text": "Billing status"},
        "category": [{"text": "Billing"}],
        "subject": {"reference": str(visit["patient"])} if visit.get("patient") else {},
        "date": changed,
        "author": [{"display": "fhir-billing"}],
        "description": "How far the billing of this visit is. It is replaced as the bill goes on.",
        "content": [{"attachment": attachment}],
        "context": {"encounter": [{"reference": encounter_of(told)}]},
    }
    return {name: value for name, value in resource.items() if value}


def page(visit: Mapping[str, Any]) -> str:
    """The visit's bill as a page that a person reads."""
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    keys = ("number", "payer", "status", "charge", "paid", "patient", "next")
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(row.get(key, '')))}</td>" for key in keys) + "</tr>"
        for row in visit.get("rows", ())
    )
    served, what = escape(str(visit.get("served_on", ""))), escape(str(visit.get("what", "")))
    changed = escape(str(visit.get("changed", "")))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Billing status</title><style>{STYLE}</style>'
        f"</head><body><h1>Billing status</h1><p>Visit of {served}{f', {what}' if what else ''}. As of {changed}.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "<p>Written by fhir-billing. It says what the billing record says, and is no part of the clinical note.</p>"
        "</body></html>"
    )


RUNG = Rung(
    name="document",
    order=5,
    say="One document of each visit, called Billing status, stands in the chart and is replaced as the bill goes on.",
    needs=(Need(kind="DocumentReference", act="create"), Need(kind="DocumentReference", act="update")),
    write=write,
)
