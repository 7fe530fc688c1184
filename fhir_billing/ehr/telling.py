"""A claim is told in several resources that point at one another: all at once where the EHR can, else one by one and none in vain.

One by one, the order makes each true by itself: a Claim before what answers it, the Task last. When a later one cannot be
written now, those before it stand and are right, and the next try writes the rest; a kind that is refused for good is named by
its identifier instead. What no longer holds (a payer's answer to a claim that was sent again, or withdrawn) is cancelled.
Spec: FHIR R4 transaction; Provenance.target, .agent, .entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from fhir_billing.domain.errors import Contended, EhrBrokeContract
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.putting import (
    CANCELLED,
    NOT_TAKEN,
    TRIES,
    Wish,
    as_put,
    by_number,
    changed,
    digest_of,
    give_way,
    is_ours,
    number_of,
    resolved,
    same,
    settle,
    standing,
    version_of,
    withdrawn,
)
from fhir_billing.ehr.rungs import Held, Put, Told
from fhir_billing.fhir.ours import TAG, meta, where
from fhir_billing.fhir.provenance import provenance


def tell(client: FhirClient, told: Told, held: Mapping[str, Held], kinds: Sequence[str]) -> list[Put]:
    """Make the chart hold these kinds of what is told, cancel what is told no longer, and say who wrote it and from what."""
    wanted = [dict(one) for one in told.resources if one["resourceType"] in kinds]
    puts = (_together(client, told, held, wanted) if told.atomic else None) or _singly(client, told, held, wanted)
    said = {put.kind for put in puts}
    for kind in kinds:
        if kind not in said and kind in held:
            puts.append(withdrawn(client, kind, held[kind], told.is_latest))
    return [*puts, *signed(client, told, held, puts)]


def signed(client: FhirClient, told: Told, held: Mapping[str, Held], puts: Sequence[Put]) -> list[Put]:
    """One Provenance for what stands, kept up to date, where the EHR takes it; never a fault when it does not."""
    standing_now = [put for put in puts if put.reference and put.digest != CANCELLED]
    targets = [put.reference for put in standing_now]
    if not targets or all(put.kind in held and held[put.kind].digest == put.digest for put in standing_now):
        return []  # nothing was asked of the EHR, for nothing changed
    last = held.get(standing_now[-1].kind)
    known = {
        targets[-1],
        *([last.reference] if last and last.reference else []),
    }  # what was made anew is still the same claim's
    resource = provenance(targets, encounter=encounter_of(told), recorded=since_of(told))
    wish = Wish(
        resource=resource,
        query=(("target", targets[-1]), ("_tag", f"{TAG['system']}|{TAG['code']}")),
        is_it=lambda found: found.get("resourceType") == "Provenance" and is_ours(found) and _about(found, known),
    )
    try:
        return [settle(client, wish, held.get("Provenance"), told.is_latest)]
    except EhrBrokeContract as error:
        return [Put(kind="Provenance", verb="not taken", why=error.code)]


def _about(found: Resource, targets: Iterable[str]) -> bool:
    rows = [row for row in found.get("target") or [] if isinstance(row, dict)]
    return any(str(row.get("reference", "")).endswith(tuple(targets)) for row in rows)


def encounter_of(told: Told) -> str:
    """The visit's reference."""
    task = next((one for one in told.resources if one["resourceType"] == "Task"), {})
    return str(told.visit.get("encounter") or (task.get("encounter") or {}).get("reference", ""))


def since_of(told: Told) -> str:
    """When the claim came into its state: a second writing of the same says the same."""
    task = next((one for one in told.resources if one["resourceType"] == "Task"), {})
    return str(task.get("lastModified") or told.visit.get("changed") or "")


def _singly(client: FhirClient, told: Told, held: Mapping[str, Held], wanted: list[Resource]) -> list[Put]:
    placed: dict[str, str] = {}
    puts = []
    for resource in wanted:
        kind, number = str(resource["resourceType"]), number_of(resource)
        put = settle(client, by_number(resolved(resource, placed), number), held.get(kind), told.is_latest)
        puts.append(put)
        if put.reference:
            placed[where(kind, number)] = put.reference
    return puts


def _together(client: FhirClient, told: Told, held: Mapping[str, Held], wanted: list[Resource]) -> list[Put] | None:
    """In one transaction; None when there is nothing to gain, or the EHR does not take it as a whole."""
    try:
        for _ in range(TRIES):
            entries, puts = _planned(client, held, wanted)
            if len(entries) < 2:
                return None
            give_way(told.is_latest)
            try:
                answer = client.batch({"resourceType": "Bundle", "type": "transaction", "entry": entries})
            except Contended:
                continue
            return _answered(answer, entries, puts)
    except NOT_TAKEN:
        return None
    raise Contended("somebody else keeps writing what is ours")


def _planned(
    client: FhirClient, held: Mapping[str, Held], wanted: list[Resource]
) -> tuple[list[Resource], dict[int, Put]]:
    """What must be written, and by its place in `wanted` what need not."""
    placed: dict[str, str] = {}
    entries: list[Resource] = []
    puts: dict[int, Put] = {}
    for place, resource in enumerate(wanted):
        kind, number = str(resource["resourceType"]), number_of(resource)
        wish = by_number(resolved(resource, placed), number)
        known = held.get(kind)
        if known is not None and known.digest == digest_of(wish.resource):
            puts[place] = Put(
                kind=kind, verb="unchanged", reference=known.reference, version=known.version, digest=known.digest
            )
            placed[where(kind, number)] = known.reference
            continue
        current = standing(client, wish, known)
        if current is None:
            name = f"urn:uuid:{uuid4()}"
            entries.append(_made(wish, name))
        else:
            name = f"{kind}/{current['id']}"
            if same(wish.resource, current):
                puts[place] = as_put(wish.resource, current, "unchanged")
            else:
                entries.append(_changed(wish, current))
        placed[where(kind, number)] = name
    return entries, puts


def _made(wish: Wish, name: str) -> Resource:
    request = {"method": "POST", "url": wish.kind, "ifNoneExist": wish.unless}
    return {"fullUrl": name, "resource": wish.resource, "request": request}


def _changed(wish: Wish, current: Resource) -> Resource:
    version = version_of(current)
    request = {"method": "PUT", "url": f"{wish.kind}/{current['id']}"}
    if version:
        request["ifMatch"] = f'W/"{version}"'
    return {"resource": changed(wish.resource, current), "request": request}


def _answered(answer: Resource, entries: list[Resource], puts: dict[int, Put]) -> list[Put] | None:
    """What a transaction did; None when it does not say it of each: then each is looked at by itself."""
    rows = answer.get("entry")
    if not isinstance(rows, list) or len(rows) != len(entries):
        return None
    written: list[Put] = []
    places: dict[str, str] = {}
    for entry, row in zip(entries, rows, strict=True):
        kind = str(entry["resource"]["resourceType"])
        said, found = (_part(row, name) for name in ("response", "resource"))
        reference, version = _place(kind, str(said.get("location", "")), str(said.get("etag", "")))
        reference = reference or (entry["request"]["url"] if entry["request"]["method"] == "PUT" else "")
        version = version or version_of(found)
        if not str(said.get("status", "")).startswith("2") or not reference:
            return None
        made = entry["request"]["method"] == "POST"
        if made and not str(said["status"]).startswith("201"):
            return None  # it was there: whether it says the same is looked at by itself
        if made:
            places[str(entry["fullUrl"])] = reference
        written.append(Put(kind=kind, verb="created" if made else "updated", reference=reference, version=version))
    digests = [digest_of(_named(entry["resource"], places)) for entry in entries]
    done = iter(
        Put(kind=p.kind, verb=p.verb, reference=p.reference, version=p.version, digest=digest)
        for p, digest in zip(written, digests, strict=True)
    )
    return [puts[place] if place in puts else next(done) for place in range(len(puts) + len(written))]


def _part(row: object, name: str) -> Mapping[str, Any]:
    found = row.get(name) if isinstance(row, dict) else None
    return found if isinstance(found, dict) else {}


def _named(resource: Resource, places: Mapping[str, str]) -> Resource:
    """What we wanted, with the chart's own names in place of the transaction's: as it is asked for the next time."""
    kept = {name: value for name, value in resource.items() if name != "id"}
    kept["meta"] = meta()
    found: Resource = resolved(kept, places)
    return found


def _place(kind: str, location: str, etag: str) -> tuple[str, str]:
    """Where it is and in which version, from an entry's response."""
    path, _, version = location.partition("/_history/")
    parts = path.rstrip("/").split("/")
    if len(parts) < 2 or parts[-2] != kind:
        return "", ""
    return f"{kind}/{parts[-1]}", version or etag.removeprefix("W/").strip('"')
