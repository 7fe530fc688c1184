"""A question to a clinician is neutral: what the chart lacks, answers of equal weight from the chart's own evidence, and two ways out.

Nothing is preselected and no money stands beside it: whoever answers says what is true, not what pays. An answer is a fact
with a name and a time; it is laid over the chart wherever the bill is drafted, and offered to the chart itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

SOMETHING_ELSE: Final = "something-else"
CANT_SAY: Final = "cant-say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer that the chart itself suggests; all choices of a question weigh the same."""

    key: str
    """Stable within its question, such as a code or a side."""
    label: str
    """In words: Right knee arthritis."""
    code: str = ""
    system: str = ""
    """The code's system (FHIR URI), where the answer is a code."""
    evidence: str = ""
    """Where the chart says so: problem list, since March."""
    resource: str = ""
    """The chart's resource that says so, such as `Condition/123`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that the bill needs and the chart does not say."""

    key: str
    """`kind:what it is about`, such as `reason:ChargeItem/7`; the same question again has the same key."""
    kind: str
    """Its file in `fhir_billing/questions`, or `asked` for what a person asked."""
    encounter: str
    ask: str
    """One neutral sentence: Why was the right knee x-rayed?"""
    why: str = ""
    """One line below: The x-ray has no reason next to it."""
    choices: tuple[Choice, ...] = ()
    blocks: bool = True
    """Whether the bill waits for it."""
    settles: str = ""
    """The key of the finding that an answer settles."""
    about: str = ""
    """The chart's resource in question, such as `Procedure/123`."""
    finder: str = ""
    """What "Something else" searches: `diagnosis`, `charge`, or empty for a few words."""
    entry: str = ""
    """What is typed beside the choice, in words (Authorization number, Minutes); empty: nothing."""
    asked_by: str = ""
    """The person who asked; empty: the bill itself."""
    asked_at: datetime | None = None
    asked_of: str = ""
    """`Practitioner/123`, or empty: whoever treats the patient."""
    claim: str = ""
    """The claim that waits, when one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a clinician said. The last answer to a question counts; `choice` empty takes an answer back."""

    question: str
    kind: str
    encounter: str
    choice: str
    """A choice's key, `something-else` or `cant-say`."""
    label: str = ""
    code: str = ""
    system: str = ""
    text: str = ""
    """What was typed: minutes, a number, a few words."""
    about: str = ""
    resource: str = ""
    """The chart's resource that the choice rests on."""
    ask: str = ""
    """The question as it was asked: an answer is read beside its question."""
    who: str = ""
    practitioner: str = ""
    """`Practitioner/123` of whoever answered."""
    at: datetime | None = None
    charted: str = ""
    """What the EHR said when the answer was offered to the chart: empty (on its way), `written`, or why not."""
