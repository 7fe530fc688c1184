"""Where the chart and the book say different things a person sees both, what it is worth, and decides; nothing changes by itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from fhir_billing.cycle.two_sides import ProposalPage, SideRow, TwoSides
from fhir_billing.domain.errors import BillingError, NotThere
from fhir_billing.domain.money import show
from smart_app.desk.acts import Act, Field
from smart_app.desk.worklists import harmless
from smart_app.face import Face, Posted, Who
from smart_app.look import FINDERS

HERE: Final = "/desk/chart-differences"
NET: Final = timedelta(days=35)
KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "missing": ("search", "amber", "Missing here"),
    "changed": ("file-diff", "blue", "Newer in the chart"),
    "gone": ("unlink", "orange", "Gone from the chart"),
    "replace": ("file-diff", "violet", "Replace the claim"),
    "void": ("circle-x", "red", "Void the claim"),
}
"""Icon, tone and words of each kind."""
SORTS: Final[Mapping[str, tuple[str, Callable[[SideRow], object]]]] = {
    "found": ("found", lambda row: (row.closed_at or row.found_at).astimezone(UTC)),
    "kind": ("kind", lambda row: list(KINDS).index(row.kind)),
    "money": ("money", lambda row: abs(row.money or 0)),
    "patient": ("patient", lambda row: row.patient_name.casefold()),
}
WHY: Final = Field(name="reason", label="Why", hint="A few words. They stand in the biography with your name.")


def sides_of(face: Face) -> TwoSides:
    """The same store, as this page reads it."""
    return cast("TwoSides", face.views)


def routes(face: Face) -> APIRouter:
    """The list, its export, one proposal, and what a person decides."""
    router = APIRouter()

    @router.get(HERE + ".csv")
    def export(request: Request, who: Who, kind: str = "", sort: str = "found", closed: bool = False) -> Response:
        rows = kept(sides_of(face).sides(closed=closed), kind, sort)
        face.seen(request, f"exported chart and book, {len(rows)} items")
        headers = {"content-disposition": 'attachment; filename="chart-and-book.csv"'}
        return PlainTextResponse(sheet(rows), media_type="text/csv; charset=utf-8", headers=headers)

    @router.get(HERE)
    def listed(request: Request, who: Who, kind: str = "", sort: str = "found", closed: bool = False) -> Response:
        every = sides_of(face).sides(closed=closed)
        rows = kept(every, kind, sort)
        face.seen(request, "read chart and book", ", ".join(row.number or row.kind for row in rows)[:500])
        asked = {"kind": kind, "sort": sort, "closed": "1" if closed else ""}
        return face.render(
            request, "chart_differences.html", rows=rows, every=every, kinds=KINDS, kind=kind, closed=closed,
            sort=sort if sort in SORTS else "found", sorts=SORTS, href=href_of,
            csv=f"{HERE}.csv?{urlencode({k: v for k, v in asked.items() if v})}",
            caught=sides_of(face).caught(_now(face) - NET), why=WHY, finders=FINDERS,
        )  # fmt: skip

    @router.post(HERE + "/close")
    def close(request: Request, who: Who, form: Posted) -> Response:
        facts = {"difference": str(form.get("difference", "")), "reason": str(form.get("reason", "")).strip()}
        try:
            face.acts.act("difference-close", facts, who, str(form.get("key", "")))
        except BillingError as error:
            request.session["flash"] = {"tone": "red", "say": f"Nothing was closed: {error}"[:300]}
            return RedirectResponse(HERE, status_code=303)
        face.seen(request, "closed a difference between chart and book")
        request.session["flash"] = {"tone": "green", "say": "Closed. It opens again when the chart changes once more."}
        return RedirectResponse(HERE, status_code=303)

    @router.get("/desk/proposals/{claim}/{mark}")
    def one(request: Request, who: Who, claim: str, mark: str) -> Response:
        return page(request, found(claim, mark))

    @router.post("/desk/proposals/{claim}/{mark}/{kind}")
    def decide(request: Request, who: Who, form: Posted, claim: str, mark: str, kind: str) -> Response:
        shown = found(claim, mark)
        if kind not in {act.kind for act in acts_of(shown)}:
            raise NotThere(f"This proposal cannot be told {kind[:20]}", fix="use its own buttons")
        facts = {"proposal": shown.proposal.key, "reason": str(form.get("reason", "")).strip()}
        try:
            face.acts.act(f"proposal-{kind}", facts, who, str(form.get("key", "")))
        except BillingError as error:
            return page(request, shown, status=422, failed=kind, error=str(error))
        face.seen(request, f"told a proposal {kind}", claim)
        say = {"accept": f"{claim}: accepted. {shown.to_do}.", "done": f"{claim}: noted as sent."}
        request.session["flash"] = {"tone": "green", "say": say.get(kind, f"{claim}: what was sent stands.")}
        return RedirectResponse(HERE, status_code=303)

    def found(claim: str, mark: str) -> ProposalPage:
        shown = sides_of(face).proposal(f"{claim}:{mark}")
        if shown is None:
            raise NotThere("There is no such proposal", fix="open it from Chart and book")
        return shown

    def page(
        request: Request, shown: ProposalPage, *, status: int = 200, failed: str = "", error: str = ""
    ) -> Response:
        face.seen(request, "read a proposal", shown.claim)
        return face.render(
            request, "proposal.html", status=status, page=shown, acts=acts_of(shown), kinds=KINDS,
            base=href_of(shown.proposal.key), failed=failed, error=error, here=HERE,
        )  # fmt: skip

    return router


def _now(face: Face) -> datetime:
    return face.settings.now()


def href_of(key: str) -> str:
    """A proposal's address: its claim's number and a mark, nothing of the chart."""
    claim, _, mark = key.rpartition(":")
    return f"/desk/proposals/{claim}/{mark}"


def kept(rows: Iterable[SideRow], kind: str, sort: str) -> list[SideRow]:
    """The rows that fit, in the order asked for; the newest, dearest and first of a kind come first."""
    order = SORTS.get(sort, SORTS["found"])[1]
    some = [row for row in rows if not kind or row.kind == kind]
    return sorted(some, key=order, reverse=sort not in {"kind", "patient"})  # type: ignore[arg-type]


def acts_of(shown: ProposalPage) -> list[Act]:
    """What may be decided of a proposal now."""
    status, acts = shown.proposal.status, []
    if status == "open":
        what = f"{shown.to_do}. It stands on the list until you say that it was sent; nothing leaves by itself."
        optional = Field(name="reason", label="Note", required=False)
        acts.append(Act(kind="accept", label="Accept", button="Accept the proposal", what=what, fields=(optional,)))
    if status == "accepted":
        what = "The payer has been sent what was accepted. What the payer holds is what the chart says."
        acts.append(Act(kind="done", label="It was sent", button="Note it as sent", what=what, fields=(WHY,)))
    if status in {"open", "accepted"}:
        what = (
            "What was sent stands, although the chart says something else. It is not asked again for the same change."
        )
        acts.append(Act(kind="dismiss", label="Dismiss", button="Dismiss the proposal", what=what, fields=(WHY,)))
    return acts


def sheet(rows: Iterable[SideRow]) -> str:
    """Rows as CSV: numbers as numbers, days as ISO."""
    out = io.StringIO()
    writer = csv.writer(out)
    heads = (
        "kind",
        "bill",
        "patient",
        "payer",
        "visit",
        "what differs",
        "status",
        "money",
        "found",
        "closed",
        "by",
        "why",
    )
    writer.writerow(heads)
    for row in rows:
        texts = [
            KINDS[row.kind][2],
            row.number,
            row.patient_name,
            row.payer_name,
            row.served_on or "",
            row.say,
            row.status,
        ]
        ends = [row.found_at.isoformat(), row.closed_at.isoformat() if row.closed_at else "", row.closed_by, row.why]
        money = show(row.money) if row.money is not None else ""
        writer.writerow([*map(harmless, texts), money, *map(harmless, ends)])
    return out.getvalue()
