"""What an app may read is read here: one resource, or those that a search finds; each read is in the audit trail.

Spec: FHIR R4 §3.1.0: read, search by GET and by POST, HEAD.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from fhir_billing.api.fhir.answers import Refused, address, answer, json_wanted, one, wiring_of
from fhir_billing.api.fhir.search import asked, bundle
from fhir_billing.api.fhir.tokens import Access, bearer
from fhir_billing.api.guard import body_of
from fhir_billing.cycle.published import PARAMS, Published
from fhir_billing.fhir.ours import Resource
from fhir_billing.mapping.concept_map import translated
from fhir_billing.wiring import Wiring

router = APIRouter(prefix="/fhir")
MOST_BYTES = 65_536
Asker = Annotated[Access, Depends(bearer)]


@router.api_route("/ConceptMap/{name}/$translate", methods=["GET"])
def translate(request: Request, name: str, access: Asker) -> Response:
    """What a table makes of one code."""
    access.needs("ConceptMap", "r")
    said = request.query_params
    if not set(said) <= {"code", "system", "_format"} or not said.get("code"):
        raise Refused(400, "not-supported", "$translate takes code and system")
    json_wanted(request, said.get("_format", ""))
    wiring = wiring_of(request)
    table = wiring.site.terminology.tables.get(name)
    if table is None:
        raise _nothing()
    audited(wiring, access, "translate", [f"ConceptMap/{name}"])
    return answer(translated(table, said.get("system", ""), said["code"]))


@router.api_route("/{kind}/_search", methods=["POST"])
async def search_by_form(request: Request, kind: str, access: Asker) -> Response:
    """A search whose parameters stand in the body, and so in no address."""
    _known(kind)
    body = await body_of(request, MOST_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Refused(400, "structure", "the form cannot be read") from None
    pairs += list(request.query_params.multi_items())
    return await run_in_threadpool(_searched, request, kind, access, pairs)


@router.api_route("/{kind}", methods=["GET", "HEAD"])
def search(request: Request, kind: str, access: Asker) -> Response:
    """A page of what a search finds."""
    _known(kind)
    return _searched(request, kind, access, list(request.query_params.multi_items()))


@router.api_route("/{kind}/{resource_id}", methods=["GET", "HEAD"])
def read(request: Request, kind: str, resource_id: str, access: Asker) -> Response:
    """One resource."""
    _known(kind)
    access.needs(kind, "r")
    if set(request.query_params) - {"_format", "_pretty"}:
        raise Refused(400, "not-supported", "reading takes no parameter but _format")
    json_wanted(request, request.query_params.get("_format", ""))
    wiring = wiring_of(request)
    with wiring.store.looking() as book:
        published = Published(book, wiring.site, wiring.settings.ehr_url)
        entry = published.entry(kind, resource_id)
        resource = published.resource(entry) if entry else None
    if resource is None:
        raise _nothing()
    audited(wiring, access, "read", [f"{kind}/{resource_id}"])
    return one(request, resource)


def audited(wiring: Wiring, access: Access, what: str, about: Iterable[str], why: str = "") -> None:
    """Who read what, a line each."""
    with wiring.store.begin() as book:
        for one_ in about:
            book.audit(at=wiring.clock.now(), who=f"app:{access.app.name}", what=what, about=one_, why=why)


def _searched(request: Request, kind: str, access: Access, pairs: list[tuple[str, str]]) -> Response:
    access.needs(kind, "s")
    json_wanted(request, dict(pairs).get("_format", ""))
    wiring = wiring_of(request)
    secret, app, chart = wiring.settings.session_secret, access.app.name, wiring.settings.ehr_url
    lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "").lower()
    question = asked(kind, pairs, lenient=lenient, chart=chart, app=app, secret=secret)
    with wiring.store.looking() as book:
        found: Resource = bundle(
            Published(book, wiring.site, chart), question, address=address(request), app=app, secret=secret
        )
    about = [f"{kind}/{entry['resource']['id']}" for entry in found.get("entry", ())]
    audited(wiring, access, "search", about or [kind], why=f"{len(about)} found")
    return answer(found)


def _known(kind: str) -> None:
    if kind not in PARAMS:
        raise Refused(404, "not-supported", f"here are {', '.join(PARAMS)}")


def _nothing() -> Refused:
    return Refused(404, "not-found", "there is nothing of that id")
