"""A question and its answer as JSON text: kept with the book, sent to the chart, read by the screens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from fhir_billing.cycle.records import AskedRecord
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.text import dumps, loads

_TEXTS = frozenset(f.name for f in fields(Answer)) - {"at"}


def dump(said: Question | Answer) -> bytes:
    """As JSON; empty fields are left out."""
    return dumps({name: _plain(value) for name, value in asdict(said).items() if value not in ("", None, ())})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def load_answer(text: bytes) -> Answer | None:
    """The answer; None when there is none."""
    return answer_of(loads(text), trusted=True) if text else None


def load_question(text: bytes) -> Question | None:
    """The question as it was asked; None when it was not kept."""
    if not text:
        return None
    said = loads(text)
    at = said.pop("asked_at", None)
    choices = tuple(Choice(**choice) for choice in said.pop("choices", ()))
    blocks = bool(said.pop("blocks", True))
    return Question(
        **{"key": "", "kind": "", "encounter": "", "ask": "", **said},
        choices=choices,
        blocks=blocks,
        asked_at=datetime.fromisoformat(at) if at else None,
    )


def answer_of(said: Any, *, trusted: bool = False) -> Answer:
    """An answer from JSON; raises MalformedResource for what is none. Who answered and when is only taken from what we kept."""
    if not isinstance(said, Mapping):
        raise MalformedResource("this holds no answer", fix="send `answer` as an object")
    texts = {name: said[name] for name in _TEXTS if name in said}
    if wrong := sorted(name for name, value in texts.items() if not isinstance(value, str)):
        raise MalformedResource(f"the answer's {wrong[0]} is not text", fix="send it as text")
    made = Answer(**{"question": "", "kind": "", "encounter": "", "choice": "", **texts})
    if not trusted:
        return replace(made, who="", at=None, charted="")
    at = said.get("at")
    return replace(made, at=datetime.fromisoformat(at) if at else None)


def answer_in(record: AskedRecord) -> Answer | None:
    """A record's answer, with what became of it in the chart."""
    answer = load_answer(record.answer)
    return None if answer is None else replace(answer, charted=record.charted)


def question_in(record: AskedRecord) -> Question:
    """A record's question; of one that the bill itself asked, what its answer tells of it."""
    known = load_question(record.question)
    if known is not None:
        return known
    answer = load_answer(record.answer)
    return Question(
        key=record.key,
        kind=answer.kind if answer else "",
        encounter=record.encounter,
        ask=answer.ask if answer else "",
        about=answer.about if answer else "",
        claim=record.claim,
    )
