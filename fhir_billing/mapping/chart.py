"""A chart is many resources that name each other in seven ways; here each name finds its resource, and each visit what is its own.

References come relative, absolute, as urn:uuid, contained, conditional (`Practitioner?identifier=…`) or as an identifier
only. The same type and id twice: the newest `meta.lastUpdated`, else the last. What points at a visit or a patient is
indexed once, so that a visit is gathered in as many steps as it has resources.
Spec: FHIR R4 references, https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from fhir_billing.fhir.ours import CLAIM_NUMBER
from fhir_billing.mapping.shape import SHAPES, faults

Resource: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]

_POINTS_AT_VISIT = {
    "Condition": "encounter",
    "Procedure": "encounter",
    "Immunization": "encounter",
    "ChargeItem": "context",
}
_PATIENT = {"Immunization": "patient"}
NOT_BILLED = frozenset({"entered-in-error", "cancelled", "not-done", "aborted", "not-billable"})
_WHEN = {
    "Condition": ("recordedDate", "onsetDateTime"),
    "Procedure": ("performedDateTime", "performedPeriod"),
    "Immunization": ("occurrenceDateTime",),
    "ChargeItem": ("occurrenceDateTime", "occurrencePeriod"),
}
_BY_IDENTIFIER = frozenset(
    {
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
        "RelatedPerson",
        "Coverage",
        "Encounter",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A resource, or a part of a file, that was refused."""

    file: str
    where: str
    """`Encounter/ID path`, or the place in the file."""
    say: str
    fix: str
    encounter: str = ""
    """`Encounter/ID` of a finished visit that is refused: it is accounted for as held."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{self.file}: {place}{self.say}; {self.fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A resource that a bill would have read and could not: what it says may still matter to a visit or a patient."""

    kind: str
    identity: str
    at: str
    """FHIR path of the fault."""
    say: str
    resource: Resource

    @property
    def name(self) -> str:
        """`Type/ID` as far as it is known."""
        return f"{self.kind}/{self.identity}" if self.identity else self.kind


@dataclass(slots=True)
class Chart:
    """All resources at hand. Add them, then `index()`, then ask."""

    resources: dict[Key, Resource] = field(default_factory=dict)
    files: dict[Key, str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    _by_url: dict[str, Key] = field(default_factory=dict)
    _by_identifier: dict[tuple[str, str, str], list[Key]] = field(default_factory=dict)
    _of_visit: dict[Key, list[Resource]] = field(default_factory=dict)
    _coverages: dict[Key, list[Resource]] = field(default_factory=dict)
    _encounters: list[Resource] = field(default_factory=list)
    _refused: list[Unread] = field(default_factory=list)
    _unread: dict[Key, list[Unread]] = field(default_factory=dict)
    """By visit, and for coverages by patient."""
    _foreign: dict[Key, list[Resource]] = field(default_factory=dict)
    unread_coverages: list[Unread] = field(default_factory=list)
    """Coverages that do not even tell whose they are."""

    def add(self, resource: Any, *, file: str = "", url: str = "", where: str = "") -> None:
        """Take in a resource; one in the wrong shape becomes a complaint. Claims and the like are not taken: they are no source."""
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            self.complaints.append(
                Complaint(file=file, where=where, say="this is no FHIR resource", fix="give it a resourceType")
            )
            return
        kind = resource["resourceType"]
        if kind not in SHAPES or _is_told_by_us(resource):
            return
        identity = resource.get("id")
        if identity is None and url:
            identity = url.rstrip("/").rpartition("/")[2].rpartition(":")[2]
            resource = {**resource, "id": identity}
        name = f"{kind}/{identity}" if isinstance(identity, str) else kind
        if not isinstance(identity, str) or not identity:
            place = f"{where} {name}".strip()
            finished = kind == "Encounter" and resource.get("status") == "finished"
            self.complaints.append(
                Complaint(
                    file=file, where=place, say="the resource has no id", fix="give it one",
                    encounter="Encounter" if finished else "",
                )
            )  # fmt: skip
            self._refused.append(Unread(kind=kind, identity="", at="id", say="has no id", resource=resource))
            return
        if found := faults(resource):
            at, say = found[0]
            finished = kind == "Encounter" and resource.get("status") == "finished"
            self._refused.append(Unread(kind=kind, identity=identity, at=at, say=say, resource=resource))
            self.complaints.append(
                Complaint(
                    file=file, where=f"{name} {at}", say=say, fix="correct it in the chart and read it again",
                    encounter=name if finished else "",
                )
            )  # fmt: skip
            return
        self._keep((kind, identity), resource, file, url)

    def _keep(self, key: Key, resource: Resource, file: str, url: str) -> None:
        if url:
            self._by_url[url] = key
        before = self.resources.get(key)
        if before is None or not _older(resource, before):
            self.resources[key] = resource
            self.files[key] = file

    def index(self) -> Chart:
        """Make everything findable; call it when all is added."""
        for (kind, identity), resource in self.resources.items():
            if kind in _BY_IDENTIFIER:
                for one in resource.get("identifier") or ():
                    for system in {one.get("system", ""), ""}:
                        self._by_identifier.setdefault((kind, system, one.get("value", "")), []).append(
                            (kind, identity)
                        )
        for (kind, _), resource in self.resources.items():
            if kind == "Encounter":
                self._encounters.append(resource)
        visits = Visits(self, self._encounters)
        for (kind, identity), resource in self.resources.items():
            if kind in _POINTS_AT_VISIT:
                self._to_visit(visits, kind, identity, resource)
            elif kind == "Coverage":
                self._to_patient(identity, resource)
        for own in self._of_visit.values():
            own.sort(key=_when_and_id)  # the order of the files means nothing
        for unread in self._refused:
            before = self.resources.get((unread.kind, unread.identity))
            if before is not None and _older_by_its_word(unread.resource, before):
                continue
            if unread.kind == "Coverage":
                self._unread_coverage(unread)
            elif unread.kind in _POINTS_AT_VISIT and _POINTS_AT_VISIT[unread.kind] in unread.resource:
                self._hold(visits, unread)
        return self

    def _to_visit(self, visits: Visits, kind: str, identity: str, resource: Resource) -> None:
        element = _POINTS_AT_VISIT[kind]
        reference = resource.get(element)
        key = self.key(reference, resource) if reference else None
        if key and (visit := self.resources.get(key)) and key[0] == "Encounter":
            mine = self.key(resource.get(_PATIENT.get(kind, "subject")) or {}, resource)
            theirs = self.key(visit.get("subject") or {}, visit)
            foreign = mine is not None and theirs is not None and mine != theirs
            (self._foreign if foreign else self._of_visit).setdefault(key, []).append(resource)
            return
        charge = kind == "ChargeItem" and resource.get("status") == "billable"
        elsewhere = key is not None and key[0] != "Encounter"
        if (charge and not elsewhere) or (reference and key is None and resource.get("status") not in NOT_BILLED):
            say = "does not lead to a visit that is here" if reference else "is missing"
            self._hold(visits, Unread(kind=kind, identity=identity, at=element, say=say, resource=resource))

    def _hold(self, visits: Visits, unread: Unread) -> None:
        for visit in visits.meant(unread):
            self._unread.setdefault(("Encounter", visit["id"]), []).append(unread)

    def _to_patient(self, identity: str, resource: Resource) -> None:
        reference = resource.get("beneficiary")
        if reference and (key := self.key(reference, resource)):
            self._coverages.setdefault(key, []).append(resource)
        elif resource.get("status") not in NOT_BILLED:
            say = "does not tell who is insured"
            self._unread_coverage(
                Unread(kind="Coverage", identity=identity, at="beneficiary", say=say, resource=resource)
            )

    def _unread_coverage(self, unread: Unread) -> None:
        whose = [self.loose_key(unread.resource.get(name)) for name in ("beneficiary", "subscriber", "policyHolder")]
        key = next((k for k in whose if k and k[0] == "Patient"), None)
        if key:
            self._unread.setdefault(key, []).append(unread)
        else:
            self.unread_coverages.append(unread)

    def unread(self, key: Key) -> list[Unread]:
        """What could not be read of a visit, or of a patient's coverages."""
        return self._unread.get(key, [])

    def foreign(self, encounter: Resource) -> list[Resource]:
        """What points at the visit, and is another patient's."""
        return self._foreign.get(("Encounter", encounter["id"]), [])

    def loose_key(self, reference: Any) -> Key | None:
        """What a reference of a refused resource means; None when that cannot be told."""
        if not isinstance(reference, dict):
            return None
        try:
            return self.key(reference)
        except (TypeError, AttributeError, ValueError):
            return None

    def finished(self) -> list[Resource]:
        """The finished visits, in the order they were read."""
        return [e for e in self._encounters if e.get("status") == "finished"]

    def of_visit(self, encounter: Resource, kind: str) -> list[Resource]:
        """What of this kind points at the visit."""
        return [r for r in self._of_visit.get(("Encounter", encounter["id"]), ()) if r["resourceType"] == kind]

    def coverages(self, patient: Key) -> list[Resource]:
        """The patient's coverages."""
        return self._coverages.get(patient, [])

    def key(self, reference: Mapping[str, Any], within: Resource | None = None) -> Key | None:
        """Type and id that a reference means; it need not be here. None when it cannot be told."""
        text = reference.get("reference") or ""
        if text.startswith("#"):
            return None
        if text in self._by_url:
            return self._by_url[text]
        if "?" in text:
            return self._conditional(text)
        if text.startswith(("urn:uuid:", "urn:oid:")):
            return self._any_kind(text.rpartition(":")[2])
        if text:
            parts = text.split("/_history/")[0].rstrip("/").split("/")
            return (parts[-2], parts[-1]) if len(parts) > 1 else None
        identifier = reference.get("identifier")
        return self._identified(identifier, reference.get("type", "")) if identifier else None

    def _any_kind(self, identity: str) -> Key | None:
        found = [(kind, identity) for kind in SHAPES if (kind, identity) in self.resources]
        return found[0] if len(found) == 1 else None

    def _conditional(self, text: str) -> Key | None:
        kind, _, query = text.partition("?")
        name, _, value = query.partition("=")
        kind = kind.rpartition("/")[2]
        system, bar, rest = _unquote(value).partition("|")
        if name == "_id":
            return kind, value
        if name != "identifier":
            return None
        return self._one(self._by_identifier.get((kind, system if bar else "", rest if bar else system), []))

    def _identified(self, identifier: Mapping[str, Any], kind: str) -> Key | None:
        system, value = identifier.get("system", ""), identifier.get("value", "")
        kinds = [kind] if kind else sorted(_BY_IDENTIFIER)
        return self._one([key for k in kinds for key in self._by_identifier.get((k, system, value), [])])

    @staticmethod
    def _one(found: Iterable[Key]) -> Key | None:
        different = list(dict.fromkeys(found))
        return different[0] if len(different) == 1 else None

    def resolve(self, reference: Mapping[str, Any] | None, within: Resource | None = None) -> Resource | None:
        """The resource that a reference means, or None."""
        if not reference:
            return None
        text = reference.get("reference") or ""
        if text.startswith("#"):
            inside = (within or {}).get("contained") or ()
            return next((r for r in inside if r.get("id") == text[1:]), None)
        key = self.key(reference, within)
        return self.resources.get(key) if key else None

    def written(self, reference: Mapping[str, Any] | None) -> str:
        """A reference as `Type/ID` when it can be told, else as the chart has it."""
        if not reference:
            return ""
        key = self.key(reference)
        return "/".join(key) if key else str(reference.get("reference") or "")

    def file(self, resource: Resource) -> str:
        """The file that a resource was read from."""
        return self.files.get((resource["resourceType"], resource["id"]), "")


class Visits:
    """Finished visits by patient, to find the one that a resource is about when it does not say so itself."""

    def __init__(self, chart: Chart, encounters: Iterable[Resource]) -> None:
        self._chart = chart
        self._by_patient: dict[Key | None, list[Resource]] = {}
        for encounter in encounters:
            if encounter.get("status") == "finished":
                key = chart.key(encounter.get("subject") or {}, encounter)
                self._by_patient.setdefault(key, []).append(encounter)

    def meant(self, unread: Unread) -> list[Resource]:
        """The visit that it names; else its patient's of that day; else all of that patient."""
        resource, chart = unread.resource, self._chart
        named = chart.loose_key(resource.get(_POINTS_AT_VISIT[unread.kind]))
        if named and (visit := chart.resources.get(named)) and visit["resourceType"] == "Encounter":
            return [visit]
        patient = chart.loose_key(resource.get(_PATIENT.get(unread.kind, "subject")))
        if patient is None and len(self._by_patient) == 1:
            patient = next(iter(self._by_patient))
        visits = self._by_patient.get(patient, []) if patient else []
        day = _when(resource)[:10]
        days = [visit for visit in visits if _covers(visit, day)]
        return days or ([] if _is_day(day) else visits)


def _covers(visit: Resource, day: str) -> bool:
    period = visit.get("period") or {}
    start = (period.get("start") or "")[:10]
    return bool(day) and start <= day <= ((period.get("end") or "")[:10] or start)


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _when(resource: Resource) -> str:
    """When it was, as the chart writes it."""
    for name in _WHEN.get(resource["resourceType"], ()):
        found = resource.get(name)
        found = found.get("start") if isinstance(found, dict) else found
        if isinstance(found, str) and found:
            return found
    return ""


def _when_and_id(resource: Resource) -> tuple[bool, datetime, str]:
    """What has no readable time comes last."""
    try:
        found = _instant(_when(resource))
    except (ValueError, OverflowError):
        found = None
    return found is None, found or datetime.max.replace(tzinfo=UTC), resource["id"]


def _older_by_its_word(refused: Resource, before: Resource) -> bool:
    meta = refused.get("meta")
    said = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return isinstance(said, str) and _older({"meta": {"lastUpdated": said}}, before)


def _unquote(text: str) -> str:
    return re.sub(
        r"((?:%[0-9A-Fa-f]{2})+)", lambda m: bytes.fromhex(m[1].replace("%", "")).decode("utf-8", "replace"), text
    )


def _older(resource: Resource, before: Resource) -> bool:
    """Whether a resource is older than the one that is here: both must say when they were changed, else the last one counts."""
    new = _instant((resource.get("meta") or {}).get("lastUpdated"))
    old = _instant((before.get("meta") or {}).get("lastUpdated"))
    return new is not None and old is not None and new < old


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def gathered(resources: Iterable[Any], *, file: str = "") -> Chart:
    """A chart of resources at hand, indexed."""
    chart = Chart()
    for resource in resources:
        chart.add(resource, file=file)
    return chart.index()


__all__ = ["NOT_BILLED", "Chart", "Complaint", "Key", "Resource", "Unread", "gathered"]


def _is_told_by_us(resource: Resource) -> bool:
    """Whether it is a charge that we entered from a claim: it is no source of that claim."""
    rows = resource.get("identifier")
    ours = isinstance(rows, list) and any(isinstance(r, dict) and r.get("system") == CLAIM_NUMBER for r in rows)
    return resource.get("resourceType") == "ChargeItem" and ours
