"""What our FHIR API can do is said by the same table that it is made of.

Spec: FHIR R4 CapabilityStatement; SMART App Launch 2.2 conformance (oauth-uris, .well-known/smart-configuration).
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_billing import __version__
from fhir_billing.api.fhir.answers import address, answer, json_wanted, wiring_of
from fhir_billing.api.fhir.search import searched
from fhir_billing.api.fhir.tokens import ALGORITHMS, token_url
from fhir_billing.apps import TYPES
from fhir_billing.cycle.published import PARAMS
from fhir_billing.fhir.r4 import VERSION
from fhir_billing.fhir.topic import TOPIC

router = APIRouter(prefix="/fhir")
SINCE: Final = "2026-11-24"
KINDS: Final = {
    "_id": "token", "_lastUpdated": "date", "identifier": "token", "patient": "reference", "encounter": "reference",
    "request": "reference", "claim": "reference", "focus": "reference", "status": "token", "business-status": "token",
    "created": "date", "url": "uri",
}  # fmt: skip
OAUTH: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
BULK: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
OPERATIONS: Final = {
    "ConceptMap": [("translate", "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate")],
    "Subscription": [
        ("status", f"{BACKPORT}/OperationDefinition/backport-subscription-status"),
        ("events", f"{BACKPORT}/OperationDefinition/backport-subscription-events"),
    ],
}


@router.api_route("/metadata", methods=["GET", "HEAD"])
def metadata(request: Request) -> Response:
    """What can be done here; it needs no token."""
    json_wanted(request, request.query_params.get("_format", ""))
    return answer(statement(address(request), token_url(wiring_of(request))))


@router.get("/.well-known/smart-configuration")
def smart(request: Request) -> Response:
    """How a token is had; it needs no token."""
    wiring = wiring_of(request)
    found = {
        "token_endpoint": token_url(wiring),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": [f"system/{kind}.rs" for kind in PARAMS] + ["system/Subscription.cruds"],
        "capabilities": [
            "client-confidential-asymmetric",
            "client-confidential-symmetric",
            "permission-v1",
            "permission-v2",
        ],
    }
    return JSONResponse(found)


def statement(base: str, token: str) -> dict[str, Any]:
    """The CapabilityStatement."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": SINCE,
        "kind": "instance",
        "software": {"name": "fhir-billing", "version": __version__},
        "implementation": {"description": "Claims, and what became of them", "url": base},
        "fhirVersion": VERSION,
        "format": ["json", "application/fhir+json"],
        "instantiates": [f"{BACKPORT}/CapabilityStatement/backport-subscription-server-r4"],
        "rest": [
            {
                "mode": "server",
                "security": _security(token),
                "resource": [_resource(kind) for kind in TYPES],
                "operation": [
                    {"name": "export", "definition": f"{BULK}/export"},
                    {"name": "patient-export", "definition": f"{BULK}/patient-export"},
                ],
            }
        ],
    }


def _security(token: str) -> dict[str, Any]:
    return {
        "extension": [{"url": OAUTH, "extension": [{"url": "token", "valueUri": token}]}],
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }
                ]
            }
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    if kind == "Subscription":
        own: dict[str, Any] = {
            "interaction": [{"code": code} for code in ("read", "create", "update", "delete", "search-type")],
            "extension": [
                {
                    "url": f"{BACKPORT}/StructureDefinition/capability-subscriptiontopic-canonical",
                    "valueCanonical": TOPIC,
                }
            ],
            "supportedProfile": [f"{BACKPORT}/StructureDefinition/backport-subscription"],
        }
    else:
        own = {
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": name, "type": KINDS[name]} for name in searched(kind)],
        }
    operations = [{"name": name, "definition": definition} for name, definition in OPERATIONS.get(kind, [])]
    return {"type": kind, "versioning": "versioned", **own, **({"operation": operations} if operations else {})}
