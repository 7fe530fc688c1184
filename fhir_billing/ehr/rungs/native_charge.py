"""Oracle Health takes charges by operations: `$create` enters one, `$modify` replaces it by another, `$credit` takes it back.

A charge is money in the hospital's own ledger, so this rung never follows from a check: a site names it, after it has agreed
with its hospital that our lines are to be charged there. Each line of a claim that has left is one charge; what was entered is
remembered by its line, a changed line is modified in place of a second one, and a withdrawn claim's charges are credited. A visit
for which the EHR has charges of its own is left alone.
Spec: Oracle Health Millennium FHIR R4, ChargeItem `$create`, `$modify`, `$credit`: Parameters with one `chargeItem`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_billing.domain.errors import EhrBrokeContract
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.putting import CANCELLED, NOT_TAKEN, digest_of, give_way, number_of, version_of
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import encounter_of
from fhir_billing.fhir.ours import identifier, meta

KIND = "ChargeItem"


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Enter, replace or take back the charge of each line."""
    wanted = dict(charges(told))
    entered = {kind: one for kind, one in held.items() if kind.startswith(f"{KIND} ")}
    puts = []
    for kind in [*wanted, *(kind for kind in entered if kind not in wanted)]:
        try:
            puts.append(_one(client, told, kind, wanted.get(kind), entered.get(kind)))
        except NOT_TAKEN as error:
            puts.append(Put(kind=kind, verb="not taken", why=error.code))
    return puts


def charges(told: Told) -> Iterator[tuple[str, Resource]]:
    """The charge of each line of a claim that has left and stands, by its place."""
    claim: Mapping[str, Any] = next((one for one in told.resources if one["resourceType"] == "Claim"), {})
    if claim.get("status") != "active":
        return
    for line in claim.get("item") or ():
        sequence = line.get("sequence", 0)
        charge = {
            "resourceType": KIND,
            "meta": meta(),
            "identifier": identifier(f"{told.claim}-{sequence}"),
            "status": "billable",
            "code": {"coding": [dict(one) for one in (line.get("productOrService") or {}).get("coding", ())][:1]},
            "subject": {"reference": (claim.get("patient") or {}).get("reference", "")},
            "context": {"reference": encounter_of(told)},
            "occurrenceDateTime": line.get("servicedDate") or (line.get("servicedPeriod") or {}).get("start", ""),
            "quantity": {"value": (line.get("quantity") or {}).get("value", 1)},
            "priceOverride": line.get("net") or line.get("unitPrice") or {},
        }
        yield f"{KIND} {sequence}", {name: value for name, value in charge.items() if value}


def _one(client: FhirClient, told: Told, kind: str, wanted: Resource | None, held: Held | None) -> Put:
    digest = digest_of(wanted) if wanted else CANCELLED
    if held is not None and held.digest == digest:
        return Put(kind=kind, verb="unchanged", reference=held.reference, version=held.version, digest=digest)
    give_way(told.is_latest)
    if wanted is None:
        made = _ask(client, f"{held.reference}/$credit" if held else "", None)
        return Put(kind=kind, verb="cancelled", reference=held.reference if held else "", digest=digest)
    if held is None or held.digest == CANCELLED:  # operations have no If-None-Exist: an answer may have been lost
        stand = list(client.search(KIND, {"context": wanted["context"]["reference"], "-status": "billable"}))
        if any(one.get("resourceType") == KIND and not number_of(one) for one in stand):
            return Put(kind=kind, verb="not taken", why="the EHR has charges of its own for this visit")
        known = next((one for one in stand if number_of(one) == number_of(wanted)), None)
        made = known or _ask(client, f"{KIND}/$create", wanted)
        verb = "unchanged" if known else "created"
    else:
        made, verb = _ask(client, f"{held.reference}/$modify", wanted), "updated"
    return Put(kind=kind, verb=verb, reference=f"{KIND}/{made['id']}", version=version_of(made), digest=digest)


def _ask(client: FhirClient, path: str, charge: Resource | None) -> Resource:
    body: Resource = {"resourceType": "Parameters"}
    if charge is not None:
        body["parameter"] = [{"name": "chargeItem", "resource": charge}]
    answer = client.request("POST", path, body=body, headers={"Prefer": "return=representation"})
    place = answer.headers.get("location", "").partition("/_history/")[0].rstrip("/").split("/")
    if len(place) > 1 and place[-2] == KIND:
        return {"resourceType": KIND, "id": place[-1]}
    if charge is None:
        return {}
    found = answer.json() if answer.content[:1] == b"{" else {}
    rows = [row.get("resource") or {} for row in found.get("parameter") or ()] or [found]
    made = next((one for one in rows if one.get("resourceType") == KIND and one.get("id")), None)
    if made is None:
        raise EhrBrokeContract("the EHR does not say where it put a ChargeItem")
    return dict(made)


RUNG = Rung(
    name="native-charge",
    order=2,
    say="Each line of a claim that has left is a charge in the EHR's own ledger; a withdrawn claim's charges are credited.",
    needs=(
        *(Need(kind=KIND, act=act) for act in ("$create", "$modify", "$credit")),
        Need(kind="charge-posting", act="agreed"),
    ),
    write=write,
)
