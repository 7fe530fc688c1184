"""What the clinician's pages read, asked of the tables in transactions that only look."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from fhir_billing.cycle.asked_text import answer_in, question_in
from fhir_billing.cycle.clinician import AskedQuestion
from fhir_billing.cycle.records import AskedRecord, Kind
from fhir_billing.cycle.views import VisitPage
from fhir_billing.domain.question import Answer
from fhir_billing.fhir.text import loads
from fhir_billing.store import inbox as box
from fhir_billing.store.rows import as_record, columns
from fhir_billing.store.store import SqlStore
from fhir_billing.store.tables import asked, biography, claim, visit

MOST = 200
"""Questions and visits that one page shows."""


class ClinicianReads(ABC):
    """Implements `cycle.clinician.ClinicianViews`; whoever has the store inherits it."""

    _store: SqlStore

    @abstractmethod
    def visit(self, encounter: str) -> VisitPage | None:
        """A visit and its claims."""

    def answers(self, encounter: str) -> list[Answer]:
        """What was said of a visit, oldest first; one taken back is among them."""
        with self._store.reading() as connection:
            found = _records(connection, _all().where(asked.c.encounter == encounter).order_by(asked.c.message))
        return [answer for record in found if (answer := answer_in(record)) is not None]

    def asked(self, *, encounter: str = "", practitioner: str = "", patient: str = "") -> list[AskedQuestion]:
        """Newest first. With a practitioner: theirs, and what names nobody."""
        which = _all()
        if encounter:
            which = which.where(asked.c.encounter == encounter)
        if patient:
            which = which.where(asked.c.patient == patient)
        if practitioner:
            own = asked.c.asked_of == practitioner
            which = which.where(or_(own, asked.c.asked_of == "") if encounter or patient else own)
        return self._asked(which)

    def asked_on(self, claim_number: str) -> list[AskedQuestion]:
        """What was asked and answered about a claim and its visit."""
        visits = select(claim.c.encounter).where(claim.c.number == claim_number, claim.c.encounter != "")
        return self._asked(_all().where(or_(asked.c.claim == claim_number, asked.c.encounter.in_(visits))))

    def _asked(self, which: Select[Any]) -> list[AskedQuestion]:
        with self._store.reading() as connection:
            found = _records(connection, which.order_by(asked.c.message.desc(), asked.c.key).limit(MOST))
        made = []
        for record in found:
            answer = answer_in(record)
            given = answer if answer and answer.choice else None
            if (
                record.question or given
            ):  # what the bill asked and nobody answers any more, the bill asks again by itself
                made.append(AskedQuestion(question=question_in(record), answer=given))
        return made

    def bills(self, patient: str) -> list[VisitPage]:
        """The patient's visits, newest first."""
        if not patient:
            return []
        with self._store.reading() as connection:
            newest = select(visit.c.encounter).where(visit.c.patient == patient)
            found = connection.execute(newest.order_by(visit.c.served_on.desc(), visit.c.number.desc()).limit(MOST))
            encounters = list(found.scalars())
        return [page for encounter in encounters if (page := self.visit(encounter)) is not None]

    def news(self, *keys: str) -> str:
        """Changes when anything of these visits, claims, patients or practitioners changed; a few indexed questions."""
        wanted = [key for key in dict.fromkeys(keys) if key]
        if not wanted:
            return ""
        mine = or_(claim.c.number.in_(wanted), claim.c.encounter.in_(wanted), claim.c.patient.in_(wanted))
        numbers = select(claim.c.number).where(mine)
        here = or_(
            asked.c.encounter.in_(wanted), asked.c.patient.in_(wanted), asked.c.asked_of.in_(wanted),
            asked.c.claim.in_(wanted), asked.c.encounter.in_(select(claim.c.encounter).where(claim.c.number.in_(wanted))),
        )  # fmt: skip
        seen = or_(visit.c.encounter.in_(wanted), visit.c.patient.in_(wanted))
        with self._store.reading() as connection:
            facts = [
                connection.execute(select(func.max(biography.c.id)).where(biography.c.claim.in_(numbers))).scalar(),
                [tuple(row) for row in connection.execute(
                    select(claim.c.number, claim.c.version).where(mine).order_by(claim.c.number)
                )],
                [tuple(row) for row in connection.execute(
                    select(asked.c.key, asked.c.message, asked.c.charted).where(here).order_by(asked.c.key)
                )],
                [tuple(row) for row in connection.execute(
                    select(visit.c.encounter, visit.c.outcome, visit.c.message).where(seen).order_by(visit.c.encounter)
                )],
            ]  # fmt: skip
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def stored_visit(self, encounter: str) -> list[dict[str, Any]] | None:
        """The resources of the visit as last read."""
        with self._store.reading() as connection:
            number = connection.execute(select(visit.c.message).where(visit.c.encounter == encounter)).scalar()
            message = box.by_id(connection, self._store._bodies, number) if number else None  # noqa: SLF001 - the same room
        if message is None or message.kind is not Kind.VISIT:
            return None
        return [r for r in loads(message.body).get("resources", []) if isinstance(r, dict)]


def _all() -> Select[Any]:
    return select(*columns(asked, AskedRecord))


def _records(connection: Connection, which: Select[Any]) -> list[AskedRecord]:
    return [as_record(AskedRecord, row) for row in connection.execute(which)]
