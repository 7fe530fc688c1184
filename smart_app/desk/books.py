"""Three trial balances close a day: the ledger sums to zero, the claim pages sum to the ledger, and clearing is money on its way."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from fhir_billing.cycle.arithmetic import Check
from fhir_billing.cycle.views import Books
from fhir_billing.domain.errors import BillingError
from fhir_billing.domain.money import spoken
from smart_app.desk.acts import amount_of
from smart_app.face import Face, Posted, Who


def routes(face: Face) -> APIRouter:
    """Month-end."""
    router = APIRouter()

    def page(request: Request, *, status: int = 200, failed: str = "", error: str = "") -> Response:
        face.seen(request, "read the trial balances")
        books = face.views.books()
        return face.render(
            request, "books.html", status=status, books=books, checks=trial_balances(books), failed=failed, error=error
        )

    @router.get("/books")
    def month_end(request: Request, who: Who) -> Response:
        return page(request)

    @router.post("/books/deposit")
    def deposit(request: Request, who: Who, form: Posted) -> Response:
        trace = str(form.get("trace", ""))
        try:
            facts = {
                "trace": trace,
                "amount": amount_of(str(form.get("amount", ""))),
                "payer": str(form.get("payer", "")),
            }
            face.acts.act("deposit", facts, who, str(form.get("key", "")))
        except BillingError as error:
            return page(request, status=422, failed=trace, error=str(error))
        face.seen(request, "did deposit", trace)
        request.session["flash"] = {"tone": "green", "say": f"The deposit for {trace} is entered."}
        return RedirectResponse("/books", status_code=303)

    return router


def trial_balances(books: Books) -> list[Check]:
    """The three, each with its sum or the cents by which it fails."""
    waiting = sum(trace.waiting for trace in books.traces)
    off_claims, off_clearing = books.receivables - books.on_claims, books.clearing - waiting
    return [
        Check(
            holds=books.total == 0,
            title="The ledger sums to zero" if books.total == 0 else f"The ledger is off by {spoken(books.total)}",
            detail=f"{books.journals:,} journals, {sum(a.postings for a in books.accounts):,} postings",
        ),
        Check(
            holds=off_claims == 0,
            title="The claims add up to the ledger"
            if off_claims == 0
            else f"Claims and ledger differ by {spoken(off_claims)}",
            detail=f"{spoken(books.on_claims)} open on claim pages, {spoken(books.receivables)} in the ledger",
        ),
        Check(
            holds=off_clearing == 0,
            title="Clearing is money on its way" if off_clearing == 0 else f"Clearing is off by {spoken(off_clearing)}",
            detail=f"{spoken(waiting)} announced and not in the bank yet",
        ),
    ]
