"""A clinician finds a visit's level by its minutes or by how hard the decisions were, and sees how it was found.

The site's own table decides; where there is none, the page says so. Saving tells whoever bills: it changes no code by itself,
and nothing is chosen beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.domain.errors import NotAMove, NotThere
from fhir_billing.domain.question import SOMETHING_ELSE
from fhir_billing.domain.visit_level import Level, VisitLevels, by_decision, by_time
from smart_app.clinician.at_hand import at_hand, visit_of
from smart_app.clinician.finder import patient_of
from smart_app.clinician.this_visit import framed
from smart_app.face import Face
from smart_app.launch.session import Here, Launched, Said, name_of, seen

LONGEST: Final = 24 * 60
TIME, DECISION = "time", "decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The worksheet as it was filled in."""

    kind: str = ""
    by: str = ""
    minutes: str = ""
    chosen: Mapping[str, int]

    @staticmethod
    def sent(form: Mapping[str, object], table: VisitLevels) -> Filled:
        """As the page sent it; what the table does not have is left out."""
        chosen: dict[str, int] = {}
        for element in table.elements:
            said = str(form.get(f"e-{element.key}", ""))
            if said.isascii() and said.isdigit() and int(said[:3]) < len(element.grades):
                chosen[element.key] = int(said[:3])
        by, kind = str(form.get("by", "")), str(form.get("kind", ""))
        return Filled(
            kind=kind if table.kind(kind) else "",
            by=by if by in {TIME, DECISION} else "",
            minutes=str(form.get("minutes", "")).strip()[:6],
            chosen=chosen,
        )


def found(table: VisitLevels, filled: Filled) -> tuple[Level | None, list[str]]:
    """The level, or what is missing to find it."""
    kind = table.kind(filled.kind)
    missing = [] if kind else ["Say whether the patient is new or known."]
    if filled.by == TIME:
        if not (filled.minutes.isascii() and filled.minutes.isdigit() and 0 < int(filled.minutes) <= LONGEST):
            missing.append("Say how many minutes, as a whole number.")
        if not missing and kind:
            return by_time(table, kind, int(filled.minutes)), []
    elif filled.by == DECISION:
        if len(filled.chosen) < table.needed:
            missing.append(f"Answer {table.needed} of the {len(table.elements)}, or all.")
        if not missing and kind:
            return by_decision(table, kind, filled.chosen), []
    else:
        missing.append("Say whether by time or by decisions.")
    return None, missing


def routes(face: Face) -> APIRouter:
    """The worksheet."""
    router = APIRouter()

    @router.get("/v/{handle}/level")
    def worksheet(request: Request, here: Here) -> Response:
        return _page(face, request, here, None)

    @router.post("/v/{handle}/level")
    def find(request: Request, here: Here, form: Said) -> Response:
        return _page(face, request, here, Filled.sent(form, _table(face)))

    @router.post("/v/{handle}/level/tell")
    def tell(request: Request, here: Here, form: Said) -> Response:
        table, encounter = _table(face), visit_of(request, here)
        filled = Filled.sent(form, table)
        level, _ = found(table, filled)
        if level is None or not level.code:
            return _page(face, request, here, filled)
        if not encounter:
            raise NotAMove("No visit is open", fix="choose the visit first")
        visit = at_hand(face, request, here, encounter)
        if not visit.patient:
            raise NotAMove(visit.say or "This visit cannot be read", fix="open it again from the chart")
        if not visit.stays:
            raise NotAMove("The bill has left, so this can no longer be told here", fix="tell billing")
        face.acts.act(
            "clinician-answer",
            {
                "encounter": encounter,
                "patient": visit.patient,
                "answer": {
                    **answer(here, encounter, table, filled, level),
                    "at": face.settings.now().isoformat(),
                },
            },
            name_of(here),
            str(form.get("key", "")),
        )
        seen(request, here, "found a visit's level", encounter)
        return RedirectResponse(f"/v/{here.handle}/visit", status_code=303)

    return router


def answer(here: Launched, encounter: str, table: VisitLevels, filled: Filled, level: Level) -> dict[str, str]:
    """What was found, as an answer of kind `level`: read by whoever bills, and laid over no chart."""
    return {
        "question": f"level:{encounter}",
        "kind": "level",
        "encounter": encounter,
        "choice": SOMETHING_ELSE,
        "label": "By time" if filled.by == TIME else "By decisions",
        "code": level.code,
        "text": summed_up(table, filled)[:200],
        "about": encounter,
        "ask": "Which level was this visit?",
        "who": here.who,
        "practitioner": here.practitioner,
    }


def summed_up(table: VisitLevels, filled: Filled) -> str:
    """What was filled in, in one line for whoever bills."""
    kind = table.kind(filled.kind)
    who = kind.word if kind else ""
    if filled.by == TIME:
        return f"{who}, {filled.minutes} minutes"
    grades = (f"{e.key} {table.grades[filled.chosen[e.key]].lower()}" for e in table.elements if e.key in filled.chosen)
    return f"{who}: {', '.join(grades)}"


def _table(face: Face) -> VisitLevels:
    table = face.settings.codes.site.visit_levels if face.settings.codes else None
    if table is None:
        raise NotThere("This site has no table of visit levels", fix="lay visit-levels.yaml into the site's folder")
    return table


def _page(face: Face, request: Request, here: Launched, filled: Filled | None) -> Response:
    codes = face.settings.codes
    table = codes.site.visit_levels if codes else None
    level, missing = found(table, filled) if table and filled else (None, [])
    words = codes.site.charge_words.get(level.code, ()) if codes and level else ()
    return framed(
        face,
        request,
        here,
        "clinician/level.html",
        status=422 if missing else 200,
        at="level",
        **patient_of(face, request, here),
        table=table,
        filled=filled or Filled(chosen={}),
        level=level,
        called=words[0] if words else "",
        missing=missing,
        encounter=visit_of(request, here),
    )
