"""What the EHR does for us was tried, not believed; the page says what works, what is done instead, and how far each way has looked."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from smart_app.connection import Going
from smart_app.desk.worklists import harmless
from smart_app.face import Face, Posted, Who

FITS = {
    "works": frozenset({Found.WORKS}),
    "not": frozenset(Found) - {Found.WORKS, Found.NOT_TRIED},
    "not-tried": frozenset({Found.NOT_TRIED}),
}
SHOWS = {"": "all", "works": "what works", "not": "what does not", "not-tried": "what was not tried"}


def kept(run: Conformance | None, group: str, show: str) -> list[Interaction]:
    """The rows that a filter leaves."""
    rows = run.interactions if run else ()
    fits = FITS.get(show, frozenset(Found))
    return [row for row in rows if (not group or row.group == group) and row.found in fits]


def routes(face: Face) -> APIRouter:
    """The connection, its export, and the check."""
    router = APIRouter()
    connection = face.settings.connection

    @router.get("/desk/ehr")
    def page(request: Request, who: Who, group: str = "", show: str = "") -> Response:
        face.seen(request, "read the connection to the EHR")
        run = connection.last() if connection else None
        rows = kept(run, group, show)
        return face.render(
            request,
            "ehr.html",
            connection=connection if connection and connection.url else None,
            run=run,
            groups=[(name, [r for r in rows if r.group == name]) for name in dict.fromkeys(r.group for r in rows)],
            names=list(dict.fromkeys(row.group for row in run.interactions)) if run else [],
            counts_of=Counter(row.found for row in run.interactions) if run else {},
            group=group,
            show=show,
            shows=SHOWS,
            kept=run.facts.get("kept", "").split() if run else [],
            kept_at=datetime.fromisoformat(run.facts["kept-at"]) if run and run.facts.get("kept-at") else None,
            sentences=run.facts.get("sentences", "").splitlines() if run else [],
            going=connection.going() if connection else None,
            ways=connection.ways() if connection else [],
            found_by=Counter(visit.found_by or "not said" for visit in face.views.visits()).most_common(),
            csv=f"/desk/ehr.csv?{urlencode({'group': group, 'show': show})}",
        )

    @router.get("/desk/ehr.csv")
    def export(request: Request, who: Who, group: str = "", show: str = "") -> Response:
        rows = kept(connection.last() if connection else None, group, show)
        face.seen(request, f"exported the connection, {len(rows)} rows")
        return PlainTextResponse(
            sheet(rows),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="connection.csv"'},
        )

    @router.get("/desk/ehr/going")
    def going(request: Request, who: Who) -> Response:
        now = connection.going() if connection else None
        if now is None or now.over:
            return Response(status_code=204, headers={"HX-Refresh": "true"})
        return face.render(request, "ehr_going.html", bare=True, going=now)

    @router.post("/desk/ehr/check")
    def check(request: Request, who: Who, form: Posted) -> Response:
        if connection and connection.url and connection.begin(writes=bool(form.get("write"))):
            face.seen(request, "checked the EHR", "with probes" if form.get("write") else "reading only")
        return RedirectResponse("/desk/ehr", status_code=303)

    @router.post("/desk/ehr/stop")
    def stop(request: Request, who: Who, form: Posted) -> Response:
        if connection and isinstance(connection.going(), Going):
            connection.stop()
            face.seen(request, "stopped the check of the EHR")
        return RedirectResponse("/desk/ehr", status_code=303)

    return router


def sheet(rows: Iterable[Interaction]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["group", "what", "key", "declared", "found", "seen", "instead"])
    for row in rows:
        declared = {True: "yes", False: "no", None: ""}[row.declared]
        writer.writerow(map(harmless, [row.group, row.what, row.key, declared, row.found, row.say, row.instead]))
    return out.getvalue()
