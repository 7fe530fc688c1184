"""What an EHR sends is checked in one place before anything believes it: its shape, its size, and that it is one patient's.

A fault is named by its place in the request and never by its value. A resource of another patient refuses the whole call;
one that does not say whose it is makes its prefetch key unknown, as if it had not been sent.
Spec: CDS Hooks 2.0 "HTTP Request", "Prefetch", "FHIR Authorization"; FHIR ids are 1 to 64 of A-Z a-z 0-9 - and point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fhir_billing.cds.hook import Hook, Known, Resource
from fhir_billing.domain.errors import MalformedResource

MOST_DEPTH: Final = 40
MOST_NODES: Final = 400_000
MOST_RESOURCES: Final = 5_000
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_USER = re.compile(r"(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9.-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")
_OWNER: Final = {"Coverage": "beneficiary", "Immunization": "patient", "RelatedPerson": "patient"}
_OWNED: Final = frozenset({"Encounter", "Condition", "Procedure", "ChargeItem", "Coverage", "Immunization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call, checked."""

    instance: str
    user: str
    patient: str
    """The patient's id."""
    encounter: str
    """The encounter's id, or empty."""
    orders: tuple[Resource, ...]
    prefetched: Known
    """What came with the call, by key; empty for a key that found nothing."""
    server: str = ""
    token: str = field(default="", repr=False)

    @property
    def context(self) -> dict[str, str]:
        """What prefetch templates may name."""
        return {"userId": self.user, "patientId": self.patient, "encounterId": self.encounter}


def read_request(body: Any, hook: Hook) -> Request:
    """Check a call against its hook. Raises MalformedResource that names the place."""
    bounded(body)
    said = _object(body, "$")
    if _text(said, "hook", "$") != hook.hook:
        raise _wrong("$.hook", f"is not {hook.hook}")
    instance = _uuid(said, "hookInstance", "$")
    context = _object(said.get("context"), "$.context")
    patient = _id(context, "patientId", needed=True)
    server, token = _authorization(said)
    orders = _orders(context, hook) if hook.orders else ()
    whole = Request(
        instance=instance,
        user=_user(context),
        patient=patient,
        encounter=_id(context, "encounterId", needed="encounterId" in hook.needs),
        orders=_owned_orders(orders, patient, server, f"$.context.{hook.orders}"),
        prefetched={},
        server=server,
        token=token,
    )
    return Request(
        instance=whole.instance, user=whole.user, patient=patient, encounter=whole.encounter, orders=whole.orders,
        prefetched=_prefetched(said, hook, whole), server=server, token=token,
    )  # fmt: skip


def bounded(value: Any) -> None:
    """Refuse what is nested or numerous beyond any chart, without recursion. Raises MalformedResource."""
    level: list[Any] = [value]
    nodes = 0
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        nodes += len(below)
        if nodes > MOST_NODES:
            raise _wrong("$", "holds more than any chart")
        if not below:
            return
        level = below
    raise _wrong("$", "is nested deeper than any chart")


def _prefetched(said: Mapping[str, Any], hook: Hook, request: Request) -> Known:
    if said.get("prefetch") is None:
        return {}
    given = _object(said["prefetch"], "$.prefetch")
    found = {}
    for key, template in hook.prefetch.items():
        if key in given:
            resources = _resources(given[key], f"$.prefetch.{key}")
            mine = of_patient(resources, request, f"$.prefetch.{key}") if resources is not None else None
            if mine is not None and _fits(mine, template, request):
                found[key] = mine
    return found


def _resources(value: Any, at: str) -> tuple[Resource, ...] | None:
    """The resources under a key; None when the EHR could not get them, or only a page of them."""
    if value is None:
        return ()
    resource = _resource(value, at)
    if resource["resourceType"] == "OperationOutcome":
        return None
    if resource["resourceType"] != "Bundle":
        return (resource,)
    links = resource.get("link") or []
    if isinstance(links, list) and any(isinstance(one, dict) and one.get("relation") == "next" for one in links):
        return None
    entries = _bundle(resource, at)
    return tuple(one for one in entries if one["resourceType"] != "OperationOutcome")


def _fits(resources: tuple[Resource, ...], template: str, request: Request) -> bool:
    """A key that names one resource holds that one; a search without matches is an answer, a missing visit is none."""
    kind, slash, _ = template.partition("?")[0].partition("/")
    if not slash:
        return True
    wanted = {"Patient": request.patient, "Encounter": request.encounter}.get(kind, "")
    return any(r["resourceType"] == kind and r.get("id") == wanted for r in resources)


def of_patient(resources: tuple[Resource, ...], request: Request, at: str) -> tuple[Resource, ...] | None:
    """The resources, when all are this patient's; None when one does not say whose it is. Raises for another's."""
    for resource in resources:
        kind = resource["resourceType"]
        if kind == "Patient":
            if resource.get("id") != request.patient and at.endswith(".patient"):
                raise _wrong(at, "is another patient's")
        elif kind in _OWNED:
            owner = _owner(resource.get(_OWNER.get(kind, "subject")), request.server)
            if owner and owner != f"Patient/{request.patient}":
                raise _wrong(at, "is another patient's")
            if not owner:
                return None
            if kind == "Encounter" and at.endswith(".encounter") and resource.get("id") != request.encounter:
                raise _wrong(at, "is another visit")
    return resources


def _owner(reference: Any, server: str) -> str:
    """`Type/id` of whom a resource is about; empty when it does not say, `?` when it is somewhere else."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str) or text.startswith(("#", "urn:")) or "?" in text:
        return ""
    text = text.split("/_history/", maxsplit=1)[0]
    if "://" in text and server and not text.startswith(f"{server.rstrip('/')}/"):
        return "?"
    return "/".join(text.rstrip("/").split("/")[-2:])


def _orders(context: Mapping[str, Any], hook: Hook) -> tuple[Resource, ...]:
    """The draft orders or appointments; where the hook selects, those that are selected."""
    at = f"$.context.{hook.orders}"
    bundle = _resource(context.get(hook.orders), at)
    if bundle["resourceType"] != "Bundle":
        raise _wrong(at, "is no Bundle")
    found = tuple(_bundle(bundle, at))
    if "selections" not in hook.needs:
        return found
    chosen = context.get("selections")
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise _wrong("$.context.selections", "is no list of references")
    names = {"/".join(one.rstrip("/").split("/")[-2:]) for one in chosen}
    return tuple(one for one in found if f"{one['resourceType']}/{one.get('id')}" in names)


def _owned_orders(orders: tuple[Resource, ...], patient: str, server: str, at: str) -> tuple[Resource, ...]:
    """Orders of this patient; one that does not say whose it is is not looked at."""
    kept = []
    for order in orders:
        owners = {_owner(one, server) for one in _about(order)} - {""}
        people = {one for one in owners if one == "?" or one.startswith(("Patient/", "Group/"))}
        if people - {f"Patient/{patient}"}:
            raise _wrong(at, "is another patient's")
        if people:
            kept.append(order)
    return tuple(kept)


def _about(order: Resource) -> Iterator[Any]:
    yield order.get("subject")
    yield order.get("patient")
    participants = order.get("participant")
    for one in participants if isinstance(participants, list) else ():
        actor = one.get("actor") if isinstance(one, dict) else None
        if "/Patient/" in f"/{actor.get('reference')}" if isinstance(actor, dict) else False:
            yield actor


def _bundle(bundle: Resource, at: str) -> list[Resource]:
    entries = bundle.get("entry")
    if entries is None:
        return []
    if not isinstance(entries, list) or len(entries) > MOST_RESOURCES:
        raise _wrong(f"{at}.entry", "is no list of entries, or too long")
    return [
        _resource(_object(entry, f"{at}.entry[{place}]").get("resource"), f"{at}.entry[{place}].resource")
        for place, entry in enumerate(entries)
    ]


def _resource(value: Any, at: str) -> Resource:
    found = _object(value, at)
    if not isinstance(found.get("resourceType"), str) or not isinstance(found.get("id", ""), str):
        raise _wrong(at, "is no FHIR resource")
    return found


def _authorization(said: Mapping[str, Any]) -> tuple[str, str]:
    """Which server the call is about, and the token for it."""
    server = said.get("fhirServer")
    if server is not None and not _is_url(server):
        raise _wrong("$.fhirServer", "is no address")
    given = said.get("fhirAuthorization")
    if given is None:
        return server or "", ""
    at = "$.fhirAuthorization"
    if server is None:
        raise _wrong("$.fhirServer", "is missing beside fhirAuthorization")
    found = _object(given, at)
    token = _text(found, "access_token", at)
    if not _TOKEN.fullmatch(token) or _text(found, "token_type", at).lower() != "bearer":
        raise _wrong(at, "holds no bearer token")
    expires = found.get("expires_in")
    if isinstance(expires, bool) or not isinstance(expires, int) or expires < 0:
        raise _wrong(f"{at}.expires_in", "is no number of seconds")
    _text(found, "scope", at)
    _text(found, "subject", at)
    return server, token if expires else ""


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 2000 or re.search(r"[\s\\\x00-\x1f]", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        return False


def _user(context: Mapping[str, Any]) -> str:
    found = _text(context, "userId", "$.context")
    if not _USER.fullmatch(found):
        raise _wrong("$.context.userId", "is not Practitioner/…, PractitionerRole/…, Patient/… or RelatedPerson/…")
    return found


def _id(context: Mapping[str, Any], name: str, *, needed: bool) -> str:
    found = context.get(name)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise _wrong(f"$.context.{name}", "is no FHIR id")
    return found


def _uuid(said: Mapping[str, Any], name: str, at: str) -> str:
    found = _text(said, name, at)
    try:
        return str(UUID(found))
    except ValueError:
        raise _wrong(f"{at}.{name}", "is no UUID") from None


def _text(said: Mapping[str, Any], name: str, at: str) -> str:
    found = said.get(name)
    if not isinstance(found, str) or not found:
        raise _wrong(f"{at}.{name}", "is missing, or no text")
    return found


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(at, "is missing, or no object")
    return value


def _wrong(at: str, what: str) -> MalformedResource:
    return MalformedResource(f"{at} {what}", fix="see the CDS Hooks 2.0 specification and GET /cds-services")
