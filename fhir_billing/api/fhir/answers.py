"""What our FHIR API answers is FHIR, also when it refuses; a refusal names what is wrong and never quotes what was sent.

Spec: FHIR R4 §3.1.0 RESTful API: OperationOutcome, `_format`, ETag as W/"version", If-None-Match, HEAD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from fhir_billing.fhir.text import dumps
from fhir_billing.wiring import Wiring

FHIR_JSON: Final = "application/fhir+json"
_TAKEN: Final = frozenset({"json", "application/json", FHIR_JSON, "text/json", "application/fhir json", ""})


class Refused(Exception):
    """A request that is answered with an OperationOutcome."""

    def __init__(self, status: int, code: str, say: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(say)
        self.status, self.code, self.say, self.headers = status, code, say, dict(headers or {})


def refusal(_: Request, error: Exception) -> Response:
    """The answer to a request that is refused."""
    assert isinstance(error, Refused)  # noqa: S101 - the handler is registered for this class
    issue = {"severity": "error", "code": error.code, "diagnostics": error.say}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return Response(dumps(body), status_code=error.status, headers=error.headers, media_type=FHIR_JSON)


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A resource as the answer."""
    return Response(dumps(body), status_code=status, headers=dict(headers or {}), media_type=FHIR_JSON)


def one(request: Request, resource: Mapping[str, Any], *, status: int = 200, location: str = "") -> Response:
    """One resource with its version; nothing but 304 when the caller has this version."""
    meta = resource.get("meta", {})
    tag = f'W/"{meta.get("versionId", "1")}"'
    headers = {"etag": tag, **({"location": location} if location else {})}
    known = [word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")]
    if request.method in {"GET", "HEAD"} and tag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    return answer(resource, status=status, headers=headers)


def json_wanted(request: Request, format_: str) -> None:
    """JSON is all there is. Raises Refused 406 where only something else is wanted."""
    if format_.partition(";")[0].strip().lower() not in _TAKEN:
        raise Refused(406, "not-supported", "only JSON is spoken here; use _format=json")
    accepted = [word.partition(";")[0].strip() for word in request.headers.get("accept", "").lower().split(",")]
    if not format_ and not any(word in {*_TAKEN, "*/*", "application/*"} for word in accepted):
        raise Refused(406, "not-supported", "only application/fhir+json is spoken here")


def wiring_of(request: Request) -> Wiring:
    """The installation (one tenant) that was asked."""
    wiring: Wiring = request.app.state.wiring
    return wiring


def address(request: Request) -> str:
    """Our own FHIR base, as it is configured and never as a header says."""
    return f"{wiring_of(request).settings.public_url.rstrip('/')}/fhir"
