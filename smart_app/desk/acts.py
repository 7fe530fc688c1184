"""What may be done to a claim follows from its state: an act that the lifecycle forbids has no button.

Each act is a small form whose words say what will happen; its facts are exactly what the message needs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_billing.cycle.views import ClaimPage
from fhir_billing.domain.errors import MalformedResource, OverrideNeedsReason
from fhir_billing.domain.finding import Finding
from fhir_billing.domain.lifecycle import MOVES, Event, State
from fhir_billing.domain.money import NotMoney, cents, spoken
from fhir_billing.fhir.amend import amend
from fhir_billing.x12.missing import missing
from smart_app.words import in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an act's form."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    required: bool = True
    long: bool = False
    money: bool = False
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that a person may do to a claim."""

    kind: str
    label: str
    button: str
    what: str
    fields: tuple[Field, ...]
    css: str = ""


MOST = 100_000_000
REASON = Field(name="reason", label="Why", hint="A few words. They stand in the claim's biography with your name.")

CHANGES = (
    ("member_id", "Member id"),
    ("authorization", "Authorization number"),
    ("diagnoses", "Diagnoses, in billing order"),
    ("patient_zip", "Patient's ZIP code"),
    ("billing_npi", "Billing NPI"),
    ("modifiers.1", "Modifiers of line 1"),
    ("modifiers.2", "Modifiers of line 2"),
    ("modifiers.3", "Modifiers of line 3"),
)

_BY_FINDING = (
    ("zip", "patient_zip"),
    ("member", "member_id"),
    ("subscriber", "member_id"),
    ("diagnos", "diagnoses"),
    ("auth", "authorization"),
    ("npi", "billing_npi"),
    ("modifier", "modifiers.1"),
)


def _can(claim: ClaimPage, event: Event) -> bool:
    return (claim.row.state, event) in MOVES


def guess_change(claim: ClaimPage) -> str:
    """Which element the worst finding speaks of."""
    key = claim.row.finding.key if claim.row.finding else ""
    said = f"{key} {in_words(claim.row.finding.say).lower() if claim.row.finding else ''}"
    return next((change for word, change in _BY_FINDING if word in key), "") or next(
        (change for word, change in _BY_FINDING if word in said), "member_id"
    )


def _correct(claim: ClaimPage) -> Act:
    again = claim.row.state is State.REJECTED
    return Act(
        kind="correct",
        label="Fix and send again" if again else "Fix and check again",
        button="Save and send again" if again else "Save and check again",
        what="The bill is mended and checked again; the chart is not changed. When it is clean it leaves with the next file.",
        fields=(
            Field(
                name="change",
                label="What to mend",
                value=guess_change(claim),
                options=(*CHANGES, ("", "Nothing, only check again")),
            ),
            Field(
                name="value",
                label="New value",
                required=False,
                hint="Diagnoses such as J02.9 I10; modifiers such as 25 RT.",
            ),
        ),
    )


def acts_for(claim: ClaimPage) -> list[Act]:
    """Every act that this claim allows now, the likeliest first."""
    row, sums, acts = claim.row, claim.sums, []
    if _can(claim, Event.CORRECT):
        acts.append(_correct(claim))
    if _can(claim, Event.RELEASE) and not unwritable(claim):
        acts.append(
            Act(
                kind="release",
                label="Release anyway",
                button="Release the claim",
                what=f"{row.number}, {spoken(row.charge)}, leaves with the next file although an edit found something.",
                fields=(REASON,),
            )
        )
    if _can(claim, Event.ANSWER):
        acts.append(
            Act(
                kind="answer",
                label="Answer sent",
                button="Note the answer",
                what="What the payer asked for has been sent. The claim is with the payer again.",
                fields=(REASON,),
            )
        )
    if sums.disputed > 0 and _can(claim, Event.APPEAL):
        acts += _disputes(claim)
    if _can(claim, Event.HOLD):
        acts.append(
            Act(
                kind="hold",
                label="Hold",
                button="Hold the claim",
                what=f"{row.number} stays here until it is released.",
                fields=(REASON,),
            )
        )
    acts.append(_pay(claim))
    if row.state not in {State.VOIDED, State.CLOSED}:
        acts.append(_ask(claim))
    acts.append(
        Act(
            kind="note",
            label="Note",
            button="Save the note",
            what="For the next reader of this claim.",
            fields=(Field(name="text", label="Note", long=True),),
        )
    )
    if _can(claim, Event.WITHDRAW):
        acts.append(
            Act(
                kind="withdraw",
                label="Withdraw",
                button="Withdraw the claim",
                what=f"{row.number} will never be sent. This is the only act that cannot be taken back.",
                fields=(REASON,),
                css="danger",
            )
        )
    return acts


def _ask(claim: ClaimPage) -> Act:
    doctor = (claim.bill.rendering or claim.bill.attending) if claim.bill else None
    name = f"{doctor.given} {doctor.family}".strip() if doctor else ""
    named = ((doctor.ref, name or doctor.ref),) if doctor and doctor.ref.startswith("Practitioner") else ()
    return Act(
        kind="ask",
        label="Ask the clinician",
        button="Ask",
        what="The question stands on the clinician's page at once; the answer appears here by itself. Ask what is true, not what pays.",
        fields=(
            Field(name="ask", label="Question", hint="One neutral sentence, such as: Which knee was injected?"),
            Field(
                name="choices",
                label="Answers to choose from",
                required=False,
                long=True,
                hint="One a line, six at most. “Something else” and “I can't say” are always there.",
            ),
            Field(name="asked_of", label="Of", options=(*named, ("", "Whoever treats the patient"))),
        ),
    )


def _disputes(claim: ClaimPage) -> list[Act]:
    disputed = spoken(claim.sums.disputed)
    acts = [
        Act(
            kind="appeal",
            label="Appeal",
            button="Note the appeal",
            what=f"The payer is asked again about {disputed}. Say what was sent.",
            fields=(
                REASON,
                Field(
                    name="level", label="Level", value="1", options=(("1", "First"), ("2", "Second"), ("3", "External"))
                ),
                Field(
                    name="packet", label="What was sent", required=False, hint="Names, with commas: letter, visit note."
                ),
            ),
        )
    ]
    if claim.row.state is State.DENIED and claim.sums.disputed == claim.row.charge:
        acts.append(
            Act(
                kind="other-coverage",
                label="Found other coverage",
                button="Bill the other plan",
                what=f"{disputed} moves to a new claim to the plan that covered the day. This claim closes.",
                fields=(
                    Field(name="payer", label="Payer id"),
                    Field(name="payer_name", label="Payer's name", required=False),
                    Field(name="member_id", label="Member id", hint="As printed on the card."),
                ),
            )
        )
    acts.append(
        Act(
            kind="give-up",
            label="Give up",
            button=f"Give up {disputed}",
            what=f"{disputed} becomes a loss. The patient is not billed for it.",
            fields=(REASON,),
            css="danger",
        )
    )
    return acts


def _pay(claim: ClaimPage) -> Act:
    owed = claim.sums.patient_owes
    say = (
        f"The patient owes {spoken(owed)} on this visit."
        if owed > 0
        else "The patient owes nothing now; the payment waits as a credit."
    )
    return Act(
        kind="pay",
        label="Patient paid",
        button="Enter the payment",
        what=say,
        fields=payment_fields(f"{owed // 100}.{owed % 100:02d}" if owed > 0 else ""),
    )


def payment_fields(amount: str) -> tuple[Field, ...]:
    """What a payment by hand needs."""
    return (
        Field(name="amount", label="Amount in dollars", value=amount, money=True, hint="Such as 20.00"),
        Field(
            name="how",
            label="How",
            value="card at the desk",
            options=tuple((w, w) for w in ("card at the desk", "cash", "check", "by mail", "bank transfer")),
        ),
    )


def fix_for(claim: ClaimPage) -> Act | None:
    """The one act that answers the worst finding; its button is the only filled one in view."""
    first = next(iter(acts_for(claim)), None)
    return first if first and first.kind in {"correct", "answer", "appeal"} else None


OWN: Mapping[str, tuple[str, ...]] = {
    "release": ("reason",),
    "hold": ("reason",),
    "withdraw": ("reason",),
    "correct": ("change", "value"),
    "pay": ("amount", "how"),
    "give-up": ("reason",),
    "appeal": ("reason", "level", "packet"),
    "answer": ("reason",),
    "other-coverage": ("payer", "payer_name", "member_id"),
    "note": ("text",),
    "ask": ("ask", "choices", "asked_of"),
}
"""Each act's own fields: whatever else a form may hold says nothing. The act and the claim come from the address alone."""


def facts_of(kind: str, claim: ClaimPage, form: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a posted form, as the message wants them. Raises BillingError for what a person mistyped; nothing is kept then."""
    said = {name: str(form[name]).strip() for name in OWN[kind] if name in form}
    facts: dict[str, Any] = dict(said)
    if "reason" in OWN[kind] and not said.get("reason"):
        raise OverrideNeedsReason("This needs a reason", fix="say why in a few words")
    if kind == "note" and not said.get("text"):
        raise MalformedResource("The note is empty", fix="write a few words for the next reader")
    if kind == "correct":
        change, value = facts.pop("change", ""), facts.pop("value", "")
        facts["changes"] = {change: value} if change else {}
        _try(claim, facts["changes"])
    if kind == "other-coverage":
        wanted = {name: said.get(name, "") for name in ("payer", "member_id")}
        if not all(wanted.values()):
            raise MalformedResource("The other plan needs a payer id and a member id", fix="copy both from the card")
        _try(claim, wanted)
    if kind == "ask":
        facts["choices"] = [" ".join(line.split()) for line in said.get("choices", "").splitlines() if line.strip()]
        if not said.get("ask"):
            raise MalformedResource("The question is empty", fix="write one sentence")
    if kind == "appeal":
        facts["packet"] = [p.strip() for p in said.get("packet", "").split(",") if p.strip()]
        facts["level"] = int(said["level"]) if said.get("level") in {"1", "2", "3"} else 1
    if kind == "pay":
        facts["amount"] = amount_of(said.get("amount", ""))
    return {**facts, "claim": claim.row.number}


def _try(claim: ClaimPage, changes: Mapping[str, str]) -> None:
    """Change a copy of the bill: what cannot be done to it is told to the person now, and no message waits for it."""
    for name, value in changes.items():
        if name not in {key for key, _ in CHANGES}:
            raise MalformedResource(f"A claim has nothing called {name[:40]!r} to correct", fix="choose from the list")
        if not value and not name.startswith("modifiers."):
            raise MalformedResource("The new value is empty", fix="write what it should be")
        if name in {"member_id", "payer", "authorization"} and not (value.isascii() and len(value) <= 50):
            raise MalformedResource(
                f"{value[:20]!r} cannot be written in a claim", fix="plain letters and digits, fifty at most"
            )
    if claim.resource.get("insurance"):
        amend(copy.deepcopy(dict(claim.resource)), changes)


def unwritable(claim: ClaimPage) -> list[Finding]:
    """What keeps the claim from being written at all: no release helps while it is so."""
    if not _can(claim, Event.RELEASE) or claim.bill is None:
        return []
    return missing(claim.bill)


def amount_of(text: str) -> str:
    """An amount as a person writes it, ready for the message. Raises MalformedResource; nothing is kept then."""
    plain = text.replace("$", "").replace(",", "").strip()
    try:
        amount = cents(plain if plain.isascii() else "")
    except NotMoney as error:
        raise MalformedResource(
            f"{text[:20]!r} is not an amount", fix="write dollars and cents, such as 20.00"
        ) from error
    if amount <= 0 or amount > MOST:
        raise MalformedResource("The amount must be above zero and below a million dollars", fix="check the amount")
    return plain
