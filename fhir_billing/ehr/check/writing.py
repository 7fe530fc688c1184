"""What an EHR takes is tried with a probe of each kind: made, found again, changed, and taken away; nobody else's is touched.

Then the manners of writing are tried on the first kind that it takes: an old version refused, the same thing made once, a bad
entry undoing a whole transaction. What cannot be deleted stays marked as an error, and that is said.
Spec: FHIR R4 create, update, delete, If-Match (412), If-None-Exist, transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from fhir_billing.domain.errors import EhrUnavailable
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
    works,
)
from fhir_billing.ehr.check.probes import KEYS, NEEDS_PATIENT, SYSTEM, is_ours, probe
from fhir_billing.ehr.client import Resource

GROUP = "writing back"
WORDS = {
    "Task": "Tasks: the living status of a bill",
    "Claim": "Claims",
    "ClaimResponse": "The payer's answers (ClaimResponse)",
    "ExplanationOfBenefit": "Explanations of benefit",
    "Communication": "Messages (Communication)",
    "DocumentReference": "Documents (DocumentReference)",
    "ChargeItem": "Charges (ChargeItem)",
}


def tries(kinds: Iterable[str]) -> tuple[Try, ...]:
    """Every kind that some rung writes, then the manners of writing."""
    one = partial(Try, group=GROUP, writes=True)
    wanted = list(dict.fromkeys([*KEYS, *kinds]))
    rows = [
        one(
            key=KEYS.get(kind, f"write-{kind.lower()}"),
            what=WORDS.get(kind, kind),
            attempt=partial(_kind, kind=kind),
            declared=partial(declares, kind=kind, act="create"),
            instead="a lower rung of the ladder tells the chart",
        )
        for kind in wanted
    ]
    return (
        *rows,
        one(
            key="if-match", what="A write over an old version is refused (If-Match)", attempt=_if_match,
            instead="what stands there is read just before each write, and read again after it",
        ),
        one(
            key="if-none-exist", what="The same thing is made once (If-None-Exist)", attempt=_if_none_exist,
            instead="it is searched for by our identifier before it is made",
        ),
        one(
            key="transaction", what="All or nothing (transaction)", attempt=_transaction,
            declared=lambda s: s.interacts("transaction"),
            instead="each part is true by itself, in an order that holds; what fails is tried again",
        ),
        Try(
            key="submit", group=GROUP, what="A claim is handed over to it (Claim/$submit)", attempt=_submit,
            declared=lambda s: s.declares("Claim", "$submit"), instead="claims leave as X12 files",
        ),
    )  # fmt: skip


def _submit(bench: Bench) -> Verdict:
    if bench.statement.declares("Claim", "$submit"):
        return not_tried("declared; to try it would be to bill")
    return missing("not declared")


def _wanted(bench: Bench, kind: str, number: str) -> Resource | None:
    return probe(kind, number, bench.patient, bench.now)


def _make(bench: Bench, wanted: Resource, headers: dict[str, str] | None = None) -> tuple[Answer, str]:
    """Create a probe and remember that it must go."""
    kind = str(wanted["resourceType"])
    answer = bench.ask("POST", kind, body=wanted, headers={"Prefer": "return=representation", **(headers or {})})
    place = answer.place(kind) if answer.is_good else ""
    if place and place not in bench.made:
        bench.made.append(place)
    return answer, place


def _kind(bench: Bench, kind: str) -> Verdict:
    bench.tried.add(kind)
    if not bench.grants(kind, "create"):
        return Answer(status=403, asked=False).refusal()
    number = f"{kind}-{bench.now:%Y%m%d%H%M%S%f}"
    wanted = _wanted(bench, kind, number)
    if wanted is None:
        needs = kind in NEEDS_PATIENT and not bench.patient
        return not_tried("it belongs to a patient: give --patient" if needs else "there is no harmless way to try it")
    answer, place = _make(bench, wanted)
    if not place:
        return answer.refusal() if not answer.is_good else missing("it says that it made one, and not where")
    held = bench.ask("GET", place)
    if not held.is_a(kind) or not is_ours(held.body):
        return missing("it says that it made one, and there is none of ours to read")
    bench.able |= {(kind, "create"), (kind, "read")}
    lacks = [say for say in (_found_again(bench, kind, number), _changed(bench, kind, held)) if say]
    return partly(f"made; {'; '.join(lacks)}") if lacks else works("made, found by our identifier, changed")


def _found_again(bench: Bench, kind: str, number: str) -> str:
    answer = bench.ask("GET", kind, {"identifier": f"{SYSTEM}|{number}"})
    if not answer.is_a("Bundle"):
        return f"not searched by identifier ({answer.refusal().say})"
    rows = answer.rows(kind)
    if not rows:
        return "not found by our identifier"
    if not all(is_ours(row) for row in rows):
        return "a search by our identifier gives what is not ours"
    bench.able.add((kind, "search"))
    return ""


def _changed(bench: Bench, kind: str, held: Answer) -> str:
    language = "en-US"
    answer = bench.ask(
        "PUT", f"{kind}/{held.body['id']}", body={**held.body, "language": language}, headers=_match(held.version)
    )
    if not answer.is_good:
        return f"not changed ({answer.refusal().say})"
    after = bench.ask("GET", f"{kind}/{held.body['id']}")
    if after.body.get("language") != language:
        return "it says that it was changed, and it was not"
    bench.able.add((kind, "update"))
    return ""


def _match(version: str) -> dict[str, str]:
    return {"If-Match": f'W/"{version}"'} if version else {}


def _taken(bench: Bench, *acts: str) -> str:
    """The first kind that was taken with these acts."""
    return next((kind for kind in KEYS if all((kind, act) in bench.able for act in acts)), "")


def _another(bench: Bench, kind: str, why: str) -> tuple[Resource, str]:
    number = f"{why}-{bench.now:%Y%m%d%H%M%S%f}"
    wanted = _wanted(bench, kind, number)
    assert wanted is not None  # noqa: S101 - this kind was made before
    return wanted, number


def _if_match(bench: Bench) -> Verdict:
    kind = _taken(bench, "create", "update")
    if not kind:
        return not_tried("nothing that it takes can be changed")
    wanted, _ = _another(bench, kind, "match")
    _, place = _make(bench, wanted)
    first = bench.ask("GET", place) if place else None
    if first is None or not first.version:
        return missing("it gives no version")
    changed = {**first.body, "language": "en"}
    bench.ask("PUT", place, body=changed, headers=_match(first.version))
    stale = bench.ask("PUT", place, body={**first.body, "language": "fr"}, headers=_match(first.version))
    now = bench.ask("GET", place)
    bench.facts["if-match"] = "honoured" if stale.status in {409, 412} else "ignored"
    if stale.status in {409, 412} and now.body.get("language") != "fr":
        return works(f"refused with {stale.status}")
    if stale.is_good:
        return ignored("an old version wrote over a new one")
    return partly(f"refused, with {stale.status}") if now.body.get("language") != "fr" else ignored("it wrote anyway")


def _if_none_exist(bench: Bench) -> Verdict:
    kind = _taken(bench, "create", "search") or _taken(bench, "create")
    if not kind:
        return not_tried("nothing is taken")
    wanted, number = _another(bench, kind, "once")
    unless = f"identifier={SYSTEM}|{number}"
    first, place = _make(bench, wanted, {"If-None-Exist": unless})
    if not place:
        return first.refusal()
    second, again = _make(bench, wanted, {"If-None-Exist": unless})
    bench.facts["if-none-exist"] = (
        "honoured" if again == place or (second.status in {200, 304} and not again) else "ignored"
    )
    if again == place:
        return works()
    if not again:
        return partly(f"the second is not made, and it does not say where the first is ({second.status})")
    return ignored("it was made twice")


def _transaction(bench: Bench) -> Verdict:
    kind = _taken(bench, "create", "search") or _taken(bench, "create")
    if not kind:
        return not_tried("nothing is taken")
    good, number = _another(bench, kind, "whole")
    if not (done := _sent(bench, [_entry(good)])).is_a("Bundle") or not _placed(bench, kind, done):
        bench.facts["transaction"] = "none"
        return done.refusal() if not done.is_a("Bundle") else missing("it answers, and nothing was made")
    half, number = _another(bench, kind, "half")
    bad: Resource = {
        "resource": {"resourceType": "ConformanceProbe"},
        "request": {"method": "POST", "url": "ConformanceProbe"},
    }
    answer = _sent(bench, [_entry(half), bad])
    stayed = _placed(bench, kind, answer)
    found = bench.ask("GET", kind, {"identifier": f"{SYSTEM}|{number}"}).rows(kind)
    stayed |= {f"{kind}/{row['id']}" for row in found if is_ours(row) and row.get("id")}
    bench.made += [place for place in sorted(stayed) if place not in bench.made]
    alive = [place for place in stayed if bench.ask("GET", place).is_a(kind)]
    bench.facts["transaction"] = "not-atomic" if alive else "atomic"
    if alive:
        return partly("not atomic: one bad entry, and the good one stays")
    return works("atomic: one bad entry, and nothing stays")


def _entry(resource: Resource) -> Resource:
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


def _sent(bench: Bench, entries: list[Resource]) -> Answer:
    return bench.ask("POST", "", body={"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _placed(bench: Bench, kind: str, answer: Answer) -> set[str]:
    """Where a transaction says that it put things; they are remembered, for they must go."""
    found = {f"{kind}/{row['id']}" for row in answer.rows(kind) if row.get("id") and is_ours(row)}
    entries = answer.body.get("entry")
    for row in entries if answer.is_a("Bundle") and isinstance(entries, list) else []:
        said = row.get("response") if isinstance(row, dict) else None
        if isinstance(said, dict) and str(said.get("status", "")).startswith("2"):
            place = Answer(status=201, headers={"location": str(said.get("location", ""))}).place(kind)
            found |= {place} - {""}
    bench.made += [place for place in sorted(found) if place not in bench.made]
    return found


def take_away(bench: Bench) -> None:
    """Delete every probe; what cannot be deleted stays marked as an error, and that is said."""
    while bench.made:
        place = bench.made.pop()
        try:
            answer = bench.ask("DELETE", place)
            gone = answer.status in {404, 410} or (answer.is_good and bench.ask("GET", place).status in {404, 410})
        except EhrUnavailable:
            gone = False
        if gone:
            bench.able.add((place.partition("/")[0], "delete"))
            continue
        bench.left.append(f"{place} stays, {_quieted(bench, place)}: the EHR does not delete it")


def _quieted(bench: Bench, place: str) -> str:
    """What stays must not speak: a subscription is put to sleep, everything else is marked as an error from the start."""
    if not place.startswith("Subscription/"):
        return "marked entered-in-error"
    try:
        held = bench.ask("GET", place)
        if held.body.get("status") != "off":
            held = bench.ask("PUT", place, body={**held.body, "status": "off"}, headers=_match(held.version))
            held = bench.ask("GET", place)
    except EhrUnavailable:
        return "and nobody knows how"
    return "asleep (off)" if held.body.get("status") == "off" else "AWAKE: switch it off there"
