"""What the clinician's pages read: what was asked and answered, a patient's bills, and whether anything is new.

Frozen, like every read model. `news` is a stamp: it says that something changed, never what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fhir_billing.cycle.views import VisitPage
from fhir_billing.domain.question import Answer, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A question that was put, and its answer when there is one. One that the bill asked by itself is here once it was answered."""

    question: Question
    answer: Answer | None = None

    @property
    def is_open(self) -> bool:
        """Nobody has answered yet."""
        return self.answer is None


class ClinicianViews(Protocol):
    """What the store answers to the clinician's pages."""

    def answers(self, encounter: str) -> list[Answer]:
        """What was said of a visit, oldest first. One taken back (`choice` empty) is among them: the chart may hold it still."""
        ...

    def asked(self, *, encounter: str = "", practitioner: str = "", patient: str = "") -> list[AskedQuestion]:
        """What people asked and what was answered, newest first. A practitioner's own, and those that name nobody of that patient or visit."""
        ...

    def asked_on(self, claim: str) -> list[AskedQuestion]:
        """What was asked and answered about a claim and its visit, newest first."""
        ...

    def bills(self, patient: str) -> list[VisitPage]:
        """The patient's visits, newest first."""
        ...

    def news(self, *keys: str) -> str:
        """Changes when anything of these visits, claims, patients or practitioners changed."""
        ...

    def stored_visit(self, encounter: str) -> list[dict[str, Any]] | None:
        """The resources of the visit as last read; None when it was never read."""
        ...
