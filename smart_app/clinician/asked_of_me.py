"""What billing and coding asked a clinician stands on one page, answered in place; whoever asked sees it at once."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from smart_app.clinician.at_hand import clinical, open_ones, short, spoken_name, visit_of
from smart_app.clinician.stamps import stamp_of
from smart_app.clinician.this_visit import framed
from smart_app.face import Face
from smart_app.launch.session import Here, Launched, seen


def routes(face: Face) -> APIRouter:
    """My questions."""
    router = APIRouter()

    @router.get("/v/{handle}/questions")
    def questions(request: Request, here: Here, done: str = "") -> Response:
        return shown(face, request, here, done=done)

    return router


def shown(
    face: Face,
    request: Request,
    here: Launched,
    *,
    status: int = 200,
    done: str = "",
    failed: str = "",
    error: str = "",
    kept: str = "",
) -> Response:
    """The page: what is open first, then what was answered. A question about somebody else's visit says whose it is."""
    seen(request, here, "read their questions", here.practitioner or here.patient)
    mark = stamp_of(face, here, visit_of(request, here))
    waiting = open_ones(face, here)
    mine = clinical(face).asked(practitioner=here.practitioner) if here.practitioner else []
    keys = {asked.question.key for asked in mine}
    mine = [*mine, *(a for a in clinical(face).asked(patient=here.patient) if a.question.key not in keys)]
    answered = [asked.answer for asked in mine if asked.answer is not None and asked.answer.choice]
    pages = {a.question.encounter: face.views.visit(a.question.encounter) for a in waiting}
    visits = {encounter: page.visit for encounter, page in pages.items() if page}
    for encounter, visit in visits.items():
        if visit.patient != here.patient:
            seen(request, here, "read a question about another patient", encounter)
    return framed(
        face,
        request,
        here,
        "clinician/questions.html",
        status=status,
        at="questions",
        waiting=waiting,
        visits=visits,
        spoken_name=spoken_name,
        answered=answered[-10:][::-1],
        said=next((a for a in answered if done and short(a.question) == done), None),
        failed=failed,
        error=error,
        kept=kept,
        stamp=mark,
    )
