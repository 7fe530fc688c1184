"""`doctor`: what is set up, what is not, and how to fix it, one line each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.wiring import Wiring

CHECK_AGAIN = 90
"""Days after which a check is called old: EHRs change with each release."""
Check = tuple[str, Callable[[], str]]


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(args: argparse.Namespace) -> int:
    """0 when all that is set up works; 3 when the store or a service that is named does not answer."""
    from fhir_billing.domain.errors import BillingError
    from fhir_billing.wiring import install

    found, code = install(), 0
    for name in found.names:
        if name:
            tenant = found.tenants[name]
            print(f"\n{name} ({tenant.title}) at {tenant.public_url}")
        try:
            code = max(code, _looked_over(found[name]))
        except BillingError as error:
            code = 3
            print(f"{'tenant':10}  NOT OK: {error}")
    return code


def _looked_over(wiring: Wiring) -> int:
    from fhir_billing.domain.errors import BillingError

    code = 0
    for name, check in _checks(wiring):
        try:
            say = check()
        except BillingError as error:
            code, say = 3, f"NOT OK: {error.say}" + (f"; {error.fix}" if error.fix else "")
        except Exception as error:
            code, say = 3, f"NOT OK: {type(error).__name__}; look at the setting"
        print(f"{name:10}  {say}")
    return code


def _checks(wiring: Wiring) -> list[Check]:
    return [
        ("site", lambda: _site(wiring)),
        ("store", lambda: _store(wiring)),
        ("bells", lambda: _bells(wiring)),
        ("book", lambda: _audit(wiring)),
        ("redis", lambda: _redis(wiring.settings.redis_url)),
        ("ehr", lambda: _ehr(wiring)),
        ("channels", lambda: ", ".join(wiring.channels)),
        ("sign-in", lambda: _sign_in(wiring)),
        ("launches", lambda: _launches(wiring)),
    ]


def _site(wiring: Wiring) -> str:
    site = wiring.site
    return f"{site.name}: {len(site.payers)} payers"


def _store(wiring: Wiring) -> str:
    counts = wiring.store.waiting_counts()
    return "ok: " + ", ".join(f"{value} {name}" for name, value in counts.items())


def _bells(wiring: Wiring) -> str:
    """How many visits could not be read so far, and why; each is tried again by itself."""
    from collections import Counter

    from fhir_billing.store.views import SqlViews

    why = Counter(row.say for row in SqlViews(wiring.store, wiring.site).in_vain())
    if not why:
        return "no visit waits to be read again"
    said = "; ".join(f"{say} ({count})" for say, count in why.most_common(3))
    return f"{why.total()} wait to be read again by themselves: {said}"


def _audit(wiring: Wiring) -> str:
    faults = wiring.store.verify()
    return "ledger, audit chain and kept bytes hold" if not faults else "NOT OK: " + "; ".join(faults[:3])


def _redis(url: str) -> str:
    if not url:
        return "not set up: the beat runs in the serving process (set REDIS_URL for several)"
    import redis

    redis.Redis.from_url(url).ping()
    return "answers"


def _ehr(wiring: Wiring) -> str:
    if not wiring.settings.ehr_url:
        return "not set up: set FHIR_BILLING_EHR_URL"
    ehr = wiring.ehr
    said = ehr[0].check() if ehr else ""
    scopes = wiring.settings.ehr_scopes
    if wiring.settings.ehr_write_back and not any(word in scopes for word in (".c", ".*", ".u", "write")):
        fix = "set FHIR_BILLING_EHR_SCOPES, or FHIR_BILLING_EHR_WRITE_BACK=false"
        return f"NOT OK for writing: {said}; {fix}; {_checked(wiring)}"
    return f"answers: {said}; {_checked(wiring)}"


def _checked(wiring: Wiring) -> str:
    """How old the last check is, and by what the chart is told since."""
    run = wiring.conformance
    if run is None:
        return "never checked: run `fhir-billing ehr check --save`"
    days = (wiring.clock.now() - run.at).days
    age = "today" if days < 1 else f"{days} days ago"
    if run.url.rstrip("/") != wiring.settings.ehr_url.rstrip("/"):
        return f"NOT OK: another EHR was checked {age}; run `fhir-billing ehr check --save`"
    if not run.is_usable():
        return f"NOT OK: checked {age}, and not usable; see `fhir-billing ehr show`"
    late = "" if days < CHECK_AGAIN else ": check it again"
    return f"checked {age}{late}, the chart is told by {run.rung or 'what it takes (not tried: run with --write)'}"


def _sign_in(wiring: Wiring) -> str:
    settings = wiring.settings
    if settings.oidc_issuer:
        secret = "" if settings.session_secret else "; NOT OK: set FHIR_BILLING_SESSION_SECRET"
        return f"by {settings.oidc_issuer}{secret}"
    return "the demo user" if settings.demo else "not set up: set FHIR_BILLING_OIDC_ISSUER, nobody can sign in"


def _launches(wiring: Wiring) -> str:
    """Each launch file, its secret, and whether its EHR says where one signs in."""
    if not wiring.settings.launches:
        return "not set up: clinicians open no page (set FHIR_BILLING_LAUNCHES to a folder of launch files)"
    if not wiring.settings.session_secret:
        return "NOT OK: set FHIR_BILLING_SESSION_SECRET"
    said = []
    for door in wiring.doors.values():
        if door.client == "secret":
            door.secret()
        found = wiring.smart.discover(door)
        framed = "" if door.frame_ancestors else ", in no frame (frame_ancestors is empty)"
        said.append(f"{door.name} signs in at {found.authorize}{framed}")
    return "; ".join(said) or "NOT OK: the folder holds no launch file"
