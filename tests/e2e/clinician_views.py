"""Every page that a clinician may see, each opened as an EHR opens it: what axe reads and what the contact sheet shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_billing.domain.lifecycle import State
from tests.e2e.bedside import Patient, Ward

if TYPE_CHECKING:
    from playwright.sync_api import Page

View = Callable[["Page", Ward], None]
LAUNCHED = re.compile(r"/v/[^/]+/visit")
_PATIENTS: dict[tuple[str, str], Patient] = {}


def _patient(ward: Ward, role: str) -> Patient:
    """One patient a role and bedside, however often a view is shown."""
    known = _PATIENTS.get((ward.base, role))
    if known is None or (role == "sent" and not _waits(ward, known)):
        known = _PATIENTS[ward.base, role] = ward.admit(diagnosed=role in {"ready", "sent", "paid"})
        if role == "sent":
            ward.finish(known)
            ward.send()
        if role == "paid":
            ward.finish(known)
            ward.poll()
    return known


def _waits(ward: Ward, patient: Patient) -> bool:
    """Whether the payer has not answered yet: it does as soon as anybody at this bedside asks it."""
    with ward.wiring.store.looking() as book:
        return all(claim.state is State.SENT for claim in book.claims(patient=patient.reference))


def _opened(page: Page, ward: Ward, role: str, **more: Any) -> str:
    """Launched; the address that the pages of this chart begin with."""
    page.goto(ward.launch_url(_patient(ward, role), **more))
    page.wait_for_url(LAUNCHED)
    return page.url.partition("/visit")[0]


def _needs_you(page: Page, ward: Ward) -> None:
    _opened(page, ward, "needs-you")


def _answered(page: Page, ward: Ward) -> None:
    _opened(page, ward, "answered")
    if page.get_by_role("button", name="Sore throat").count():
        page.get_by_role("button", name="Sore throat").click()
        page.get_by_text("Change").first.wait_for()


def _ready(page: Page, ward: Ward) -> None:
    _opened(page, ward, "ready")


def _sent(page: Page, ward: Ward) -> None:
    _opened(page, ward, "sent")


def _paid(page: Page, ward: Ward) -> None:
    _opened(page, ward, "paid")


def _bills(page: Page, ward: Ward) -> None:
    page.goto(_opened(page, ward, "paid") + "/bills")


def _questions(page: Page, ward: Ward) -> None:
    page.goto(_opened(page, ward, "needs-you") + "/questions")


def _codes(page: Page, ward: Ward) -> None:
    page.goto(_opened(page, ward, "needs-you") + "/codes")
    page.get_by_role("searchbox").or_(page.get_by_role("combobox")).first.fill("knee arthritis")
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)


def _level(page: Page, ward: Ward) -> None:
    page.goto(_opened(page, ward, "needs-you") + "/level")


def _which_visit(page: Page, ward: Ward) -> None:
    _opened(page, ward, "needs-you", encounter=None)


def _over(page: Page, ward: Ward) -> None:
    page.goto(f"{ward.base}/v/nobody-opened-this/visit")


VIEWS: dict[str, View] = {
    "needs-you": _needs_you,
    "answered": _answered,
    "nothing-missing": _ready,
    "with-the-payer": _sent,
    "paid": _paid,
    "bills": _bills,
    "my-questions": _questions,
    "code-finder": _codes,
    "visit-level": _level,
    "which-visit": _which_visit,
    "session-over": _over,
}
