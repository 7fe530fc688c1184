"""A page is made from a read model, a template and whoever is signed in; each look at a chart is written down.

`Face` is what every page module is handed: views, acts, settings, and how to render.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import jinja2
from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from fhir_billing.code_tables import CodeDesk
from fhir_billing.cycle.views import Acts, Views
from fhir_billing.domain.errors import NotAllowed, SignInNeeded
from fhir_billing.domain.lifecycle import State
from smart_app import look, words

if TYPE_CHECKING:
    from fhir_billing.mapping.site import Site
    from smart_app.connection import Connection
    from smart_app.launch.sandbox_ehr import SandboxEhr
    from smart_app.launch.session import Launching

HERE = Path(__file__).parent
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""What no keyboard writes into a form: all controls but tab and line breaks."""
THEMES = ("light", "dark", "contrast")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSettings:
    """What an installation decides about its screens."""

    organization: str = "fhir-billing"
    demo: bool = False
    """A local demo user exists only when this is set."""
    session_secret: str = ""
    secure: bool = False
    """Cookies over https only."""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)
    oidc_allowed: str = ""
    """Emails or domains, with commas, of those who may come in; empty: whoever the provider lets in."""
    frame_ancestors: str = "'self'"
    zone: tzinfo = UTC
    now: Callable[[], datetime] = _utc_now
    codes: CodeDesk | None = None
    """Where codes are looked for."""
    launching: Launching | None = None
    sandbox: SandboxEhr | None = None
    """The demo's own EHR, for the window that stands for one."""
    """The EHRs that open our pages, when there are any."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the server stops: streams end then, so that it need not wait for them."""
    connection: Connection | None = None
    """What is known of the EHR, and the check that may be run again."""
    site: Site | None = None
    """By which a visit that is still open is drafted for its clinician."""


class Face:
    """Everything a page module needs."""

    def __init__(self, views: Views, acts: Acts, settings: FaceSettings) -> None:
        self.views, self.acts, self.settings = views, acts, settings
        self._templates = _templates(settings)

    def today(self) -> date:
        """The site's local date."""
        return self.settings.now().astimezone(self.settings.zone).date()

    def render(
        self, request: Request, template: str, *, status: int = 200, bare: bool = False, **facts: Any
    ) -> HTMLResponse:
        """A page. Facts that every page needs (who, today, the navigation's counts) are added; `bare` pages have no navigation."""
        today = self.today()
        theme = request.cookies.get("theme", "")
        text = self._templates.get_template(template).render(
            request=request,
            path=request.url.path,
            today=today,
            who=request.session.get("who", ""),
            csrf=csrf_of(request),
            theme=theme if theme in THEMES else "",
            flash=request.session.pop("flash", None),
            counts=None if bare else self.views.counts(today),
            settings=self.settings,
            day=lambda when: words.day(when, today),
            clock=lambda when: words.clock(when, self.settings.zone, today),
            deadline=lambda due, start=None: words.deadline(due, today, start),
            **facts,
        )
        return HTMLResponse(text, status_code=status)

    def framed(self, request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
        """A page of a launched chart: it knows nothing of the desk's session, and sets none of its cookies."""
        today = self.today()
        theme = request.cookies.get("theme", "")
        text = self._templates.get_template(template).render(
            request=request,
            path=request.url.path,
            today=today,
            theme=theme if theme in THEMES else "",
            settings=self.settings,
            day=lambda when: words.day(when, today),
            clock=lambda when: words.clock(when, self.settings.zone, today),
            **facts,
        )
        return HTMLResponse(text, status_code=status)

    def seen(self, request: Request, what: str, about: str = "") -> None:
        """Write down who looked at what."""
        who, subject = str(request.session.get("who", "")), str(request.session.get("subject", ""))
        self.acts.audit(f"{who} <{subject}>" if subject and subject != who else who, what, about)


def _templates(settings: FaceSettings) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        money=words.spoken_money,
        col=words.column,
        initials=words.initials,
        reason=words.reason,
        sentence=words.sentence,
        in_words=words.in_words,
        visit=words.visit,
        pretty=words.mappings,
    )
    environment.globals.update(
        many=words.many,
        look=look,
        State=State,
        form_key=lambda: secrets.token_urlsafe(12),
        organization=settings.organization,
        version=_version(),
    )
    return environment


def _version() -> str:
    """Changes when the style or script changes, so that a browser never mixes two."""
    newest = max(int(p.stat().st_mtime) for p in (HERE / "static").rglob("*") if p.is_file())
    return format(newest, "x")


def csrf_of(request: Request) -> str:
    """This session's form token."""
    token = request.session.get("csrf")
    if not token:
        token = request.session["csrf"] = secrets.token_urlsafe(24)
    return str(token)


def signed_in(request: Request) -> str:
    """Who is signed in. Raises SignInNeeded, also for a session that was ended: its cookie may have been copied."""
    who, face = request.session.get("who"), request.app.state.face
    if who and face.acts.is_over(str(request.session.get("sid", ""))):
        request.session.clear()
        who = ""
    if not who:
        raise SignInNeeded("Nobody is signed in", fix="sign in")
    return str(who)


async def _posted(request: Request) -> FormData:
    """A form that came from a page of ours. Raises NotAllowed when its token is not this session's."""
    form = await request.form()
    sent = str(form.get("csrf", ""))
    mine = str(request.session.get("csrf", ""))
    if not mine or not secrets.compare_digest(sent.encode(), mine.encode()):
        raise NotAllowed("This form is from another session", fix="open the page again and repeat")
    if any(CONTROLS.search(name) or CONTROLS.search(str(value)) for name, value in form.multi_items()):
        raise HTTPException(400, "The form holds characters that nobody can type.")
    return form


Posted = Annotated[FormData, Depends(_posted)]
Who = Annotated[str, Depends(signed_in)]


def back(next_path: object, default: str = "/") -> str:
    """A path of ours to go to; never another site."""
    path = str(next_path or "")
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else default
