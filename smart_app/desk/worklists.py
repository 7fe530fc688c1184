"""A list stays still under the hand: it shows what waits, for whom, until when and what to do, and news only announces itself."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from fhir_billing.cycle.views import ClaimRow, tally
from fhir_billing.domain.errors import ClaimNotFound, NotThere
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import show
from smart_app.desk.acts import acts_for, fix_for
from smart_app.desk.lists import LISTS, SORTS, Asked, Worklist, grouped, keep
from smart_app.face import Face, Who
from smart_app.look import OWNERS

PAGE = 50


def rows_of(face: Face, listed: Worklist) -> list[ClaimRow]:
    """The rows of a list before any filter."""
    rows = face.views.claims(None if listed.name == "all" else listed.states)
    if listed.name == "silent":
        today = face.today()
        rows = [row for row in rows if row.due and row.due < today]
    return rows


def stamp(rows: Iterable[ClaimRow]) -> str:
    """Changes when the list would look different."""
    return hashlib.sha256("|".join(f"{r.number}{r.state}" for r in rows).encode()).hexdigest()[:12]


def _asked(payer: str, owner: str, why: str, sort: str, down: bool, group: str, offset: int) -> Asked:
    return Asked(
        payer=payer,
        owner=owner,
        why=why,
        sort=sort if sort in SORTS else "left",
        down=down,
        group=group,
        offset=max(0, offset),
    )


def routes(face: Face) -> APIRouter:
    """The worklists, their previews and their export."""
    router = APIRouter()

    @router.get("/worklists")
    def index(request: Request, who: Who) -> Response:
        counts = face.views.counts(face.today())
        return face.render(request, "worklists.html", tallies=counts.states, silent=counts.silent, states=list(State))

    @router.get("/worklists/{name}.csv")
    def export(
        request: Request,
        who: Who,
        name: str,
        payer: str = "",
        owner: str = "",
        why: str = "",
        sort: str = "left",
        down: bool = False,
    ) -> Response:
        listed = _list(name)
        rows = keep(rows_of(face, listed), _asked(payer, owner, why, sort, down, "", 0))
        face.seen(request, f"exported the list {name}, {len(rows)} claims")
        return PlainTextResponse(
            sheet(rows),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}.csv"'},
        )

    @router.get("/worklists/{name}")
    def worklist(
        request: Request,
        who: Who,
        name: str,
        payer: str = "",
        owner: str = "",
        why: str = "",
        sort: str = "left",
        down: bool = False,
        group: str = "",
        offset: int = 0,
    ) -> Response:
        listed, asked = _list(name), _asked(payer, owner, why, sort, down, group, offset)
        every = rows_of(face, listed)
        rows = keep(every, asked)
        by = asked.group or ("reason" if listed.by_reason else "none")
        if by != "none":
            rows = [row for found in grouped(rows, by) for row in found.rows]
        page = rows[asked.offset : asked.offset + PAGE]
        face.seen(request, f"read the list {name}", ", ".join(row.number for row in page)[:500])
        first = face.views.claim(page[0].number) if page else None
        return face.render(
            request,
            "worklist.html",
            listed=listed,
            asked=asked,
            total=tally(rows),
            every=len(every),
            page=page,
            groups=grouped(page, by) if by != "none" else None,
            by=by,
            stamp=stamp(every),
            payers=sorted({(row.payer, row.payer_name) for row in every}, key=lambda p: p[1]),
            owners=sorted({row.owner for row in every}, key=lambda o: OWNERS.get(o, o)),
            whys=sorted({(row.finding.key, row.finding.say) for row in every if row.finding}),
            sorts=SORTS,
            address=lambda **changes: (
                f"/worklists/{name}" + (f"?{urlencode(q)}" if (q := asked.other(**changes)) else "")
            ),
            csv=f"/worklists/{name}.csv?{urlencode(asked.other(offset=0, group=''))}",
            has_next=asked.offset + PAGE < len(rows),
            size=PAGE,
            claim=first,
            acts=acts_for(first) if first else [],
            fix=fix_for(first) if first else None,
        )

    @router.get("/claims/{number}/preview")
    def preview(request: Request, who: Who, number: str) -> Response:
        claim = face.views.claim(number)
        if claim is None:
            raise ClaimNotFound(f"There is no claim {number[:24]}", fix="look it up with Find")
        face.seen(request, "read the preview of a claim", number)
        return face.render(request, "preview.html", bare=True, claim=claim, acts=acts_for(claim), fix=fix_for(claim))

    return router


def _list(name: str) -> Worklist:
    if name not in LISTS:
        raise NotThere(f"There is no list called {name[:30]}", fix="choose one on the left")
    return LISTS[name]


def sheet(rows: Iterable[ClaimRow]) -> str:
    """Rows as CSV: numbers as numbers, days as ISO; a text that a spreadsheet would run is made harmless."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "claim",
            "patient",
            "payer",
            "payer id",
            "visit",
            "charge",
            "state",
            "why",
            "next",
            "deadline",
            "owner",
            "payer's number",
        ]
    )
    for row in rows:
        found = row.finding
        texts = [row.number, row.patient_name, row.payer_name, row.payer, row.served_on or ""]
        why = [
            row.state.value,
            found.say if found else "",
            found.fix if found else "",
            row.due or "",
            OWNERS.get(row.owner, row.owner),
            row.icn,
        ]
        writer.writerow([*map(harmless, texts), show(row.charge), *map(harmless, why)])
    return out.getvalue()


def harmless(value: object) -> str:
    """A text that no spreadsheet runs."""
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
