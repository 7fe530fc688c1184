"""A new EHR is connected by trying it: each interaction that we need is asked for once, and the table says what came of it.

The statement of an EHR is a promise; what is remembered is what it did. Nothing here knows any EHR by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx2

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.domain.errors import BillingError, EhrUnavailable, NotAllowed, TokenRefused
from fhir_billing.ehr import rungs
from fhir_billing.ehr.check import choosing, closing, connection, reading, writing
from fhir_billing.ehr.check.asking import Answer, Bench, Try, Verdict, missing, not_tried
from fhir_billing.ehr.check.statement import Statement
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect

PATIENCE = httpx2.Timeout(10.0, connect=5.0)
SILENT = 3
"""After so many questions in a row without an answer the others are not asked."""
Step = Callable[[int, int, Interaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run may do."""

    writes: bool = False
    patient: str = ""
    public_url: str = ""
    also: tuple[str, ...] = ()
    """Ways of finding visits that need nothing of the EHR's FHIR, such as HL7 v2."""
    able: tuple[tuple[str, str], ...] = ()
    """Needs of the ladder that are met without the EHR's FHIR, such as ("hl7v2", "send")."""


def check(settings: EhrSettings, wanted: Wanted, now: datetime, step: Step | None = None) -> Conformance:
    """Try one EHR; `step` hears of each row as it is known. Every failure is a row."""
    bench, first = _opened(settings, wanted, now)
    kinds = [need.kind for rung in rungs.ladder() for need in rung.needs if need.kind[:1].isupper()]
    rest = (*reading.tries(), *closing.tries(), *writing.tries(kinds))
    tries = (*first, *rest)
    rows: list[Interaction] = []
    silent = 0 if bench.facts.get("reachable") != "no" else SILENT
    try:
        for one in tries:
            verdict, silent = _tried(one, bench, silent)
            rows.append(_row(one, bench, verdict))
            if step:
                step(len(rows), len(tries), rows[-1])
    finally:
        writing.take_away(bench)
    return _concluded(settings, bench, rows, wanted)


def _opened(settings: EhrSettings, wanted: Wanted, now: datetime) -> tuple[Bench, tuple[Try, ...]]:
    """Ask what it is and where tokens are had, then be ready to sign in."""
    bare = Bench(client=FhirClient(settings.url, httpx2.Client(timeout=PATIENCE)), statement=Statement(), now=now)
    said = _asked(bare, "metadata", "application/fhir+json")
    smart = _asked(bare, ".well-known/smart-configuration", "application/json") if said.status else said
    statement = Statement(
        body=said.body if said.is_a("CapabilityStatement") else {}, smart=smart.body if smart.is_good else {}
    )
    client, broken = bare.client, None
    try:
        client = connect(settings)[0].client if said.status else client
    except BillingError as error:
        broken = error
    patient = f"Patient/{wanted.patient.rpartition('/')[2]}" if wanted.patient else ""
    bench = Bench(
        client=client, statement=statement, now=now, patient=patient, writes=wanted.writes, public_url=wanted.public_url
    )
    bench.able |= set(wanted.able)
    bench.facts["reachable"] = "yes" if said.status else "no"
    asked = frozenset(settings.scopes.split()) if client is not bare.client and _signs_in(settings) else frozenset()
    return bench, connection.tries(said, smart, asked, broken, named=bool(settings.key_id or not settings.key))


def _asked(bench: Bench, path: str, accept: str) -> Answer:
    try:
        return bench.ask("GET", path, headers={"Accept": accept}, bare=True)
    except BillingError:
        return Answer(status=0)


def _signs_in(settings: EhrSettings) -> bool:
    """Whether there is a key or a secret to sign in with."""
    return bool(settings.key or settings.secret_env or settings.secret_file)


def _tried(one: Try, bench: Bench, silent: int) -> tuple[Verdict, int]:
    if one.group != connection.GROUP and (silent >= SILENT or bench.facts.get("token") == "none"):
        return not_tried("the EHR stopped answering" if silent >= SILENT else "there is no token"), silent
    if one.writes and not bench.writes:
        return not_tried("run with --write"), silent
    try:
        return one.attempt(bench), 0
    except EhrUnavailable as error:
        return missing(error.say), silent + 1
    except (NotAllowed, TokenRefused) as error:
        return Verdict(found=Found.FORBIDDEN, say=error.say), 0
    except BillingError as error:
        return missing(error.say), silent
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return missing(f"its answer has a shape that FHIR does not have ({type(error).__name__})"), silent


def _row(one: Try, bench: Bench, verdict: Verdict) -> Interaction:
    return Interaction(
        key=one.key,
        group=one.group,
        what=one.what,
        declared=one.declared(bench.statement),
        found=verdict.found,
        say=verdict.say,
        instead="" if verdict.found is Found.WORKS else verdict.instead or one.instead,
    )


def _concluded(settings: EhrSettings, bench: Bench, rows: Sequence[Interaction], wanted: Wanted) -> Conformance:
    rung = choosing.rung(bench)
    facts = {
        key: value
        for key, value in bench.facts.items()
        if key not in {"granted", "version", "subscription", "topic-subscription"}
    }
    facts["rung-by"] = "tried" if rung and all((n.kind, n.act) in bench.able for n in rung.needs) else "declared"
    triggers, gathering = choosing.ways(rows, bench, wanted.also), choosing.gathering(rows)
    name = rung.name if rung else ""
    facts["sentences"] = "\n".join(
        (
            choosing.found_sentence(triggers),
            choosing.read_sentence(gathering),
            choosing.told_sentence(name, by_word=facts["rung-by"] == "declared"),
        )
    )
    facts["probes"] = "yes" if bench.writes else "no"
    if bench.left:
        facts["left"] = "; ".join(bench.left)
    return Conformance(
        url=settings.url,
        at=bench.now,
        software=bench.statement.software,
        fhir_version=bench.statement.fhir_version,
        asked_scopes=tuple(sorted(settings.scopes.split())),
        granted_scopes=tuple(bench.facts.get("granted", "").split()),
        interactions=tuple(rows),
        triggers=triggers,
        rung=name,
        gathering=gathering,
        facts=facts,
    )
