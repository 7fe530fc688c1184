"""A clinician finds a code by a few words: what this chart says first, then what they keep at hand and used before.

Words are sent in a form and never stand in an address: what somebody looks for tells of the patient. A code is picked as the
answer to the question that the search came from; without one, picking keeps it at hand. No prices anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fhir_billing.code_tables import CHARGE, DIAGNOSIS, CodeDesk
from fhir_billing.domain.errors import BillingError, NotThere
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.finder.search import Hit, Mine
from smart_app.clinician.at_hand import at_hand, open_ones, short, visit_of
from smart_app.clinician.this_visit import framed, whose
from smart_app.face import Face
from smart_app.launch.session import Here, Launched, Said, SessionOver, chart_of, launching_of, name_of
from smart_app.look import VISITS

CHART_SECONDS: Final = 300
MOST: Final = 20
TABLES: Final = {DIAGNOSIS: "Diagnoses", CHARGE: "Charges"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What somebody looks for."""

    table: str = DIAGNOSIS
    words: str = ""
    question: str = ""
    """The question that a pick answers."""
    ask: str = ""
    """The same as it was asked, to be read while looking."""
    under: str = ""
    """The heading that was opened."""

    @staticmethod
    def sent(form: Mapping[str, object]) -> Looking:
        """As the page sent it."""
        table = str(form.get("table", ""))
        return Looking(
            table=table if table in TABLES else DIAGNOSIS,
            words=str(form.get("words", ""))[:200],
            question=str(form.get("question", ""))[:200],
            ask=str(form.get("ask", ""))[:500],
            under=str(form.get("under", ""))[:10],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One code as it is shown."""

    hit: Hit
    code: str
    system: str
    kept: bool
    why: str


def routes(face: Face) -> APIRouter:
    """The code finder."""
    router = APIRouter()

    @router.get("/v/{handle}/codes")
    def codes(request: Request, here: Here) -> Response:
        return shown(face, request, here, asked(face, request, here, request.query_params.get("for", "")))

    @router.post("/v/{handle}/codes")
    def look(request: Request, here: Here, form: Said) -> Response:
        return shown(face, request, here, Looking.sent(form))

    @router.post("/v/{handle}/codes/keep")
    def keep(request: Request, here: Here, form: Said) -> Response:
        looking, desk = Looking.sent(form), desk_of(face)
        code = desk.one(looking.table, str(form.get("code", "")), day_of(face, request, here))
        if code is None:
            raise NotThere("This code cannot be used on the day of the visit", fix="look for another one")
        if form.get("let-go"):
            desk.habits.let_go(owner(here), code.code)
        else:
            desk.habits.keep(owner(here), code.code, looking.table)
        return shown(face, request, here, looking)

    return router


def asked(face: Face, request: Request, here: Launched, name: str) -> Looking:
    """The question that a search answers, by its short name; an unknown one is none."""
    if not name:
        return Looking()
    encounter = visit_of(request, here)
    found = at_hand(face, request, here, encounter).questions if encounter else ()
    for question in (*found, *(one.question for one in open_ones(face, here))):
        if short(question.key) == name and question.finder:
            return Looking(question=question.key, ask=question.ask, table=question.finder)
    return Looking()


def shown(face: Face, request: Request, here: Launched, looking: Looking) -> Response:
    """The page, or only the list when the page's script asks."""
    desk, on = desk_of(face), day_of(face, request, here)
    mine = desk.mine(looking.table, owner(here), names(here), near(face, request, here, looking.table))
    table = desk.table(looking.table)
    heading = table.find(looking.under) if table and looking.under else None
    if heading is not None:
        hits = desk.under(looking.table, looking.under, on=on, mine=mine)
    else:
        hits = desk.look(looking.table, looking.words, on=on, mine=mine, most=MOST)
    part = request.headers.get("hx-request") == "true"
    return (part_of if part else framed)(
        face,
        request,
        here,
        "clinician/codes_found.html" if part else "clinician/codes.html",
        at="codes",
        **({} if part else patient_of(face, request, here)),
        looking=looking,
        tables=TABLES,
        rows=[row(desk, looking.table, hit, mine) for hit in hits],
        heading=table.titles[heading] if table and heading is not None else "",
        missing=table is None,
        edition=table.edition if table else "",
        old=bool(table and table.ends and table.ends < on.isoformat()),
        on=on,
    )


def patient_of(face: Face, request: Request, here: Launched) -> dict[str, Any]:
    """Whose chart it is, for the head of the page, where the EHR does not say so itself."""
    encounter = visit_of(request, here)
    if not encounter or not here.banner:
        return {}
    name, age, day, what = whose(at_hand(face, request, here, encounter))
    return {"patient_name": name, "age": age, "served_on": day, "what": VISITS.get(what.lower(), what)}


def part_of(face: Face, request: Request, here: Launched, template: str, **facts: Any) -> Response:
    """A piece of a page that stands there already."""
    return face.framed(request, template, here=here, base=f"/v/{here.handle}", **facts)


def row(desk: CodeDesk, table: str, hit: Hit, mine: Mine) -> Row:
    """A hit as it is shown."""
    words = {"chart": f"In the chart: {hit.evidence}", "favourite": "At hand", "used": "You used it before"}
    return Row(
        hit=hit,
        code=desk.shown(table, hit.code),
        system=desk.system(table, hit.code),
        kept=hit.code in mine.favourites,
        why=words.get(hit.why, ""),
    )


def desk_of(face: Face) -> CodeDesk:
    """The site's codes. Raises NotThere where the page runs without a site."""
    if face.settings.codes is None:
        raise NotThere("There are no codes here", fix="start the page with a site")
    return face.settings.codes


def owner(here: Launched) -> str:
    """Whose favourites: the same id at two EHRs is two people."""
    return f"{here.door} {here.practitioner or here.who}"


def names(here: Launched) -> tuple[str, ...]:
    """What answers of this clinician may be signed with."""
    return tuple(dict.fromkeys((here.practitioner, name_of(here), here.who)))


def day_of(face: Face, request: Request, here: Launched) -> date:
    """The visit's day: a code must be one of that day."""
    encounter = visit_of(request, here)
    page = face.views.visit(encounter) if encounter else None
    return (page.visit.served_on if page and page.visit.patient == here.patient else None) or face.today()


def near(face: Face, request: Request, here: Launched, table: str) -> dict[str, str]:
    """Diagnosis codes that this patient's chart says, as read within some minutes; none where the EHR does not let them be read."""
    if table != DIAGNOSIS:
        return {}
    vault, key = launching_of(request).vault, f"near:{here.handle}"
    kept = vault.get(key)
    if kept is not None:
        return {str(code): str(where) for code, where in loads(kept).items()}
    try:
        problems = chart_of(request, here).problems()
    except SessionOver:
        raise
    except BillingError:
        problems = []
    found = desk_of(face).in_chart(problems)
    vault.put(key, dumps(found), seconds=CHART_SECONDS)
    return found
