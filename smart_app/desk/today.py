"""The day begins with what must be done: whose it is, what it is worth and when it is too late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.cycle.views import NEEDS_SOMEBODY, ClaimRow, Tally, Today, at_stake
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money
from smart_app.desk.lists import grouped
from smart_app.face import Face, Who
from smart_app.look import MESSAGES, STATES
from smart_app.words import in_words, many, sentence

SOON: Final = 7
TABS: Final = (
    ("biller", "Billing"),
    ("coder", "Coding"),
    ("clinician", "Clinicians"),
    ("registration", "Front desk"),
    ("site", "Set-up"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing to do; alike claims are one thing."""

    icon: str
    tone: str
    title: str
    detail: str
    stake: Money | None
    due: date | None
    owner: str
    href: str
    button: str
    count: int = 1

    def rank(self, today: date) -> int:
        """Money ÷ days left; what cannot be priced comes by its date alone."""
        left = max((self.due - today).days, 1) if self.due else 30
        return -((self.stake or 100_00) // left)


def routes(face: Face) -> APIRouter:
    """Today."""
    router = APIRouter()

    @router.get("/")
    def today(request: Request, who: Who, owner: str = "everyone") -> Response:
        day = face.today()
        since = face.settings.now() - timedelta(days=SOON)
        facts = face.views.today(day, since)
        things = things_to_do(facts, day)
        mine = [thing for thing in things if owner in ("everyone", thing.owner)]
        face.seen(request, "read Today")
        return face.render(
            request,
            "today.html",
            facts=facts,
            things=mine,
            every=things,
            owner=owner,
            tabs=[(key, word, sum(1 for t in things if t.owner == key)) for key, word in TABS],
            lost=at_stake(row for row in facts.rows if row.due and row.due <= day + timedelta(days=SOON)),
            turns=turns(facts),
            worth=sum(thing.stake or 0 for thing in mine),
        )

    return router


def turns(facts: Today) -> list[tuple[str, Tally, str]]:
    """Whose turn it is: count, money and the list where it stands."""
    rows = [
        (
            word,
            at_stake(r for r in facts.rows if r.owner == key and r.state in NEEDS_SOMEBODY),
            f"/worklists/held?owner={key}" if key != "biller" else "/?owner=biller",
        )
        for key, word in TABS
    ]
    with_payers = facts.counts.of([State.SENT, State.RECEIVED, State.ACCEPTED, State.PENDED, State.APPEALED])
    return [
        *((word, found, href) for word, found, href in rows if found.count or word in {"Billing", "Clinicians"}),
        ("Payers", with_payers, "/worklists/with-payers"),
        ("Patients", facts.counts.patients, "/patients"),
    ]


def things_to_do(facts: Today, today: date) -> list[Thing]:
    """Everything that waits for a person, alike claims together, the most money a day first."""
    things = [thing for state in NEEDS_SOMEBODY for thing in _in_state(facts, state)]
    for message in facts.quarantined:
        first = message.findings[0] if message.findings else None
        things.append(
            Thing(
                icon="shield-alert",
                tone="red",
                title=f"{message.name or MESSAGES.get(message.kind, ('', message.kind))[1]} was not worked",
                detail=sentence(first.say if first else message.say)[:140],
                stake=None,
                due=None,
                owner="biller",
                href=f"/quarantine/{message.id}",
                button="See what broke",
            )
        )
    for silent in facts.silent:
        things.append(
            Thing(
                icon="send",
                tone="blue",
                title=f"Ask {silent.payer_name} about {many(silent.claims.count, 'claim')} it never answered",
                detail=f"An answer was due {silent.since:%b} {silent.since.day}"
                if silent.since
                else "An answer was due",
                stake=silent.claims.amount,
                due=None,
                owner="biller",
                href=f"/worklists/silent?{urlencode({'payer': silent.payer})}",
                button=f"See {silent.claims.count}",
                count=silent.claims.count,
            )
        )
    return sorted(things, key=lambda thing: (thing.rank(today), thing.title))


def _inside(sentence: str) -> str:
    """A sentence inside another: it begins small, unless it begins with a name or a code."""
    return sentence if sentence[1:2].isupper() or sentence[:1].isdigit() else sentence[:1].lower() + sentence[1:]


def _in_state(facts: Today, state: State) -> list[Thing]:
    rows = sorted((row for row in facts.rows if row.state is state), key=lambda row: row.due or date.max)
    look, things = STATES[state], []
    for owner in dict.fromkeys(row.owner for row in rows):
        for group in grouped([row for row in rows if row.owner == owner], "reason"):
            things.append(_thing(group.rows, group.title, group.code, state, owner, look.icon, look.tone))
    return things


def _thing(rows: tuple[ClaimRow, ...], says: str, key: str, state: State, owner: str, icon: str, tone: str) -> Thing:
    one, count = rows[0], len(rows)
    says = in_words(says.rstrip("."))
    if key == "denied":
        says = sentence(says.rpartition(": ")[2])
    titles = {
        State.HELD: says,
        State.REJECTED: f"Fix and send again: {_inside(says)}",
        State.QUERIED: f"Answer {one.payer_name}: {_inside(says)}",
        State.DENIED: says,
    }
    payers = ", ".join(dict.fromkeys(row.payer_name for row in rows if row.payer_name))
    fix = one.finding.fix if one.finding else ""
    href = (
        f"/claims/{one.number}" if count == 1 else f"/worklists/{state.value}?{urlencode({'why': key, 'owner': owner})}"
    )
    worth = sum(row.stake for row in rows)
    return Thing(
        icon=icon,
        tone=tone,
        title=titles[state] if count == 1 else f"{titles[state]} ({many(count, 'claim')})",
        detail=" · ".join(part for part in (payers, state.value, _inside(fix).rstrip(".")) if part),
        stake=worth,
        due=min((row.due for row in rows if row.due), default=None),
        owner=owner,
        href=href,
        button="Open" if count == 1 else f"Review {count}",
        count=count,
    )
