"""The faces are hung onto the application by name: here they meet what wiring has put together, and nowhere else.

An act is kept as a message, then worked at once, so that the page that follows shows what became of it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from fastapi import FastAPI

from fhir_billing.cycle.act_message import keep_act
from fhir_billing.cycle.conformance import Conformance
from fhir_billing.cycle.records import Kind, Message, Outcome
from fhir_billing.cycle.work import work_one
from fhir_billing.domain.errors import MalformedResource, NotAMove
from fhir_billing.doors import UserChart
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.wiring import Wiring
from smart_app.app import create_app
from smart_app.connection import Checker, Way
from smart_app.desk.acts import acts_for, unwritable
from smart_app.face import FaceSettings
from smart_app.launch import sandbox_ehr
from smart_app.launch.session import Launching
from smart_app.standing import standing

KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ways that ring by themselves, and keep no mark of how far they have looked."""
BEFORE = 1000
"""How many older messages one act may wait for before it leaves them to the worker."""


def mount(app: FastAPI, wiring: Wiring, wake: Callable[[], None]) -> None:
    """Hang the faces under the application's root; its own routes go first."""
    chosen = wiring.settings
    app.state.closing = threading.Event()
    settings = FaceSettings(
        closing=app.state.closing,
        organization=chosen.title or wiring.site.title or wiring.site.billing.name,
        demo=chosen.demo,
        session_secret=chosen.session_secret,
        secure=chosen.public_url.startswith("https://"),
        oidc_issuer=chosen.oidc_issuer,
        oidc_client_id=chosen.oidc_client_id,
        oidc_client_secret=chosen.oidc_client_secret,
        oidc_allowed=chosen.oidc_allowed,
        frame_ancestors=chosen.frame_ancestors,
        zone=wiring.site.days.zone or UTC,
        now=wiring.clock.now,
        codes=wiring.codes,
        launching=_launching(wiring),
        site=wiring.site,
        connection=Connected(wiring),
        sandbox=Sandbox(wiring) if chosen.demo and wiring.own_chart else None,
    )
    app.mount("/", create_app(wiring.views, Desk(wiring, wake), settings))


def _launching(wiring: Wiring) -> Launching | None:
    """What launches need, where an EHR has a launch file. Raises SecretMissing, DoorInvalid: then nothing starts."""
    doors = wiring.doors
    own = wiring.own_chart if wiring.settings.demo else None  # only the demo asks its EHR before it serves
    sandbox = sandbox_ehr.door(wiring.settings.ehr_url) if own else None
    if sandbox:
        doors = {**doors, sandbox.name: sandbox}
    if not doors:
        return None

    def chart_as(iss: str, token: str) -> UserChart:
        return own if own and sandbox and token == sandbox_ehr.DOOR else wiring.chart_as(iss, token)

    return Launching(
        doors=doors,
        vault=wiring.vault,
        smart=wiring.smart,
        chart_as=chart_as,
        public_url=wiring.settings.public_url.rstrip("/"),
    )


class Connected(Checker):
    """Implements `connection.Connection`: the EHR of this installation, as the last check found it."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(lambda writes, step: wiring.check_ehr(writes=writes, step=step), wiring.keep_conformance)
        self._wiring = wiring

    @property
    def url(self) -> str:
        """The EHR's address; empty when none is set up."""
        return self._wiring.settings.ehr_url

    @property
    def by_hand(self) -> str:
        """The rung that a person chose."""
        chosen = self._wiring.settings.ehr_rung
        return "" if chosen == "auto" else chosen

    def last(self) -> Conformance | None:
        """What the last check found."""
        return self._wiring.conformance

    def ways(self) -> list[Way]:
        """How far each way has looked, by its mark in the store."""
        run = self.last()
        chosen = [name.strip() for name in self._wiring.settings.ehr_triggers.split(",") if name.strip()]
        return [
            standing(self._wiring, name)
            for name in dict.fromkeys([*(run.triggers if run else ()), *chosen])
            if self.url
        ]


class Sandbox:
    """Implements `sandbox_ehr.SandboxEhr`: the demo's EHR as its own window shows it."""

    def __init__(self, wiring: Wiring) -> None:
        assert wiring.own_chart is not None  # noqa: S101 - asked by whoever makes one
        self.chart, self._wiring = wiring.own_chart, wiring

    def close(self, visit: dict[str, Any]) -> None:
        """The visit is finished in the EHR."""
        from fhir_billing.demo.sandbox import client

        client(self._wiring).update({**visit, "status": "finished"}, version="")


class Desk:
    """Implements `cycle.views.Acts` over the store."""

    def __init__(self, wiring: Wiring, wake: Callable[[], None]) -> None:
        self._wiring, self._wake = wiring, wake

    def act(self, kind: str, facts: Mapping[str, Any], who: str, key: str) -> None:
        """Keep and work an act. Raises NotAMove when it could not be done; the message stays, with the reason.

        The same form again does nothing and says what became of it; another form under the same key is refused.
        """
        if not KEY.fullmatch(key):
            raise MalformedResource("This form came without its key", fix="open the page again and repeat")
        wiring, wanted = self._wiring, {**facts, "act": kind}
        if not wiring.views.is_kept(Kind.ACT, key):
            self._allowed(kind, str(facts.get("claim", "")))
        message, new = keep_act(wiring.store, wanted, who=who, at=wiring.clock.now(), key=key)
        if not new and (message.who != who or loads(message.body) != wanted):
            raise NotAMove("This form was already used for something else", fix="open it again")
        if message.outcome is Outcome.WAITING:
            self._work(message.id)
        else:
            _say(message)

    def _allowed(self, kind: str, number: str) -> None:
        """What the claim's page would not offer now is not kept: it could only break. Raises NotAMove."""
        claim = self._wiring.views.claim(number) if number else None
        if claim and kind not in {act.kind for act in acts_for(claim)}:
            broken = unwritable(claim) if kind == "release" else []
            if broken:
                raise NotAMove(f"{number} cannot be written: {broken[0].say}", fix=broken[0].fix)
            raise NotAMove(f"{number} is {claim.row.state}, so this cannot be done", fix="look at the claim again")

    def retry(self, message: int, who: str) -> None:
        """Work a quarantined message again."""
        self._wiring.store.retry(message)
        self.audit(who, "tried a message again", str(message))
        self._work(message)

    def ring(self, encounter: str, who: str) -> None:
        """A doorbell like the EHR's own; whoever looks again within the minute rings no second time."""
        now = self._wiring.clock.now()
        bell = dumps({"encounter": encounter, "version": "", "found_by": "launch"})
        key = f"{encounter}:launch:{now:%Y-%m-%dT%H:%M}"
        self._wiring.store.keep(Kind.DOORBELL, key, bell, at=now, channel="launch", name="", who=who)
        self._wake()

    def audit(self, who: str, what: str, about: str = "") -> None:
        """Write down who looked at what."""
        with self._wiring.store.begin() as book:
            book.audit(at=self._wiring.clock.now(), who=who, what=what, about=about)

    def end_session(self, session: str) -> None:
        """Kept by its digest beside the store's other marks, so that every process knows of it."""
        self._wiring.store.set_cursor(_over(session), self._wiring.clock.now().isoformat())

    def is_over(self, session: str) -> bool:
        """A session without a number of its own is none."""
        return not session or bool(self._wiring.store.cursor(_over(session)))

    def _work(self, message: int) -> None:
        wiring = self._wiring
        for _ in range(BEFORE):
            worked = work_one(wiring.store, wiring.site)
            if worked is None or worked[0].id == message:
                break
        self._wake()
        with wiring.store.begin() as book:
            now = book.message(message)
        if now:
            _say(now)


def _over(session: str) -> str:
    return f"signed-out:{hashlib.sha256(session.encode()).hexdigest()}"


def _say(message: Message) -> None:
    """An act that broke says so, each time that it is asked about."""
    if message.outcome is Outcome.QUARANTINED:
        first = message.findings[0] if message.findings else {}
        raise NotAMove(str(first.get("say") or message.say), fix=str(first.get("fix", "")))
