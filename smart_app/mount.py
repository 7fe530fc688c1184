"""The faces are hung onto the application by name: here they meet what wiring has put together, and nowhere else.

An act is kept as a message, then worked at once, so that the page that follows shows what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from fastapi import FastAPI

from fhir_billing.cycle.act_message import keep_act
from fhir_billing.cycle.records import Outcome
from fhir_billing.cycle.work import work_one
from fhir_billing.domain.errors import NotAMove
from fhir_billing.wiring import Wiring
from smart_app.app import create_app
from smart_app.face import FaceSettings

BEFORE = 1000
"""How many older messages one act may wait for before it leaves them to the worker."""


def mount(app: FastAPI, wiring: Wiring, wake: Callable[[], None]) -> None:
    """Hang the faces under the application's root; its own routes go first."""
    chosen = wiring.settings
    settings = FaceSettings(
        organization=wiring.site.title or wiring.site.billing.name,
        demo=chosen.demo,
        session_secret=chosen.session_secret,
        secure=chosen.public_url.startswith("https://"),
        oidc_issuer=chosen.oidc_issuer,
        oidc_client_id=chosen.oidc_client_id,
        oidc_client_secret=chosen.oidc_client_secret,
        frame_ancestors=chosen.frame_ancestors,
        zone=wiring.site.days.zone or UTC,
        now=wiring.clock.now,
    )
    app.mount("/", create_app(wiring.views, Desk(wiring, wake), settings))


class Desk:
    """Implements `cycle.views.Acts` over the store."""

    def __init__(self, wiring: Wiring, wake: Callable[[], None]) -> None:
        self._wiring, self._wake = wiring, wake

    def act(self, kind: str, facts: Mapping[str, Any], who: str, key: str) -> None:
        """Keep and work an act. Raises NotAMove when it could not be done; the message stays, with the reason."""
        wiring = self._wiring
        message, new = keep_act(wiring.store, {"act": kind, **facts}, who=who, at=wiring.clock.now(), key=key)
        if new:
            self._work(message.id)

    def retry(self, message: int, who: str) -> None:
        """Work a quarantined message again."""
        self._wiring.store.retry(message)
        self.audit(who, "tried a message again", str(message))
        self._work(message)

    def audit(self, who: str, what: str, about: str = "") -> None:
        """Write down who looked at what."""
        with self._wiring.store.begin() as book:
            book.audit(at=self._wiring.clock.now(), who=who, what=what, about=about)

    def _work(self, message: int) -> None:
        wiring = self._wiring
        for _ in range(BEFORE):
            worked = work_one(wiring.store, wiring.site)
            if worked is None or worked[0].id == message:
                break
        self._wake()
        with wiring.store.begin() as book:
            now = book.message(message)
        if now and now.outcome is Outcome.QUARANTINED:
            first = now.findings[0] if now.findings else {}
            raise NotAMove(str(first.get("say") or now.say), fix=str(first.get("fix", "")))
