"""A clinician's answer reaches the bill in the same turn, and the chart as soon as the EHR takes it.

An answer is kept under its question; the last one counts, and an empty one takes it back. A visit that is still open keeps
its answers until it closes. What has left is never changed: a late answer is kept, and told where a biller reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_billing.cycle import intake
from fhir_billing.cycle.asked_text import answer_of, dump, load_answer, load_question
from fhir_billing.cycle.records import AskedRecord, ClaimRecord, Outcome
from fhir_billing.cycle.turn import Result, Turn, facts
from fhir_billing.domain.errors import ClaimNotFound, MalformedResource, NotAMove
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Choice, Question
from fhir_billing.fhir.text import dumps
from fhir_billing.questions import ASKED, decides, wrong

Said = Mapping[str, Any]
MOST_CHOICES = 6
LONGEST_QUESTION = 300
LONGEST_CHOICE = 120


def answered(turn: Turn, said: Said) -> str:
    """`encounter`, `answer` {question, kind, about, choice, code, system, label, text, ask …}: a clinician has answered."""
    answer = answer_of(said.get("answer"))
    answer = replace(answer, encounter=answer.encounter or str(said.get("encounter", "")))
    if (why := wrong(answer)) or str(said.get("encounter", answer.encounter)) != answer.encounter:
        raise MalformedResource(why or "the answer is about another visit", fix="open the page again and answer there")
    known = next(iter(turn.book.asked(key=answer.question)), None)
    _fits(answer, known)
    before = load_answer(known.answer) if known else None
    answer = replace(answer, who=turn.who, at=turn.at)
    claims = turn.book.claims(encounter=answer.encounter)
    late = [c for c in claims if c.state not in intake.STILL_OURS and c.state is not State.VOIDED]
    if not answer.choice:
        if before is None or not before.choice:
            return f"{answer.question}: nothing to take back"
        if late:
            raise NotAMove("the bill has left with this answer", fix="ask the billing office to correct it")
        answer = replace(before, choice="", who=turn.who, at=turn.at)
    _keep(turn, said, answer, known)
    turn.book.audit(at=turn.at, who=turn.who, what="answer", about=answer.encounter, why=answer.question)
    _tell(turn, answer, claims, late=bool(late))
    if answer.kind != ASKED:
        intake.redraft(turn, answer.encounter)
        _offer(turn, answer, before)
    return f"{answer.question}: {answer.choice or 'taken back'}"


def _fits(answer: Answer, known: AskedRecord | None) -> None:
    """A question belongs to one visit; what a person asked must have been asked, and with these choices."""
    if known is not None and known.encounter != answer.encounter:
        raise NotAMove("this question is about another visit", fix="open the page again and answer there")
    if answer.kind != ASKED:
        return
    question = load_question(known.question) if known else None
    if question is None:
        raise MalformedResource("nobody has asked this", fix="open the page again")
    ways = {"", CANT_SAY, SOMETHING_ELSE, *(choice.key for choice in question.choices)}
    if answer.choice not in ways:
        raise MalformedResource("that is none of the choices", fix="open the page again")
    if answer.choice == SOMETHING_ELSE and not answer.text.strip():
        raise MalformedResource("something else needs a few words", fix="say it in a few words")


def _keep(turn: Turn, said: Said, answer: Answer, known: AskedRecord | None) -> None:
    visit = turn.book.visit(answer.encounter)
    patient = visit.patient if visit else str(said.get("patient", ""))[:80]
    record = known or AskedRecord(key=answer.question, encounter=answer.encounter, patient=patient)
    given = bool(answer.choice)
    turn.book.save_asked(
        replace(
            record,
            patient=record.patient or patient,
            answer=dump(answer),
            answered_at=turn.at if given else None,
            answered_by=turn.who if given else "",
            charted="",
            message=turn.message.id,
        )
    )


def _tell(turn: Turn, answer: Answer, claims: list[ClaimRecord], *, late: bool) -> None:
    ask = answer.ask or answer.kind
    what = f"Answered “{ask}”: {spoken(answer)}" if answer.choice else f"Took back the answer to “{ask}”"
    if late and answer.kind != ASKED:
        what += ". This claim had left before; nothing changes here"
    for claim in claims:
        turn.tell(claim.number, "person", what)


def spoken(answer: Answer) -> str:
    """An answer in words."""
    if answer.choice == CANT_SAY:
        return "can't say"
    words = answer.label or ("" if answer.choice == SOMETHING_ELSE else answer.choice)
    parts = [words, f"({answer.code})" if answer.code else "", answer.text]
    return " ".join(dict.fromkeys(part for part in parts if part))


def _offer(turn: Turn, answer: Answer, before: Answer | None) -> None:
    """Queue it for the chart, unless there is nothing that a chart could hold."""
    if not decides(answer) and (before is None or not decides(before)):
        return
    turn.book.queue(
        kind="answer",
        key=f"answer:{answer.question}:{turn.message.key}",
        destination="ehr",
        body=dumps({"answer": answer.question, "encounter": answer.encounter}),
        at=turn.at,
    )


def charted(turn: Turn) -> Result:
    """What the EHR said when an answer was offered to the chart (receipt)."""
    said = facts(turn.message)
    key = str(said.get("answer", ""))
    for record in turn.book.asked(key=key):
        turn.book.save_asked(replace(record, charted=str(said.get("charted", ""))[:200]))
    return Result(outcome=Outcome.DONE, say=f"{key}: {said.get('charted', '')}")


def asked(turn: Turn, said: Said) -> str:
    """`claim` or `encounter`, `ask`, `choices` (none to six), `asked_of`: a coder or biller asks a clinician."""
    claim = turn.book.claim(str(said.get("claim", "")))
    if claim is None and said.get("claim"):
        raise ClaimNotFound(f"there is no claim {str(said['claim'])[:24]}", fix="look the number up with find")
    encounter = claim.encounter if claim else str(said.get("encounter", ""))
    visit = turn.book.visit(encounter)
    if claim is None and visit is None:
        raise ClaimNotFound("there is no such visit", fix="ask from the claim's or the visit's page")
    key = f"{ASKED}:{hashlib.sha256(turn.message.key.encode()).hexdigest()[:24]}"
    asked_of = str(said.get("asked_of", ""))
    question = Question(
        key=key,
        kind=ASKED,
        encounter=encounter,
        ask=_words(said.get("ask"), LONGEST_QUESTION, "the question"),
        choices=_choices(said.get("choices")),
        blocks=bool(claim and claim.state is State.HELD),
        asked_by=turn.who,
        asked_at=turn.at,
        asked_of=asked_of,
        claim=claim.number if claim else "",
    )
    probe = Answer(question=key, kind=ASKED, encounter=encounter, choice="", practitioner=asked_of)
    if why := wrong(probe):
        raise MalformedResource(why, fix="ask a practitioner of the chart, or nobody by name")
    turn.book.save_asked(
        AskedRecord(
            key=key,
            encounter=encounter,
            patient=claim.patient if claim else visit.patient if visit else "",
            asked_of=asked_of,
            claim=question.claim,
            asked_by=turn.who,
            asked_at=turn.at,
            question=dump(question),
            message=turn.message.id,
        )
    )
    if claim:
        turn.tell(claim.number, "person", f"Asked the clinician: {question.ask}")
    return f"asked: {key}"


def _choices(said: Any) -> tuple[Choice, ...]:
    found = said if isinstance(said, list) else []
    words = [_words(one, LONGEST_CHOICE, "a choice") for one in found]
    if len(words) > MOST_CHOICES or len(set(words)) < len(words):
        raise MalformedResource(
            f"there are more than {MOST_CHOICES} choices, or one twice", fix="keep them few and different"
        )
    return tuple(Choice(key=f"choice-{number}", label=label) for number, label in enumerate(words, 1))


def _words(said: Any, most: int, what: str) -> str:
    text = said.strip() if isinstance(said, str) else ""
    if not text or len(text) > most or not text.isprintable():
        raise MalformedResource(
            f"{what} is empty, longer than {most} signs, or holds control characters", fix="write one line"
        )
    return text
