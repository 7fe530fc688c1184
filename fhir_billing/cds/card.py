"""A card says one thing and offers one decision; whoever reads it is busy with a patient.

What a chart says is somebody else's text: it stands on a card without control characters, and in Markdown without effect.
Spec: CDS Hooks 2.0 "Card Attributes", "Suggestion", "Action", "Link", "overrideReasons"; summary under 140 characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from fhir_billing.fhir.ours import BASE
from fhir_billing.fhir.text import dumps

Resource = dict[str, Any]
MOST_SUMMARY: Final = 139
MOST_LABEL: Final = 80
OVERRIDES: Final = f"{BASE}CodeSystem/override-reason"
REASONS: Final = (
    ("something-else", "Something else is true"),
    ("cant-say", "I can't say"),
    ("later", "Not now"),
)
"""Why a card was not followed; the first two mean the same as on our own pages."""
_OURS: Final = UUID("6f1d1f3e-5a5b-5d0e-9c5e-0d2b7b6a4c11")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff0-\uffff]+")
_ACTIVE = re.compile(r"([\\`*_{}\[\]()<>#|~!&$^])|(?<=www)\.|:(?=/)|@|^([-+=]|\d+[.)])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What the EHR does when a suggestion is taken. `kind` is create or update."""

    kind: str
    say: str
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One answer; all of a card weigh the same and none is recommended."""

    key: str
    label: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One thing to know. `key` tells it from the others of its call, and gives it the same name each time."""

    key: str
    summary: str
    detail: str = ""
    indicator: str = "info"
    """info or warning; billing is never critical to a patient."""
    suggestions: tuple[Suggestion, ...] = ()
    reasons: tuple[tuple[str, str], ...] = REASONS
    link: str = ""
    """What the button to our pages says; empty: none."""
    context: tuple[tuple[str, str], ...] = ()
    """What our page is told when the button is pressed."""


def plain(text: str, most: int = 200) -> str:
    r"""Chart text as one line that shows what it says: nothing unseen, nothing that turns the direction.

    >>> plain("Right\x00 knee\n pain\u202e")
    'Right knee pain'
    """
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def marked(text: str, most: int = 500) -> str:
    r"""Chart text that may stand in Markdown: it makes no link, no image, no heading and no HTML.

    >>> marked("<b>[x](http://y)")
    '\\<b\\>\\[x\\]\\(http\\://y\\)'
    """
    return _ACTIVE.sub(lambda found: f"\\{found[0]}" if len(found[0]) == 1 else f"{found[0][:-1]}\\{found[0][-1]}",
                       plain(text, most))  # fmt: skip


def card_id(instance: str, hook: str, key: str) -> str:
    """A card's uuid: the same call gives the same card the same name."""
    return str(uuid5(_OURS, f"{instance}|{hook}|{key}"))


def as_json(card: Card, *, instance: str, hook: str, label: str, launch: str) -> Resource:
    """A card as the EHR reads it. `label` says who speaks, `launch` is where our pages open."""
    made: Resource = {
        "uuid": card_id(instance, hook, card.key),
        "summary": plain(card.summary, MOST_SUMMARY),
        "indicator": card.indicator,
        "source": {"label": plain(label, MOST_LABEL)},
    }
    if card.detail:
        made["detail"] = card.detail
    if card.suggestions:
        made["suggestions"] = [_suggestion(card, one, instance, hook) for one in card.suggestions]
        made["selectionBehavior"] = "at-most-one"
    if card.reasons:
        made["overrideReasons"] = [
            {"code": code, "system": OVERRIDES, "display": display} for code, display in card.reasons
        ]
    if card.link and launch:
        link = {"label": plain(card.link, MOST_LABEL), "url": launch, "type": "smart"}
        made["links"] = [{**link, "appContext": _context(card)} if card.context else link]
    return made


def _suggestion(card: Card, one: Suggestion, instance: str, hook: str) -> Resource:
    return {
        "label": plain(one.label, MOST_LABEL),
        "uuid": card_id(instance, hook, f"{card.key}|{one.key}"),
        "isRecommended": False,
        "actions": [
            {"type": action.kind, "description": plain(action.say), "resource": action.resource}
            for action in one.actions
        ],
    }


def _context(card: Card) -> str:
    """What our page is told, as JSON text."""
    return dumps(dict(card.context)).decode()
