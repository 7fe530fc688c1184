"""A visit is looked for as the product would: by state, by id, with what belongs to it, in one request or in several.

Each answer is held against what was asked: a search that gives more than it was asked for, an `_include` that brings nothing,
a page without a next one are seen here and not in the middle of somebody's bill.
Spec: FHIR R4 search (`_include`, `_revinclude`, `_count`, paging), batch, ETag and If-None-Match.
"""

from __future__ import annotations

import re
from functools import partial

from fhir_billing.cycle.conformance import Found
from fhir_billing.ehr.check.asking import (
    Answer,
    Bench,
    Try,
    Verdict,
    declares,
    ignored,
    missing,
    not_tried,
    partly,
    references,
    works,
)
from fhir_billing.ehr.client import Resource

GROUP = "reading"
NOBODY = "conformance-probe-nobody"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
AT_VISIT = {"Condition": "encounter", "Procedure": "encounter", "ChargeItem": "context"}
KINDS = {
    "Patient": ("patient", "Patients"),
    "Coverage": ("coverage", "Coverages, by patient"),
    "Condition": ("condition", "Diagnoses, by visit or patient"),
    "Procedure": ("procedure", "Procedures, by visit or patient"),
    "ChargeItem": ("charge-item", "Charges, by visit or patient"),
    "Practitioner": ("practitioner", "Practitioners"),
    "Organization": ("organization", "Organizations: payers and ourselves"),
    "Location": ("location", "Locations"),
}


def tries() -> tuple[Try, ...]:
    """What reading a visit needs."""
    one = partial(Try, group=GROUP)
    kinds = [
        one(
            key=f"read-{key}",
            what=what,
            attempt=partial(_kind, kind=kind),
            declared=partial(declares, kind=kind, act="read"),
            instead="what lacks is a finding on the bill, and a person adds it",
        )
        for kind, (key, what) in KINDS.items()
    ]
    return (
        one(
            key="search-visit", what="Finished visits, by search", attempt=_search_visit,
            declared=lambda s: s.declares("Encounter", "search"),
            instead="visits are looked for by patient, from the day's appointments",
        ),
        one(
            key="read-visit", what="One visit, by id", attempt=_read_visit,
            declared=lambda s: s.declares("Encounter", "read"), instead="nothing can stand in for this",
        ),
        *kinds,
        one(
            key="search-includes", what="A visit with all that belongs to it, in one search (_include, _revinclude)",
            attempt=_includes, declared=lambda s: s.includes(), instead="what belongs to it is read by batch, or singly",
        ),
        one(
            key="batch", what="Several readings in one request (batch)", attempt=_batch,
            declared=lambda s: s.interacts("batch"), instead="each resource is read by itself",
        ),
        one(
            key="paging", what="A long answer comes in pages", attempt=_paging,
            instead="large pages are asked for, and an answer that is kept back is an error, not a gap",
        ),
        one(
            key="version", what="Every resource has a version (ETag)", attempt=_version,
            instead="what is written is read again first; two writers may meet",
        ),
        one(
            key="conditional-read", what="What has not changed is not sent again (If-None-Match)", attempt=_not_modified,
            instead="it is read whole each time",
        ),
    )  # fmt: skip


def _search_visit(bench: Bench) -> Verdict:
    answer = bench.ask("GET", "Encounter", {"status": "finished", "_count": "50"})
    if answer.is_a("Bundle"):
        return _searched(bench, answer.rows("Encounter"))
    refused = answer.refusal()
    if not bench.patient:
        return Verdict(
            found=refused.found, say=f"{refused.say}; by patient: not tried (give --patient)", instead=refused.instead
        )
    by_patient = bench.ask("GET", "Encounter", {"patient": bench.patient})
    if not by_patient.is_a("Bundle"):
        return Verdict(found=refused.found, say=f"{refused.say}; by patient it does not work either")
    bench.visits = by_patient.rows("Encounter")
    bench.facts["visits-by"] = "patient"
    return partly(f"{refused.say} without a patient; with one it works")


def _searched(bench: Bench, found: list[Resource]) -> Verdict:
    bench.visits = found
    nobody = bench.ask("GET", "Encounter", {"_id": NOBODY})
    bench.facts["visits-by"] = "state"
    others = [r for r in found if r.get("status") != "finished"]
    if others or nobody.rows("Encounter"):
        return ignored("it gives visits that were not asked for", "what was not asked for is passed over")
    if not found:
        any_visit = bench.ask("GET", "Encounter", {"_count": "10"})
        bench.visits = any_visit.rows("Encounter")
        return works("it answers; no visit is finished there")
    return works()


def _read_visit(bench: Bench) -> Verdict:
    ids = [str(r["id"]) for r in bench.visits if r.get("id")]
    if not ids:
        return not_tried("no visit was found to read; chart a test visit, or give --patient")
    answer = bench.ask("GET", f"Encounter/{ids[0]}")
    if not answer.is_a("Encounter"):
        return answer.refusal()
    bench.visit = answer.body
    bench.patient = bench.patient or next(references(answer.body.get("subject"), "Patient"), "")
    bench.facts["version"] = answer.version
    bench.facts["etag"] = _shape(answer.version)
    return works() if answer.body.get("id") == ids[0] else missing("it gives another visit than the one asked for")


def _shape(version: str) -> str:
    if not version:
        return "none"
    return "number" if version.isdigit() else "uuid" if _UUID.fullmatch(version) else "other"


def _queries(bench: Bench, kind: str) -> list[dict[str, str]]:
    """How a type would be looked for, the narrowest first."""
    by_visit = {AT_VISIT[kind]: f"Encounter/{bench.visit['id']}"} if kind in AT_VISIT and bench.visit else {}
    of = {"patient": bench.patient} if bench.patient and kind in {"Coverage", *AT_VISIT} else {}
    own = {"_id": bench.patient.rpartition("/")[2]} if kind == "Patient" and bench.patient else {}
    wide = {"_count": "5"} if kind in {"Practitioner", "Organization", "Location"} else {}
    return [query for query in (by_visit, own, of, wide) if query]


def _kind(bench: Bench, kind: str) -> Verdict:
    if not bench.grants(kind, "search") and not bench.grants(kind, "read"):
        return Answer(status=403, asked=False).refusal()
    say, refused, searched = [], None, False
    for query in _queries(bench, kind):
        answer = bench.ask("GET", kind, query)
        if answer.is_a("Bundle"):
            searched = True
            if rows := answer.rows(kind):
                bench.about[kind] = rows[0]
                break
        else:
            refused = answer.refusal()
            say.append(f"search by {', '.join(query)}: {refused.say}")
    place = _place(bench, kind)
    if not place:
        if searched:
            return works("search answers; there is none to read")
        return refused or not_tried("no visit and no patient is known to look by")
    read = bench.ask("GET", place)
    if not read.is_a(kind):
        failed = read.refusal()
        return partly(f"found by search, not read by id: {failed.say}") if searched else failed
    bench.about.setdefault(kind, read.body)
    return works() if not say else partly(f"read by id; {'; '.join(say)}") if not searched else works("; ".join(say))


def _place(bench: Bench, kind: str) -> str:
    """One resource of a type to read: what a search found, or what the visit points at."""
    if kind in bench.about and bench.about[kind].get("id"):
        return f"{kind}/{bench.about[kind]['id']}"
    if kind == "Patient" and bench.patient:
        return bench.patient
    return next(references(bench.visit, kind), "")


def _includes(bench: Bench) -> Verdict:
    if not bench.visit:
        return not_tried("no visit was found to read")
    visit, kind = _visit_with_more(bench)
    params = [("_id", visit), ("_include", "Encounter:subject")]
    if kind:
        params.append(("_revinclude", f"{kind}:{AT_VISIT[kind]}"))
    answer = bench.ask("GET", "Encounter", params)
    if not answer.is_a("Bundle"):
        return answer.refusal()
    people, more = bool(answer.rows("Patient")), bool(kind and answer.rows(kind))
    bench.facts["include"] = "honoured" if people else "ignored"
    bench.facts["revinclude"] = "honoured" if more else "ignored" if kind else "not tried"
    if people and (more or not kind):
        return works() if kind else partly("_include is honoured; no visit has anything to try _revinclude with")
    if people or more:
        return partly(f"{'_include' if people else '_revinclude'} is honoured, the other is silently ignored")
    return ignored("both are silently ignored")


def _visit_with_more(bench: Bench) -> tuple[str, str]:
    """A visit, and a type of resource that is known to point at it; the type is empty when none is known."""
    for kind, element in AT_VISIT.items():
        pointing = next(references((bench.about.get(kind) or {}).get(element), "Encounter"), "")
        if pointing:
            return pointing.rpartition("/")[2], kind
    for visit in bench.visits[:10]:
        for kind, element in AT_VISIT.items():
            answer = bench.ask("GET", kind, {element: f"Encounter/{visit.get('id', '')}"})
            if answer.rows(kind):
                return str(visit["id"]), kind
    return str(bench.visit["id"]), ""


def _batch(bench: Bench) -> Verdict:
    wanted = [f"Encounter/{bench.visit['id']}"] if bench.visit else []
    wanted += [f"{kind}/{found['id']}" for kind, found in bench.about.items() if found.get("id")][:2]
    if not wanted:
        return not_tried("nothing was found to read")
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": place}} for place in wanted],
    }
    answer = bench.ask("POST", "", body=bundle)
    if not answer.is_a("Bundle"):
        return answer.refusal()
    came = {f"{r.get('resourceType')}/{r.get('id')}" for r in answer.rows()}
    if set(wanted) <= came:
        return works(f"{len(wanted)} in one")
    return partly(f"{len(came & set(wanted))} of {len(wanted)} came", "each resource is read by itself")


def _paging(bench: Bench) -> Verdict:
    kind = next(
        (k for k in ("Encounter", "Practitioner", "Condition") if k == "Encounter" and bench.visits), "Condition"
    )
    answer = bench.ask("GET", kind, {"_count": "1"})
    if not answer.is_a("Bundle"):
        return answer.refusal()
    first, following = answer.rows(kind), answer.link("next")
    if len(first) > 1:
        return ignored("it takes no word on how many (_count)")
    total = answer.body.get("total")
    if not following:
        if isinstance(total, int) and total > len(first):
            return partly(f"it counts {total}, gives {len(first)}, and names no next page")
        if len(bench.visits) > 1 and kind == "Encounter":
            return partly("it gives one of several, and names no next page")
        return not_tried("there is one at most, and so one page")
    if not _is_here(bench, following):
        return Verdict(found=Found.MISSING, say="its next page lies at another server, where no token of ours goes")
    second = bench.ask("GET", following)
    ids = {r.get("id") for r in first}
    if second.is_a("Bundle") and all(r.get("id") not in ids for r in second.rows(kind)):
        return works()
    return missing("its next page is the same page" if second.is_a("Bundle") else second.refusal().say)


def _is_here(bench: Bench, url: str) -> bool:
    return "://" not in url or url.split("/")[:3] == bench.client.base.split("/")[:3]


def _version(bench: Bench) -> Verdict:
    if not bench.visit:
        return not_tried("no visit was found to read")
    shape = bench.facts.get("etag", "none")
    return missing("none") if shape == "none" else works({"number": "a number", "uuid": "a UUID"}.get(shape, "its own"))


def _not_modified(bench: Bench) -> Verdict:
    version = bench.facts.pop("version", "")
    if not version or not bench.visit:
        return not_tried("no version is known")
    answer = bench.ask("GET", f"Encounter/{bench.visit['id']}", headers={"If-None-Match": f'W/"{version}"'})
    if answer.status == 304:
        return works()
    return ignored("it sends the whole again") if answer.is_good else answer.refusal()
