"""An answer is one tap: checked against the question as it stands, kept as an act, worked at once.

What the form may say is only which of the question's own answers it is; words and codes come from the question, so that a
changed form writes nothing into a chart. "Something else" is the exception: it carries a code or a few words.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from fhir_billing.domain.errors import BillingError, MalformedResource, NotAMove, NotThere
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Question
from fhir_billing.questions import LONGEST_WORDS, kinds, wrong
from smart_app.clinician import asked_of_me
from smart_app.clinician.at_hand import AtHand, at_hand, open_ones, short, visit_of
from smart_app.clinician.finder import day_of
from smart_app.clinician.this_visit import ring, shown
from smart_app.face import Face
from smart_app.launch.session import Here, Launched, Said, name_of, seen

MOST_WORDS: Final = LONGEST_WORDS
CODE: Final = re.compile(r"[A-Z0-9][A-Z0-9.]{1,8}(?:-[A-Z0-9]{2}){0,4}")
SYSTEMS: Final = {
    "diagnosis": "http://hl7.org/fhir/sid/icd-10-cm",
    "charge": "http://www.ama-assn.org/go/cpt",
}
"""Which code system the finder of a question speaks of."""


def routes(face: Face) -> APIRouter:
    """One answer."""
    router = APIRouter()

    @router.post("/v/{handle}/answer")
    def answer(request: Request, here: Here, form: Said) -> Response:
        encounter = visit_of(request, here)
        found = at_hand(face, request, here, encounter) if encounter else AtHand()
        key, back = str(form.get("question", "")), str(form.get("back", ""))
        question = _question(face, here, found, key)
        at_questions = back == "questions" or question.encounter != encounter
        try:
            given = answer_of(face, question, found, form, here, day_of(face, request, here))
            given["at"] = face.settings.now().isoformat()
            facts = {"encounter": question.encounter, "patient": found.patient, "answer": given}
            face.acts.act("clinician-answer", facts, name_of(here), str(form.get("key", "")))
        except BillingError as error:
            kept = str(form.get("words") or form.get("text") or "")[:MOST_WORDS]
            if at_questions:
                return asked_of_me.shown(face, request, here, status=422, failed=key, error=str(error), kept=kept)
            return shown(face, request, here, found, status=422, failed=key, error=str(error), kept=kept)
        seen(request, here, "took an answer back" if not given["choice"] else "answered a question", question.encounter)
        if not at_questions:
            ring(face, here, found)
        place = "questions" if at_questions else "visit"
        return RedirectResponse(f"/v/{here.handle}/{place}?done={short(key)}#said", status_code=303)

    return router


def _question(face: Face, here: Launched, found: AtHand, key: str) -> Question:
    """The question of a form: one of this visit, or one that a person asked this practitioner. Raises NotThere."""
    asked: list[Question] = [a.question for a in open_ones(face, here)]
    given = [_of(answer) for answer in found.answered]
    for question in (*found.questions, *asked, *given):
        if question.key == key:
            return question
    raise NotThere("This question is not asked any more", fix="look at the visit again")


def _of(answer: Answer) -> Question:
    """The question behind an answer that was given: it can only be taken back."""
    return Question(
        key=answer.question, kind=answer.kind, encounter=answer.encounter, ask=answer.ask, about=answer.about
    )


def answer_of(
    face: Face, question: Question, found: AtHand, form: FormData, here: Launched, on: date
) -> dict[str, Any]:
    """What the message needs of an answer. Raises BillingError for what cannot be one; nothing is kept then."""
    choice = str(form.get("choice", ""))
    words = form.get("words") or form.get("text") if choice == SOMETHING_ELSE else form.get("text")
    text = " ".join(str(words or "").split())
    if len(text) > MOST_WORDS:
        raise MalformedResource(f"This is longer than {MOST_WORDS} characters", fix="say it in fewer words")
    billed = question.encounter == found.encounter and not found.stays
    if billed and not (question.kind == "asked" or question.asked_by):
        raise NotAMove("The bill has left, so this can no longer be changed here", fix="tell billing")
    chosen = next((c for c in question.choices if c.key == choice), None)
    if choice and any(a.question == question.key for a in found.answered):
        raise NotAMove("This was answered already", fix="look at the answer, and use Change to give another")
    if chosen is None and choice not in {SOMETHING_ELSE, CANT_SAY, ""}:
        raise MalformedResource("This is not one of the answers", fix="choose one of those that stand here")
    if not choice and not any(a.question == question.key for a in found.answered):
        raise NotAMove("This question has no answer to take back", fix="look at the visit again")
    answer: dict[str, Any] = {
        **asdict(Answer(question=question.key, kind=question.kind, encounter=question.encounter, choice=choice)),
        "about": question.about,
        "ask": question.ask,
        "who": here.who,
        "practitioner": here.practitioner,
    }
    if chosen is not None:
        kind = kinds().get(question.kind)
        typed = kind is not None and choice in kind.entry
        if typed and not text:
            raise MalformedResource(
                f"{question.entry or 'What belongs to it'} is missing", fix="write it, then choose again"
            )
        answer |= {
            "label": chosen.label,
            "code": chosen.code,
            "system": chosen.system,
            "resource": chosen.resource,
            "text": text if typed else "",
        }
    elif choice == SOMETHING_ELSE:
        answer |= _something_else(face, question, form, text, on)
    if said := wrong(Answer(**answer)):
        raise MalformedResource(said[:1].upper() + said[1:], fix="choose again")
    return answer


def _something_else(face: Face, question: Question, form: FormData, text: str, on: date) -> dict[str, Any]:
    code = str(form.get("code", "")).strip().upper()
    if question.finder and code:
        if not CODE.fullmatch(code):
            raise MalformedResource("This is not a code", fix="choose one from the list")
        codes = face.settings.codes
        if codes is None or codes.table(question.finder) is None:
            return {"label": code, "code": code, "system": SYSTEMS.get(question.finder, ""), "text": text}
        hit = codes.one(question.finder, code, on)
        if hit is None:
            raise MalformedResource(f"{code} may not be used on this day", fix="choose one from the list")
        title = hit.title[:MOST_WORDS]
        return {"label": title, "code": code, "system": codes.system(question.finder, hit.code), "text": text}
    if not text:
        raise MalformedResource("Nothing is written yet", fix="say it in a few words, or choose an answer")
    return {"label": text, "text": text}
