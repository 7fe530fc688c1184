"""CDS Hooks: an EHR asks, cards come back, and what became of them is kept. Who asks has proved it; who may not gets nothing.

Every call that looks at a chart leaves a line in the audit trail: the EHR, its user, the patient, which cards were shown.
Spec: CDS Hooks 2.0, https://cds-hooks.hl7.org/2.0/ (discovery, service call, feedback, CORS).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from fhir_billing.api import cds_chart
from fhir_billing.api.cds_clients import Caller, Keys, verified
from fhir_billing.api.errors import outcome
from fhir_billing.api.guard import body_of
from fhir_billing.cds import all_hooks
from fhir_billing.cds.card import Card, as_json, card_id
from fhir_billing.cds.feedback import Heard, read_feedback
from fhir_billing.cds.hook import Call, Hook, Known
from fhir_billing.cds.request import Request as Asked
from fhir_billing.cds.request import read_request
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import BillingError, MalformedResource, SignInNeeded
from fhir_billing.domain.question import Question
from fhir_billing.doors import Door
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import ringing

router = APIRouter()
MOST_BYTES: Final = 4_000_000
MOST_FEEDBACK: Final = 200_000
PATH: Final = "/cds-services"
JSON: Final = "application/json"
DISCHARGE: Final = "encounter-discharge"


@router.get(PATH)
def discovery(request: Request) -> Response:
    """Which hooks we answer, and what we would like to be sent; open to everybody."""
    return _answer(request, {"services": [hook.as_json() for hook in all_hooks().values()]})


@router.options(PATH)
@router.options(PATH + "/{name}")
@router.options(PATH + "/{name}/feedback")
def preflight(request: Request) -> Response:
    """A browser asks whether its page may ask."""
    return _with_cors(request, Response(status_code=204))


@router.post(PATH + "/{name}")
async def called(request: Request, name: str) -> Response:
    """A hook fired: the cards, which may be none."""
    return await _worked(request, name, f"{PATH}/{name}", MOST_BYTES, _cards)


@router.post(PATH + "/{name}/feedback")
async def feedback(request: Request, name: str) -> Response:
    """What became of cards: kept, and nothing else happens."""
    return await _worked(request, name, f"{PATH}/{name}/feedback", MOST_FEEDBACK, _kept)


async def _worked(request: Request, name: str, path: str, most: int, work: Any) -> Response:
    """Who asks is known before what is asked is read, and what is read is checked before it is worked."""
    wiring: Wiring = request.app.state.wiring
    hook = all_hooks().get(name)
    if hook is None:
        return _wrong(request, 404, "not-there", "there is no such service; GET /cds-services lists them")
    try:
        caller = await asyncio.to_thread(_caller, request, wiring, {path, f"{PATH}/{name}"})
        body = await body_of(request, most)
        return _answer(request, await asyncio.to_thread(work, wiring, hook, caller, body))
    except SignInNeeded as error:
        answer = _wrong(request, 401, error.code, str(error))
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    except MalformedResource as error:
        return _wrong(request, 400, error.code, str(error))
    except BillingError as error:
        status, _ = outcome(error)
        return _wrong(request, status, error.code, error.say)
    except HTTPException as error:
        return _wrong(request, error.status_code, "too-large", f"a call holds {most} bytes at most")


def _caller(request: Request, wiring: Wiring, paths: Iterable[str]) -> Caller:
    if not any(door.cds for door in wiring.doors.values()):
        raise SignInNeeded("no EHR is configured to call this", fix="name its keys under cds: in its launch file")
    if not hasattr(request.app.state, "cds_keys"):
        request.app.state.cds_keys = Keys()
    public = wiring.settings.public_url.rstrip("/")
    return verified(
        request.headers.get("authorization", ""),
        wiring.doors.values(),
        request.app.state.cds_keys,
        wiring.vault,
        now=wiring.clock.now(),
        audiences=[public + path for path in paths],
    )


# ---- cards -------------------------------------------------------------------------------------


def _cards(wiring: Wiring, hook: Hook, caller: Caller, body: bytes) -> dict[str, Any]:
    asked = read_request(loads(body), hook)
    known = cds_chart.known(asked, hook, wiring)
    cards = _said(hook, _call(wiring, hook, asked, known))
    _audit(wiring, hook, caller, asked, cards)
    _ring(wiring, hook, asked)
    shown = {
        "label": wiring.site.title or wiring.site.billing.name,
        "launch": wiring.settings.public_url.rstrip("/") + "/launch",
    }
    return {"cards": [as_json(card, instance=asked.instance, hook=hook.id, **shown) for card in cards]}


def _ring(wiring: Wiring, hook: Hook, asked: Asked) -> None:
    """A clinician is about to close a visit of our chart: it is asked for in a while, whatever the cards said."""
    if hook.hook == DISCHARGE and asked.encounter and cds_chart.is_ours(asked, wiring):
        ringing.rang(wiring, Sighting(encounter=f"Encounter/{asked.encounter}"), found_by=ringing.CDS_HOOK)


def _said(hook: Hook, call: Call) -> list[Card]:
    """A chart that breaks our rules gives no card; it never stops the EHR, and never goes unseen."""
    try:
        return hook.answer(call)
    except Exception as fault:
        if isinstance(fault, MalformedResource):
            return []
        log("cds").error("a card could not be made", hook=hook.id, why=type(fault).__name__)
        return []


def _call(wiring: Wiring, hook: Hook, asked: Asked, known: Known) -> Call:
    """What the book knows is added where the call is about our chart."""
    encounter = f"Encounter/{asked.encounter}" if asked.encounter else ""
    ours = cds_chart.is_ours(asked, wiring)
    answers = wiring.views.answers(encounter) if ours and encounter else []
    return Call(
        hook=hook.hook,
        instance=asked.instance,
        user=asked.user,
        patient=f"Patient/{asked.patient}",
        encounter=encounter,
        orders=asked.orders,
        known=known,
        site=wiring.site,
        today=wiring.site.local(wiring.clock.now()),
        answers=tuple(answers),
        asked=tuple(_open(wiring, asked)) if ours else (),
    )


def _open(wiring: Wiring, asked: Asked) -> list[Question]:
    """What billing asked about this patient and this user may answer, unanswered."""
    found = wiring.views.asked(patient=f"Patient/{asked.patient}")
    return [one.question for one in found if one.is_open and one.question.asked_of in {"", asked.user}]


def _audit(wiring: Wiring, hook: Hook, caller: Caller, asked: Asked, cards: Iterable[Card]) -> None:
    shown = ", ".join(f"{card.key.partition(':')[0]} {card_id(asked.instance, hook.id, card.key)}" for card in cards)
    with wiring.store.begin() as book:
        book.audit(
            at=wiring.clock.now(),
            who=f"{caller.iss} {asked.user}",
            what=f"CDS {hook.hook}: read the chart",
            about=f"Patient/{asked.patient}" + (f" Encounter/{asked.encounter}" if asked.encounter else ""),
            why=f"cards: {shown or 'none'}",
        )


# ---- feedback ----------------------------------------------------------------------------------


def _kept(wiring: Wiring, hook: Hook, caller: Caller, body: bytes) -> dict[str, Any]:
    """Each is kept once, as an act that decides nothing: the chart alone says what was written into it."""
    now = wiring.clock.now()
    for one in read_feedback(loads(body)):
        facts = {"act": "card-feedback", "hook": hook.id, "iss": caller.iss, **one.as_facts()}
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]
        _, new = wiring.store.keep(
            Kind.ACT,
            f"cds-{key}",
            json.dumps(facts, ensure_ascii=False).encode(),
            at=now,
            channel="cds",
            who=caller.iss,
        )
        if new:
            _audit_feedback(wiring, hook, caller, one)
    return {}


def _audit_feedback(wiring: Wiring, hook: Hook, caller: Caller, one: Heard) -> None:
    with wiring.store.begin() as book:
        book.audit(
            at=wiring.clock.now(),
            who=caller.iss,
            what=f"CDS {hook.hook}: card {one.outcome}",
            about=f"card {one.card}",
            why=one.reason,
        )


# ---- the wire ----------------------------------------------------------------------------------


def _answer(request: Request, body: Mapping[str, Any], status: int = 200) -> Response:
    return _with_cors(request, Response(dumps(body), status_code=status, media_type=JSON))


def _wrong(request: Request, status: int, code: str, say: str) -> Response:
    return _answer(request, {"error": {"code": code, "say": say}}, status)


def _with_cors(request: Request, answer: Response) -> Response:
    """A page of a known EHR may ask from a browser; no cookie is involved."""
    origin = request.headers.get("origin", "")
    answer.headers["Vary"] = "Origin"
    try:
        allowed = bool(origin) and origin in origins(request.app.state.wiring.doors.values())
    except BillingError:
        allowed = False
    if allowed:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        answer.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Accept"
        answer.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        answer.headers["Access-Control-Max-Age"] = "600"
    return answer


def origins(doors: Iterable[Door]) -> frozenset[str]:
    """Where the pages of known EHRs live: the origin of each `iss`, and whoever may frame us."""
    urls = [url for door in doors for url in (door.iss, *(one.iss for one in door.cds), *door.frame_ancestors)]
    parts = [urlsplit(url) for url in urls if url.startswith(("https://", "http://")) and "*" not in url]
    return frozenset(f"{one.scheme}://{one.netloc.lower()}" for one in parts if one.netloc)
