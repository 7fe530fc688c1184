"""`doctor`: what is set up, what is not, and how to fix it, one line each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.cycle.conformance import Conformance
    from fhir_billing.wiring import Installation, Wiring

CHECK_AGAIN = 90
"""Days after which a check is called old: EHRs change with each release."""
ENDED = frozenset({"error", "off"})
"""What an EHR says of a subscription that does not ring."""
Check = tuple[str, Callable[[], str]]


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(args: argparse.Namespace) -> int:
    """0 when all that is set up works; 1 when something is NOT OK; 3 when a store, service or file that is named is no use."""
    from fhir_billing.domain.errors import BillingError

    found, code = _installed()
    if found is None:
        return code
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


def _installed() -> tuple[Installation | None, int]:
    """What can be looked over; a tenant file that cannot be read hides no other, and is said."""
    from fhir_billing.settings import Settings
    from fhir_billing.tenants import TenantInvalid, read_each
    from fhir_billing.wiring import Installation, SystemClock, install

    try:
        return install(), 0
    except TenantInvalid:
        shared = Settings()
        tenants, faults = read_each(shared.tenants) if shared.tenants else ({}, [])
        if not faults:
            raise
    for fault in faults:
        print(f"{'tenant':10}  NOT OK: {fault}; serve and worker do not start")
    tenants = {name: one for name, one in tenants.items() if shared.tenant in {"", name}}
    return Installation(shared=shared, clock=SystemClock(), tenants=tenants) if tenants else None, 3


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
        code = max(code, int("NOT OK" in say))
    return code


def _checks(wiring: Wiring) -> list[Check]:
    return [
        ("site", lambda: _site(wiring)),
        ("store", lambda: _store(wiring)),
        ("bells", lambda: _bells(wiring)),
        ("book", lambda: _audit(wiring)),
        ("redis", lambda: _redis(wiring.settings.redis_url)),
        ("ehr", lambda: _ehr(wiring)),
        ("triggers", lambda: _triggers(wiring)),
        *([("mllp", lambda: _mllp(wiring))] if wiring.settings.mllp_listen else []),
        *([("apps", lambda: _apps(wiring))] if wiring.settings.apps else []),
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


def _word(wiring: Wiring, setting: str) -> str:
    """How a setting is named where this one's settings come from."""
    from fhir_billing.tenants.words import WORDS

    if not wiring.settings.tenant:
        return f"FHIR_BILLING_{setting.upper()}"
    return f"{next(word for word, known in WORDS.items() if known.setting == setting)} in its tenant file"


def _ehr(wiring: Wiring) -> str:
    if not wiring.settings.ehr_url:
        return f"not set up: set {_word(wiring, 'ehr_url')}"
    ehr, run = wiring.ehr, wiring.conformance
    said = f"answers: {ehr[0].check() if ehr else ''}"
    return "; ".join(filter(None, (said, _unwritten(wiring, run), _checked(wiring, run))))


def _unwritten(wiring: Wiring, run: Conformance | None) -> str:
    """Why the chart cannot be told, when no check has seen by what it is and the scopes that are asked for let nothing be written."""
    from fhir_billing.ehr import rungs, scopes

    settings = wiring.settings
    if not settings.ehr_write_back or not (settings.ehr_key or settings.ehr_secret_env or settings.ehr_secret_file):
        return ""
    if settings.ehr_rung == "auto" and run is not None and run.rung and _is_of(run, settings.ehr_url):
        return ""
    ways = rungs.ladder() if settings.ehr_rung == "auto" else (rungs.named(settings.ehr_rung),)
    needs = [need for way in ways for need in way.needs if need.kind[:1].isupper() and not need.act.startswith("$")]
    asked = settings.ehr_scopes.split()
    if not needs or not scopes.speak_of_types(asked) or any(scopes.allows(asked, one.kind, one.act) for one in needs):
        return ""
    return (
        f"NOT OK for writing: no scope that is asked for allows it; set {_word(wiring, 'ehr_scopes')}, "
        f"or {_word(wiring, 'ehr_write_back')} to false"
    )


def _is_of(run: Conformance, url: str) -> bool:
    return run.url.rstrip("/") == url.rstrip("/")


def _checked(wiring: Wiring, run: Conformance | None) -> str:
    """How old the last check is, and by what the chart is told since."""
    settings = wiring.settings
    if run is None:
        return "never checked: run `fhir-billing ehr check --save`"
    days = (wiring.clock.now() - run.at).days
    age = "today" if days < 1 else f"{days} days ago"
    if not _is_of(run, settings.ehr_url):
        return f"NOT OK: another EHR was checked {age}; run `fhir-billing ehr check --save`"
    if not run.is_usable():
        return f"NOT OK: checked {age}, and not usable; see `fhir-billing ehr show`"
    late = "" if days < CHECK_AGAIN else ": check it again"
    chosen = run.rung or "what it takes (not tried: run with --write)"
    told = chosen if settings.ehr_rung == "auto" else settings.ehr_rung
    return f"checked {age}{late}, the chart is told {f'by {told}' if settings.ehr_write_back else 'nothing'}"


def _triggers(wiring: Wiring) -> str:
    """How closed visits are looked for, and whether the EHR can ring where it is meant to."""
    from fhir_billing.worker import subscribing, topics

    settings = wiring.settings
    if wiring.ehr is None:
        return "no EHR is set up"
    wiring.ehr[0].triggers(topics.Memory(wiring))  # an unknown word is said
    chosen = [word.strip() for word in settings.ehr_triggers.split(",") if word.strip()]
    rings = [way for way in subscribing.NEEDS if way in chosen]
    held = topics.held(wiring)
    faults = [
        f"the EHR says {one.status} of its {one.way} (Subscription/{one.id})" for one in held if one.status in ENDED
    ]
    if rings and not (settings.hook_secret or settings.hook_allow):
        faults.append(
            f"{', '.join(rings)}: nobody is asked to ring without a secret; set {_word(wiring, 'hook_secret')}"
        )
    if "hl7v2" in chosen and not settings.mllp_listen:
        faults.append(f"hl7v2: nobody listens; set {_word(wiring, 'mllp_listen')}")
    heard = "".join(f"; it rings by {one.way} ({one.status or 'no status'})" for one in held if one.status not in ENDED)
    return f"{', '.join(chosen)}{heard}" + "".join(f"; NOT OK: {fault}" for fault in faults)


def _mllp(wiring: Wiring) -> str:
    from fhir_billing.worker import mllp

    settings = wiring.settings
    host, port = mllp.address(settings.mllp_listen)
    among = mllp.networks(settings.mllp_allow or mllp.LOOPBACK)
    return f"HL7 v2 arrives at {host}:{port} from {', '.join(map(str, among))}"


def _apps(wiring: Wiring) -> str:
    for app in wiring.apps.values():
        if app.secret_env:
            app.secret()
    return ", ".join(wiring.apps) or "NOT OK: the folder holds no app file"


def _sign_in(wiring: Wiring) -> str:
    settings = wiring.settings
    if settings.oidc_issuer:
        secret = "" if settings.session_secret else "; NOT OK: set FHIR_BILLING_SESSION_SECRET"
        return f"by {settings.oidc_issuer}{secret}"
    fix = f"not set up: set {_word(wiring, 'oidc_issuer')}, nobody can sign in"
    return "the demo user" if settings.demo else fix


def _launches(wiring: Wiring) -> str:
    """Each launch file, its secret, and whether its EHR says where one signs in."""
    if not wiring.settings.launches:
        return f"not set up: clinicians open no page (set {_word(wiring, 'launches')} to a folder of launch files)"
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
