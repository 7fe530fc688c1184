"""A state is a word, a shape and a hue together, so that nobody needs all three to read it.

One table for every face. `rejected` and `denied` differ in icon, hue, list and verb.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_billing.cycle.conformance import Found
from fhir_billing.cycle.views import MessageRow
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import CLINICIAN_WORDS, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Icon, tone and word of a state, and what is true of it in one sentence."""

    icon: str
    tone: str
    word: str
    means: str
    waits_for: str
    """What happens next, when nobody here has to do anything."""


FOUND: Final[dict[Found, tuple[str, str, str]]] = {
    Found.WORKS: ("circle-check", "green", "Works"),
    Found.PARTLY: ("triangle-alert", "amber", "Partly"),
    Found.FORBIDDEN: ("ban", "red", "Forbidden"),
    Found.MISSING: ("circle-x", "orange", "Missing"),
    Found.IGNORED: ("eye-off", "orange", "Ignored"),
    Found.NOT_TRIED: ("circle-dashed", "neutral", "Not tried"),
}
"""What came of trying one thing at the EHR: icon, tone, word."""

S = State
STATES: Final[dict[State, Look]] = {
    S.DRAFTED: Look(
        icon="circle-dashed",
        tone="neutral",
        word="Drafted",
        means="Made from the visit, not checked yet.",
        waits_for="checks itself",
    ),
    S.HELD: Look(
        icon="hand",
        tone="amber",
        word="Held",
        means="Something is missing. The bill stays here until it is mended; the filing window is running.",
        waits_for="somebody mends it",
    ),
    S.READY: Look(
        icon="package-check",
        tone="teal",
        word="Ready",
        means="Clean. It leaves with the next file.",
        waits_for="the next file",
    ),
    S.QUEUED: Look(
        icon="list-end",
        tone="blue",
        word="Queued",
        means="Numbered and stored. It may have left already, so it is never numbered again.",
        waits_for="the channel takes it",
    ),
    S.SENT: Look(
        icon="send",
        tone="blue",
        word="Sent",
        means="The channel took it. The payer has not said anything.",
        waits_for="confirmation",
    ),
    S.RECEIVED: Look(
        icon="inbox", tone="blue", word="Received", means="The gateway could read the file.", waits_for="acceptance"
    ),
    S.REJECTED: Look(
        icon="undo-2",
        tone="orange",
        word="Rejected",
        means="Never read by the payer, so there is nothing to appeal: fix and send again. The filing window is still running.",
        waits_for="fix and send again",
    ),
    S.ACCEPTED: Look(
        icon="clipboard-check",
        tone="blue",
        word="Accepted",
        means="Accepted for a decision. The payer is working on it.",
        waits_for="the payer's decision",
    ),
    S.PENDED: Look(
        icon="hourglass", tone="blue", word="Pended", means="The payer is thinking.", waits_for="the payer's decision"
    ),
    S.QUERIED: Look(
        icon="message-circle-question-mark",
        tone="amber",
        word="Queried",
        means="The payer asked for something. It denies the claim when nobody answers.",
        waits_for="an answer to the payer",
    ),
    S.PAID: Look(
        icon="circle-dollar-sign",
        tone="green",
        word="Paid",
        means="Decided, with nothing in dispute.",
        waits_for="what is still owed",
    ),
    S.DENIED: Look(
        icon="ban",
        tone="red",
        word="Denied",
        means="Decided against us, in whole or in part: correct, appeal, or give up with a reason. The appeal window is running.",
        waits_for="correct, appeal or give up",
    ),
    S.APPEALED: Look(
        icon="scale", tone="violet", word="Appealed", means="The payer was asked again.", waits_for="the payer's answer"
    ),
    S.CLOSED: Look(
        icon="check-check",
        tone="neutral",
        word="Closed",
        means="This payer owes nothing more. A take-back opens it again.",
        waits_for="nothing",
    ),
    S.VOIDED: Look(
        icon="circle-x", tone="neutral", word="Voided", means="Withdrawn. It will never be sent.", waits_for="nothing"
    ),
}

CLINICIAN: Final[dict[str, tuple[str, str]]] = {
    "Being prepared": ("circle-dashed", "neutral"),
    "Needs you": ("hand", "amber"),
    "With the payer": ("send", "blue"),
    "Paid": ("circle-dollar-sign", "green"),
    "Denied": ("ban", "red"),
}


def clinician_word(state: State, owner: str) -> str:
    """One of five words. A held bill that is not the clinician's to mend is `Being prepared`."""
    word = CLINICIAN_WORDS[state]
    return "Being prepared" if word == "Needs you" and owner != "clinician" else word


OWNERS: Final[dict[str, str]] = {
    "clinician": "Clinicians",
    "coder": "Coding",
    "registration": "Front desk",
    "biller": "Billing",
    "site": "Set-up",
    "payer": "Payers",
    "patient": "Patients",
    "system": "By itself",
    "nobody": "Nobody",
}

ACCOUNTS: Final[dict[str, str]] = {
    ledger.RECEIVABLE_PAYER: "Payer owes",
    ledger.RECEIVABLE_DISPUTED: "In dispute",
    ledger.RECEIVABLE_PATIENT: "Patient owes",
    ledger.CLEARING: "Money announced",
    ledger.BANK: "In the bank",
    ledger.CHARGES: "Charges",
    ledger.CAPITATION: "Capitation",
    ledger.CONTRACTUAL: "Write-off (contract)",
    ledger.DENIED: "Given up",
    ledger.OTHER_ADJUSTMENT: "Other adjustments",
    ledger.INTEREST: "Interest and fees",
    ledger.UNAPPLIED: "Paid, not used yet",
    ledger.REFUNDS: "To be given back",
}

REASONS: Final[dict[str, str]] = {
    "1": "Deductible",
    "2": "Share of the cost",
    "3": "Copay",
    "16": "Something is missing",
    "18": "Already sent",
    "22": "Another payer first",
    "23": "What an earlier payer decided",
    "24": "Paid by the head, not by the visit",
    "27": "Coverage had ended",
    "29": "Too late",
    "31": "Patient not known",
    "45": "Above contract price",
    "50": "Not shown necessary",
    "94": "Allowed more than charged",
    "96": "Not covered",
    "97": "Part of another service",
    "109": "Sent to the wrong payer",
    "197": "No authorization on the claim",
    "204": "Not covered by this plan",
    "253": "Federal payment cut",
}
"""Our own words for the reasons that occur most. The published texts are licensed, so the code always stands beside them."""

PATIENT_REASONS: Final[dict[str, tuple[str, str]]] = {
    "1": ("Your deductible", "You pay the first part of each year's care yourself. This visit used this much of it."),
    "2": ("Your share", "Of the agreed price your plan pays a part and you pay the rest."),
    "3": ("Your copay", "A fixed amount for each visit, set by your plan."),
}

STATUS: Final[dict[str, str]] = {
    "21": "something is missing or not valid",
    "33": "the member id is not known",
    "54": "it was sent before",
    "97": "the patient's coverage is not found",
    "116": "it was sent to the wrong payer",
    "126": "the address is not accepted",
    "129": "the tax id is not accepted",
    "145": "the specialty code is not accepted",
    "164": "the member id is not accepted",
    "187": "the date of service is not accepted",
    "255": "a diagnosis code is not accepted",
    "454": "a procedure code is not accepted",
    "500": "the ZIP code is not accepted",
    "562": "the NPI is not known",
}
"""Our own words for what a 277CA most often says; the code always stands beside them."""

WHOM: Final[dict[str, str]] = {
    "85": "the billing provider",
    "82": "the rendering provider",
    "77": "the place of service",
    "IL": "the subscriber",
    "QC": "the patient",
    "PR": "the payer",
}

VISITS: Final[dict[str, str]] = {
    "office": "Office visit",
    "emergency": "Emergency visit",
    "telehealth": "Video visit",
    "video": "Video visit",
    "phone": "Phone visit",
    "inpatient": "Hospital stay",
    "home": "Visit at home",
    "observation": "Observation",
}

_SERVICES: Final = (
    ("36415", "36416", "Blood draw"),
    ("99202", "99215", "Office visit"),
    ("99221", "99239", "Hospital visit"),
    ("99281", "99285", "Emergency visit"),
    ("99381", "99397", "Check-up"),
    ("90460", "90474", "Giving a vaccine"),
    ("90476", "90759", "Vaccine"),
    ("90785", "90899", "Therapy"),
    ("92002", "92499", "Eye care"),
    ("93000", "93799", "Heart test"),
    ("97001", "97799", "Physical therapy"),
    ("00100", "01999", "Anesthesia"),
    ("10004", "69990", "Procedure"),
    ("70010", "79999", "Imaging"),
    ("80047", "89398", "Laboratory test"),
)


_REVENUE: Final = {
    "011": "Room and care",
    "012": "Room and care",
    "020": "Intensive care",
    "025": "Medicines",
    "026": "Infusion",
    "027": "Supplies",
    "030": "Laboratory tests",
    "032": "Imaging",
    "035": "Imaging",
    "036": "Surgery",
    "037": "Anesthesia",
    "045": "Emergency room",
    "051": "Clinic visit",
    "063": "Medicines",
    "071": "Recovery after surgery",
}


def service_words(code: str) -> str:
    """What kind of service a billing code is, in our own words; the published descriptions are licensed.

    >>> service_words("70551"), service_words("J3301"), service_words("0360")
    ('Imaging', 'Drug or supply', 'Surgery')
    """
    if len(code) == 4 and code.isdigit():
        return _REVENUE.get(code[:3], "Hospital charge")
    if code[:1].isalpha():
        return "Drug or supply" if code[:1] in "AEJLQ" else "Service"
    return next((words for first, last, words in _SERVICES if first <= code <= last), "Service" if code else "")


MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "visit": ("stethoscope", "Visit as read from the EHR"),
    "file": ("inbox", "File from a payer"),
    "act": ("user", "What a person did"),
    "timer": ("clock", "A clock that rang"),
    "receipt": ("receipt", "A channel's receipt"),
    "doorbell": ("radio", "The EHR rang"),
}

TOLD: Final[dict[str, tuple[str, str]]] = {
    "file": ("file-text", "blue"),
    "finding": ("triangle-alert", "amber"),
    "move": ("arrow-right", "neutral"),
    "journal": ("banknote", "green"),
    "person": ("user", "violet"),
    "send": ("send", "blue"),
}

REMITTANCES: Final[dict[str, tuple[str, str, str]]] = {
    "posted": ("circle-check", "green", "Posted"),
    "quarantined": ("shield-alert", "red", "Does not add up"),
    "doubted": ("file-diff", "amber", "Two versions"),
}


def message_name(message: MessageRow | None, number: int) -> str:
    """What a link to a message says: a file's own name, or what kind of message it is."""
    if message is None:
        return f"message {number}"
    return (
        message.name if message.kind == "file" and message.name else MESSAGES.get(message.kind, ("", message.kind))[1]
    )


FINDERS: Final[dict[str, str]] = {
    "hook": "The EHR rang",
    "topic": "A topic rang",
    "websocket": "A websocket told",
    "poll": "A poll",
    "sweep": "The day's appointments",
    "bulk": "A bulk export",
    "hl7v2": "HL7 v2",
    "cds-hook": "A discharge card",
    "reconcile": "The nightly net",
    "launch": "An opened page",
    "hand": "A person",
    "unknown": "Not said",
}
"""What first told of a visit, in words."""
