"""One resource of ours in a chart is made once, changed only in the version that was read, and left alone when it says what it should.

What we remember of it (`Held`) saves requests and is never trusted further than that: what is not there any more, or is
somebody else's by now, is looked for by our identifier, and made again. A later state that waits stops an older one.
Spec: FHIR R4 If-None-Exist, If-Match (412).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fhir_billing.domain.errors import Contended, EhrBrokeContract, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Resource, Unsupported
from fhir_billing.ehr.rungs import Held, Put
from fhir_billing.fhir.answered import in_chart
from fhir_billing.fhir.ours import CLAIM_NUMBER, TAG

NOT_TAKEN = (ScopeMissing, NotThere, Unsupported)
"""How an EHR says that it does not take a kind of resource, or not from us."""
TRIES = 4
"""How often one resource is read and decided anew when somebody else writes it at the same moment."""
OWN = frozenset({"id", "meta", "text", "implicitRules"})
"""What the EHR adds by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One resource as the chart should hold it, and how it is found again."""

    resource: Resource
    query: tuple[tuple[str, str], ...]
    is_it: Callable[[Resource], bool]

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.resource["resourceType"])

    @property
    def unless(self) -> str:
        """The search that If-None-Exist carries."""
        return "&".join(f"{name}={quote(value, safe=':/|')}" for name, value in self.query)


def by_number(resource: Resource, number: str) -> Wish:
    """A resource that is found again by our identifier."""
    kind = resource["resourceType"]
    return Wish(
        resource=resource,
        query=(("identifier", f"{CLAIM_NUMBER}|{number}"),),
        is_it=lambda found: found.get("resourceType") == kind and number_of(found) == number,
    )


def always() -> bool:
    """Nothing later waits."""
    return True


def settle(client: FhirClient, wish: Wish, held: Held | None = None, is_latest: Callable[[], bool] = always) -> Put:
    """Make the chart hold it. A kind that this EHR does not take is said. Raises NotNow to be tried again."""
    wanted = wish.resource
    digest = digest_of(wanted)
    if held is not None and held.digest == digest:
        return Put(kind=wish.kind, verb="unchanged", reference=held.reference, version=held.version, digest=digest)
    try:
        for _ in range(TRIES):
            put, held = _once(client, wish, held, is_latest)
            if put is not None:
                return put
    except NOT_TAKEN as error:
        return Put(kind=wish.kind, verb="not taken", why=error.code)
    raise Contended(f"somebody else keeps writing our {wish.kind}")


def _once(
    client: FhirClient, wish: Wish, held: Held | None, is_latest: Callable[[], bool]
) -> tuple[Put | None, Held | None]:
    """Read, decide, write; no Put: it must be read again."""
    wanted = wish.resource
    current = standing(client, wish, held)
    if current is not None and same(wanted, current):
        return as_put(wanted, current, "unchanged"), None
    give_way(is_latest)
    try:
        if current is not None:
            return as_put(wanted, client.update(changed(wanted, current), version=version_of(current)), "updated"), None
        made = client.create(wanted, unless=wish.unless)
    except Contended:
        return None, held
    except NotThere:
        if current is None:
            raise
        return None, None  # it was deleted a moment ago
    if not wish.is_it(made):
        raise EhrBrokeContract(f"the EHR gave back another {wish.kind} than the one that was made")
    if same(wanted, made):
        return as_put(wanted, made, "created"), None
    return None, Held(reference=f"{wish.kind}/{made['id']}", version=version_of(made), digest="")


def give_way(is_latest: Callable[[], bool]) -> None:
    """Raise Contended when a later state waits: what is older is not written over it."""
    if not is_latest():
        raise Contended("a later state of this claim waits, and goes instead")


def standing(client: FhirClient, wish: Wish, held: Held | None) -> Resource | None:
    """The resource as the chart holds it now; None when it is not there."""
    if held is not None and held.reference.startswith(f"{wish.kind}/"):
        try:
            found = client.read(held.reference)
        except NotThere:
            found = {}
        if wish.is_it(found):
            return found
    return next((one for one in client.search(wish.kind, list(wish.query)) if wish.is_it(one)), None)


def withdrawn(client: FhirClient, kind: str, held: Held, is_latest: Callable[[], bool] = always) -> Put:
    """What no longer holds is cancelled, not deleted: who linked to it sees why it ended."""
    gone = Put(kind=kind, verb="unchanged", reference=held.reference, version=held.version, digest=CANCELLED)
    if held.digest == CANCELLED:
        return gone
    for _ in range(TRIES):
        try:
            current = client.read(held.reference)
            if not is_ours(current) or current.get("status") in ENDED.values():
                return replace(gone, version=version_of(current))
            give_way(is_latest)
            ended = {**current, "status": ENDED.get(kind, "entered-in-error")}
            made = client.update(ended, version=version_of(current))
            return replace(gone, verb="cancelled", version=version_of(made))
        except NOT_TAKEN:
            return gone
        except Contended:
            give_way(is_latest)
    raise Contended(f"somebody else keeps writing our {kind}")


CANCELLED = "cancelled"
"""What stands in place of a digest for what we took back."""
ENDED: Mapping[str, str] = {
    "Claim": "cancelled",
    "ClaimResponse": "cancelled",
    "ExplanationOfBenefit": "cancelled",
    "Task": "cancelled",
    "Communication": "entered-in-error",
    "DocumentReference": "entered-in-error",
}
"""The status in which each kind ends when it should not have been."""


def as_put(wanted: Resource, found: Resource, verb: str) -> Put:
    """What became of it."""
    kind = str(wanted["resourceType"])
    return Put(
        kind=kind, verb=verb, reference=f"{kind}/{found['id']}", version=version_of(found), digest=digest_of(wanted)
    )


def changed(wanted: Resource, current: Resource) -> Resource:
    """What is put in the place of what stands there; tags and profiles that others set stay."""
    meta = dict(wanted.get("meta") or {})
    theirs = current.get("meta") or {}
    tags = [tag for tag in theirs.get("tag") or [] if tag not in meta.get("tag", [])]
    kept = {name: theirs[name] for name in ("profile", "security") if theirs.get(name)}
    return {**wanted, "id": current["id"], "meta": {**kept, **meta, "tag": [*meta.get("tag", []), *tags]}}


def version_of(resource: Mapping[str, Any]) -> str:
    """The version in which the EHR holds it."""
    return str((resource.get("meta") or {}).get("versionId", ""))


def number_of(resource: Mapping[str, Any]) -> str:
    """Our number on a resource."""
    rows = resource.get("identifier")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return str(next((row.get("value") for row in rows if row.get("system") == CLAIM_NUMBER), "") or "")


def is_ours(resource: Mapping[str, Any]) -> bool:
    """Whether it carries our tag."""
    tags = (resource.get("meta") or {}).get("tag") or []
    return any(tag.get("system") == TAG["system"] and tag.get("code") == TAG["code"] for tag in tags)


def digest_of(resource: Resource) -> str:
    """SHA-256 of what we want, whatever order its members have."""
    return hashlib.sha256(json.dumps(resource, sort_keys=True, default=str).encode()).hexdigest()


def same(wanted: Resource, current: Resource) -> bool:
    """Whether the chart holds it already; what the EHR itself adds (id, meta, text) does not count."""
    return _bare(wanted) == _bare(current)


def _bare(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if key not in OWN}


def resolved(value: Any, placed: Mapping[str, str]) -> Any:
    """Our conditional references become the chart's own; one to what this EHR did not take names it by identifier."""
    if isinstance(value, list):
        return [resolved(child, placed) for child in value]
    if not isinstance(value, dict):
        return value
    literal = str(value.get("reference", ""))
    if literal in placed:
        return {**value, "reference": placed[literal]}
    kind, ours, number = literal.partition(f"?identifier={CLAIM_NUMBER}|")
    elsewhere = (kind, {"system": CLAIM_NUMBER, "value": number}) if ours else in_chart(literal)
    if elsewhere is not None:
        others = {key: child for key, child in value.items() if key != "reference"}
        return {**others, "type": elsewhere[0], "identifier": elsewhere[1]}
    return {key: resolved(child, placed) for key, child in value.items()}


def receipt(puts: Iterable[Put]) -> str:
    """What was done, in one line."""
    return ", ".join(f"{put.kind} {put.verb}{f' ({put.why})' if put.why else ''}" for put in puts)
