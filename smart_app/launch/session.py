"""A launched session is one chart open in one frame: its own cookie on its own path, so that two charts never mix.

The handle stands in every address and says nothing; the token that opens it is a cookie of that handle alone, or, where the
browser refuses cookies in a frame, a header that the page's script sends. What the session holds lies encrypted in the vault.
It ends after half an hour of silence, after ten hours, at sign-out, and when the EHR's next token is of another patient or visit.
Spec: SMART App Launch 2.2 scopes v1 and v2; CHIPS partitioned cookies.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData

from fhir_billing.cycle.ports import Vault
from fhir_billing.domain.errors import BillingError, NotAllowed, NotNow, ScopeMissing
from fhir_billing.doors import Door, Granted, Smart, UserChart
from fhir_billing.fhir.text import dumps, loads
from smart_app.face import CONTROLS, Face

IDLE_SECONDS: Final = 1800
WHOLE_SECONDS: Final = 36_000
AHEAD_SECONDS: Final = 30
"""A token is renewed this long before it ends."""
TOUCH_SECONDS: Final = 60
"""How often a use of the session is written down."""
NEEDED: Final = ("Patient", "Encounter", "Condition", "Coverage")
"""What no bill can be drafted without: where one of these was not granted, nothing else is asked for either."""
HEADER: Final = "x-visit-token"
_SCOPE = re.compile(r"(?:patient|user)/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(?:\?.*)?")
_V1: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_LOCKS: Final[dict[int, threading.Lock]] = {number: threading.Lock() for number in range(64)}


class SessionOver(NotAllowed):
    """The session is not there any more, or was never this browser's."""

    code, issue_type = "session-over", "login"


def over(say: str = "This page was open for too long, or from another window") -> SessionOver:
    """What a page answers that has no session."""
    return SessionOver(say, fix="open this page again from the chart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One chart open in one frame."""

    handle: str
    """In every address: /v/{handle}/…; not a secret, and nothing of a patient."""
    door: str
    iss: str
    patient: str
    encounter: str
    """Empty when the EHR opened the patient and no visit."""
    practitioner: str
    who: str
    scopes: frozenset[str]
    banner: bool
    intent: str
    style: str
    csrf: str = field(repr=False)

    def may(self, permission: str) -> bool:
        """Whether the EHR granted `Condition.r`: v1 (`patient/*.read`) and v2 (`patient/Condition.rs`) alike."""
        return may(self.scopes, permission)


def may(scopes: frozenset[str], permission: str) -> bool:
    """Whether scopes grant a permission; a query behind one narrows what is found, not whether one may ask.

    >>> may(frozenset({"patient/*.read"}), "Condition.r"), may(frozenset({"patient/Condition.rs"}), "Condition.u")
    (True, False)
    """
    kind, _, letter = permission.partition(".")
    for scope in scopes:
        found = _SCOPE.fullmatch(scope)
        if found and found[1] in {"*", kind} and letter and letter in _V1.get(found[2], found[2]):
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """What launches need: the doors, the vault, the sign-in, and the chart as a user sees it."""

    doors: Mapping[str, Door]
    vault: Vault
    smart: Smart
    chart_as: Callable[[str, str], UserChart]
    public_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A session as the vault holds it."""

    launched: Launched
    granted: Granted
    began: float
    token: str = field(repr=False)


def launching_of(request: Request) -> Launching:
    """The installation's launches. Raises NotAllowed where there are none."""
    found: Launching | None = request.app.state.face.settings.launching
    if found is None:
        raise NotAllowed("No EHR opens this page here", fix="set FHIR_BILLING_LAUNCHES to a folder of launch files")
    return found


def _now(request: Request) -> float:
    face: Face = request.app.state.face
    return face.settings.now().timestamp()


# ---- keeping


def open_session(request: Request, door: Door, granted: Granted) -> Kept:
    """A new session with a token of its own: nothing that a browser held before opens it."""
    launched = Launched(
        handle=secrets.token_urlsafe(12),
        door=door.name,
        iss=door.iss,
        patient=granted.patient,
        encounter=granted.encounter,
        practitioner=granted.practitioner,
        who=granted.who,
        scopes=granted.scopes,
        banner=granted.banner,
        intent=granted.intent,
        style=granted.style,
        csrf=secrets.token_urlsafe(24),
    )
    kept = Kept(launched=launched, granted=granted, began=_now(request), token=secrets.token_urlsafe(32))
    vault = launching_of(request).vault
    _keep(vault, kept, WHOLE_SECONDS)
    vault.put(_awake(kept.token), str(kept.began).encode(), seconds=IDLE_SECONDS)
    return kept


def _keep(vault: Vault, kept: Kept, seconds: int) -> None:
    said = {"launched": _plain(kept.launched), "granted": _plain(kept.granted), "began": str(kept.began)}
    vault.put(_visit(kept.token), dumps(said), seconds=seconds)


def _plain(record: Any) -> dict[str, Any]:
    said = asdict(record)
    return {**said, "scopes": sorted(said["scopes"]), **({"ends": str(said["ends"])} if "ends" in said else {})}


def _kept(vault: Vault, token: str) -> Kept | None:
    found = vault.get(_visit(token))
    if found is None:
        return None
    said = loads(found)
    launched, granted = said["launched"], said["granted"]
    return Kept(
        launched=Launched(**{**launched, "scopes": frozenset(launched["scopes"])}),
        granted=Granted(**{**granted, "scopes": frozenset(granted["scopes"]), "ends": float(granted["ends"])}),
        began=float(said["began"]),
        token=token,
    )


def _visit(token: str) -> str:
    return f"visit:{token}"


def _awake(token: str) -> str:
    return f"awake:{token}"


def drop(vault: Vault, token: str) -> None:
    """The session is over for everyone who holds its token."""
    vault.drop(_awake(token))
    vault.drop(_visit(token))


# ---- finding


def cookie_of(handle: str) -> str:
    """The name of a session's cookie."""
    return f"v-{handle}"


def launched(request: Request, handle: str) -> Launched:
    """The session that this request may see. Raises SessionOver."""
    return kept_of(request, handle).launched


def watching(request: Request, handle: str) -> Launched:
    """The session of a page that only listens: looking on keeps nothing alive. Raises SessionOver."""
    return kept_of(request, handle, touch=False).launched


def kept_of(request: Request, handle: str, *, touch: bool = True) -> Kept:
    """The session with its tokens. Raises SessionOver."""
    token = request.headers.get(HEADER) or request.cookies.get(cookie_of(handle), "")
    if not token or len(token) > 200:
        raise over()
    launching = launching_of(request)
    vault, now = launching.vault, _now(request)
    kept, awake = _kept(vault, token), vault.get(_awake(token))
    if kept is None or awake is None or not secrets.compare_digest(kept.launched.handle.encode(), handle.encode()):
        raise over()
    if (
        now - float(awake) > IDLE_SECONDS
        or now - kept.began > WHOLE_SECONDS
        or kept.launched.door not in launching.doors
    ):
        drop(vault, token)
        request.app.state.face.acts.audit(name_of(kept.launched), "was signed out by the clock", kept.launched.patient)
        raise over()
    if touch and now - float(awake) > TOUCH_SECONDS:
        vault.put(_awake(token), str(now).encode(), seconds=IDLE_SECONDS)
    request.state.kept = kept
    return kept


Here = Annotated[Launched, Depends(launched)]


async def _said(request: Request, here: Here) -> FormData:
    """A form that came from this session's own page. Raises NotAllowed when its token is another's."""
    form = await request.form()
    if not secrets.compare_digest(str(form.get("csrf", "")).encode(), here.csrf.encode()):
        raise NotAllowed("This form is from another page", fix="open the page again and repeat")
    if any(CONTROLS.search(name) or CONTROLS.search(str(value)) for name, value in form.multi_items()):
        raise HTTPException(400, "The form holds characters that nobody can type.")
    return form


Said = Annotated[FormData, Depends(_said)]


# ---- the audit trail


def name_of(here: Launched) -> str:
    """Who it is, for the audit trail: the name, and the EHR's own id behind it."""
    return f"{here.who} <{here.practitioner}>" if here.practitioner and here.practitioner != here.who else here.who


def seen(request: Request, here: Launched, what: str, about: str = "") -> None:
    """Write down who looked at what."""
    request.app.state.face.acts.audit(name_of(here), what, about or here.encounter or here.patient)


# ---- the chart


def chart_of(request: Request, here: Launched) -> ChartInView:
    """The chart with this user's own rights; only this patient's, and each reading is written down.

    Renews the token first when it is about to end. Raises SessionOver when the EHR has ended it, or opened another chart.
    """
    kept: Kept = request.state.kept if getattr(request.state, "kept", None) else kept_of(request, here.handle)
    launching = launching_of(request)
    door, now = launching.doors[here.door], _now(request)
    if kept.granted.ends - AHEAD_SECONDS < now:
        kept = request.state.kept = renew(launching, door, kept, now)
    return ChartInView(launching.chart_as(here.iss, kept.granted.access), request, here)


def renew(launching: Launching, door: Door, kept: Kept, now: float) -> Kept:
    """A fresh token for a session: one of all that ask at once fetches it, the others wait for it. Raises SessionOver.

    An EHR that rotates refresh tokens takes a used one for a theft and ends everything, so no two may use the same one.
    """
    vault, token = launching.vault, kept.token
    turn = hashlib.sha256(f"{kept.granted.access}{kept.granted.refresh}".encode()).hexdigest()
    with _LOCKS[int(turn[:2], 16) % len(_LOCKS)]:
        fresh = _kept(vault, token)
        if fresh is None:
            raise over()
        if fresh.granted.ends - AHEAD_SECONDS >= now:
            return fresh
        if not fresh.granted.refresh:
            if fresh.granted.ends > now:
                return fresh
            drop(vault, token)
            raise over("The EHR's permission has ended")
        if not vault.first(f"renewing:{turn}", seconds=60):
            return _waited(vault, token, now)
        try:
            granted = launching.smart.refresh(door, fresh.granted)
        except NotNow:
            vault.drop(f"renewing:{turn}")
            raise
        except BillingError as error:
            drop(vault, token)
            raise over("The EHR has ended this session") from error
        return _renewed(launching, fresh, granted, now)


def _waited(vault: Vault, token: str, now: float) -> Kept:
    """What another process fetched meanwhile."""
    for _ in range(50):
        time.sleep(0.1)
        found = _kept(vault, token)
        if found is None:
            raise over()
        if found.granted.ends - AHEAD_SECONDS >= now:
            return found
    raise NotNow("The EHR does not renew this session now", fix="try again in a minute")


def _renewed(launching: Launching, kept: Kept, granted: Granted, now: float) -> Kept:
    """The session with its new token; another patient or visit ends it."""
    vault, before = launching.vault, kept.launched
    if (granted.patient or before.patient) != before.patient or (
        granted.encounter or before.encounter
    ) != before.encounter:
        drop(vault, kept.token)
        raise over("Another chart was opened in the EHR")
    made = replace(kept, granted=granted, launched=replace(before, scopes=granted.scopes))
    if vault.get(_awake(kept.token)) is None:  # signed out meanwhile
        drop(vault, kept.token)
        raise over()
    _keep(vault, made, max(1, int(kept.began + WHOLE_SECONDS - now)))
    return made


class ChartInView:
    """The chart of one session: what is not this patient's is not shown, whatever id was asked for."""

    def __init__(self, chart: UserChart, request: Request, here: Launched) -> None:
        self._chart, self._request, self._here = chart, request, here

    def gather(self, encounter: str) -> list[dict[str, Any]]:
        """All that a visit's bill needs. Raises NotAllowed for another patient's visit."""
        if lacking := [kind for kind in NEEDED if not self._here.may(f"{kind}.r")]:
            raise ScopeMissing(
                f"The EHR gave no permission to read {' and '.join(lacking)}",
                fix="allow it when the EHR asks, or in its registration of this page",
            )
        seen(self._request, self._here, "read the chart", encounter)
        found = self._chart.gather(encounter)
        name = encounter.rsplit("/", maxsplit=1)[-1]
        visit = next((r for r in found if r.get("resourceType") == "Encounter" and r.get("id") == name), {})
        if not self._mine((visit.get("subject") or {}).get("reference", "")):
            raise NotAllowed("This visit is another patient's", fix="open that patient's chart first")
        return found

    def problems(self) -> list[dict[str, Any]]:
        """The patient's conditions, of every visit: what answers may rest on. Empty where the EHR forbids it."""
        return self._of_patient("Condition") if self._here.may("Condition.s") or self._here.may("Condition.r") else []

    def visits(self) -> list[dict[str, Any]]:
        """The patient's visits, where the EHR lets them be searched."""
        return self._of_patient("Encounter") if self._here.may("Encounter.s") else []

    def _of_patient(self, kind: str) -> list[dict[str, Any]]:
        seen(self._request, self._here, f"read {kind} of the chart", self._here.patient)
        found = self._chart.search(kind, {"patient": self._here.patient, "_count": "100"})
        return [
            r
            for r in found
            if r.get("resourceType") == kind and self._mine((r.get("subject") or {}).get("reference", ""))
        ]

    def _mine(self, reference: str) -> bool:
        patient, iss = self._here.patient, self._here.iss.rstrip("/")
        return str(reference).split("/_history/", maxsplit=1)[0] in {patient, f"{iss}/{patient}"}

    def check(self) -> str:
        """What the EHR says it is."""
        return self._chart.check()
