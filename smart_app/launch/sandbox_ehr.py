"""The demo has a window that stands for an EHR: its open visits, one opened in a frame as a chart would, and a button that closes it.

It exists in the demo alone. The sandbox EHR has no sign-in for people, so the demo opens the session that a launch would have
opened, for an invented doctor; launches proper are tried against a real provider in the tests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.domain.errors import NotThere
from fhir_billing.doors import Door, Granted, UserChart
from smart_app.face import Face, Posted, Who
from smart_app.launch.pages import opened_at
from smart_app.launch.session import launching_of, open_session, seen

DOOR: Final = "sandbox"
DOCTOR: Final = ("Practitioner/dr-lin", "Dr. Lin Zzdoctor")
FOR_A_DAY: Final = 86_400


class SandboxEhr(Protocol):
    """What the window needs of the sandbox."""

    chart: UserChart

    def close(self, visit: dict[str, Any]) -> None:
        """The clinician finishes the visit in the EHR."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVisit:
    """One visit, as the window lists it."""

    number: str
    """Says nothing of the visit, and stays its own when others close."""
    patient: str
    what: str
    resource: dict[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether the clinician has not closed it yet."""
        return bool(self.resource.get("status") == "in-progress")


def door(iss: str) -> Door:
    """The sandbox's own way in; a real EHR's stands in a launch file."""
    return Door(name=DOOR, iss=iss, client_id="sandbox", title="the sandbox EHR", frame_ancestors=("'self'",))


def routes(face: Face, ehr: SandboxEhr) -> APIRouter:
    """The window, a chart in it, and the end of a visit."""
    router = APIRouter()

    @router.get("/sandbox-ehr")
    def window(request: Request, who: Who) -> Response:
        return face.render(request, "launch/sandbox_ehr.html", visits=_open(ehr), chosen=None)

    @router.get("/sandbox-ehr/{number}")
    def chart(request: Request, who: Who, number: str) -> Response:
        chosen, visits = _numbered(ehr, number), _open(ehr)
        shown = visits if any(visit.number == number for visit in visits) else [*visits, chosen]
        return face.render(request, "launch/sandbox_ehr.html", visits=shown, chosen=chosen)

    @router.get("/launch/sandbox/{number}")
    def launched(request: Request, who: Who, number: str) -> Response:
        visit = _numbered(ehr, number).resource
        launching = launching_of(request)
        granted = Granted(
            access=DOOR,
            ends=face.settings.now().timestamp() + FOR_A_DAY,
            scopes=frozenset({"patient/*.rs", "user/*.rs"}),
            patient=str(visit["subject"]["reference"]),
            encounter=f"Encounter/{visit['id']}",
            practitioner=DOCTOR[0],
            who=DOCTOR[1],
            banner=False,
        )
        kept = open_session(request, launching.doors[DOOR], granted)
        seen(request, kept.launched, "opened the chart from the sandbox EHR", granted.patient)
        return opened_at(request, launching, kept)

    @router.post("/sandbox-ehr/{number}/close")
    def close(request: Request, who: Who, number: str, form: Posted) -> Response:
        chosen = _numbered(ehr, number)
        if chosen.is_open:
            ehr.close(chosen.resource)
        return RedirectResponse(f"/sandbox-ehr/{number}", status_code=303)

    return router


def _open(ehr: SandboxEhr) -> list[OpenVisit]:
    found = (r for r in ehr.chart.search("Encounter", {"status": "in-progress"}) if r["resourceType"] == "Encounter")
    return [_listed(ehr, visit) for visit in sorted(found, key=lambda r: str(r["id"]))]


def _numbered(ehr: SandboxEhr, number: str) -> OpenVisit:
    """A visit by its number, open or closed: whoever closed it sees what becomes of it."""
    for visit in ehr.chart.search("Encounter", {"_count": "100"}):
        if visit["resourceType"] == "Encounter" and _number(visit) == number:
            return _listed(ehr, visit)
    raise NotThere("There is no such visit", fix="look at the open ones")


def _listed(ehr: SandboxEhr, visit: dict[str, Any]) -> OpenVisit:
    return OpenVisit(number=_number(visit), patient=_name(ehr, visit), what=_what(visit), resource=visit)


def _number(visit: dict[str, Any]) -> str:
    return hashlib.sha256(str(visit["id"]).encode()).hexdigest()[:8]


def _name(ehr: SandboxEhr, visit: dict[str, Any]) -> str:
    names = ehr.chart.read(visit["subject"]["reference"]).get("name") or [{}]
    return " ".join([*names[0].get("given", ()), names[0].get("family", "")]).strip()


def _what(visit: dict[str, Any]) -> str:
    """The hour at which it began: what a day's list of visits goes by."""
    begun = datetime.fromisoformat(str(visit["period"]["start"]))
    return f"{begun:%I:%M %p}".lstrip("0")
