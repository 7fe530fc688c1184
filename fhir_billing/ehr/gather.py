"""A visit is read with all that its bill needs, in few requests, and what cannot be read is said, not guessed.

Where the EHR brings what a visit points at and what points at it, that is asked first; what is still missing is asked
together. However it was asked, the same chart gives the same resources: the visit, what belongs to it, the patient's
coverages, and what these refer to, a few steps far. A single resource that cannot be read is recorded and becomes a finding;
a kind of resource that the EHR forbids stops the visit, for half a chart would make a wrong bill.
Spec: `_include`, `_revinclude`, batch; Coverage by beneficiary; references relative, absolute, conditional or by identifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotThere, ScopeMissing
from fhir_billing.ehr.client import FhirClient, Incomplete, Resource, Unsupported
from fhir_billing.ehr.errands import Answer, Errand, ask
from fhir_billing.ehr.references import WANTED, literal, name, query, references

STEPS = 3
"""How far references are followed: coverage → payer, role → organization → its parent."""
MOST_REFERENCES = 200
MOST_RESOURCES = 20_000
MOST_ROUNDS = 12
LARGEST_PAGE = 1000
PAGE = ("_count", "100")
MANY = 100
"""So many of a kind that an EHR may have left some out without a word: they are searched, and counted."""
AT_VISIT = {"Procedure": "encounter", "Condition": "encounter", "ChargeItem": "context", "Immunization": "encounter"}
"""The element by which each kind points at its visit."""

VISIT = (
    ("_include", "Encounter:subject"),
    ("_include", "Encounter:participant"),
    ("_include", "Encounter:service-provider"),
    ("_include", "Encounter:location"),
    ("_revinclude", "Procedure:encounter"),
    ("_revinclude", "Condition:encounter"),
    ("_revinclude", "ChargeItem:context"),
)
INSURANCE = (("_include", "Coverage:payor"), ("_include", "Coverage:subscriber"))
Wish: TypeAlias = tuple[Errand, Callable[[Answer], None]]


def gather(client: FhirClient, encounter: str, *, forgive: frozenset[str] = frozenset()) -> list[Resource]:
    """All resources that a visit's bill needs, as read; kinds to `forgive` may be forbidden. Raises NotNow to try again later, ScopeMissing for what the EHR forbids."""
    visit = f"Encounter/{encounter.rsplit('/', maxsplit=1)[-1]}"
    if not client.local(visit):
        raise EhrBrokeContract(
            "the visit's id is none that FHIR allows", fix="letters, digits, - and . only, 64 at most: mend it in the EHR"
        )  # fmt: skip
    reading = Reading(client, visit, forgive)
    if client.ways.includes is not False:
        reading.ask_with_includes()
    for _ in range(MOST_ROUNDS):
        wishes = list(reading.wishes())
        if not wishes:
            return reading.all()
        for (_, take), answer in zip(wishes, ask(client, [errand for errand, _ in wishes]), strict=True):
            take(answer)
    raise EhrBrokeContract(f"{visit} is not read after {MOST_ROUNDS} rounds", fix="look at the chart")


class Reading:
    """One visit while it is read: what is here, what could not be had, and what is still to be asked."""

    def __init__(self, client: FhirClient, visit: str, forgive: frozenset[str]) -> None:
        self._client, self._visit, self._forgive = client, visit, forgive
        self._found: dict[str, Resource] = {}
        self._own: dict[str, None] = {}
        """What the visit and the patient's insurance consist of; all else is here because something refers to it."""
        self._missing: dict[str, str] = {}
        self._meant: dict[str, str] = {}
        """What a reference that is no `Type/id` turned out to mean."""
        self._references: dict[str, list[Resource]] = {}
        self._asked: set[str] = set()
        self._searches = {kind: self._by_visit(kind) for kind in AT_VISIT}
        """What each kind at the visit is still to be searched by, best first."""
        self._insurance: list[tuple[str, tuple[tuple[str, str], ...]]] | None = None
        self._no_vaccines: ScopeMissing | None = None

    # what is still to be asked

    def wishes(self) -> Iterator[Wish]:
        """All that can be asked now, and who takes the answer."""
        visit = self._found.get(self._visit)
        if visit is None:
            yield Errand("Encounter", self._visit.partition("/")[2]), self._take_visit
        patient = self._patient(visit) if visit is not None else None
        for kind, searches in self._searches.items():
            if searches and (errand := self._search(kind, searches[0], patient)) is not None:
                yield errand, partial(self._take_kind, kind)
        if patient:
            yield from self._insurance_of(patient)
        yield from self._referred()

    def _by_visit(self, kind: str) -> list[tuple[str, int]]:
        """By the visit, else by the patient; R4 has no search of vaccines by visit. With each, the page size."""
        return [("patient", 100)] if kind == "Immunization" else [(AT_VISIT[kind], 100), ("patient", 100)]

    def _search(self, kind: str, by: tuple[str, int], patient: str | None) -> Errand | None:
        """The next search of a kind; None while the patient is not known yet, and for good when there is none."""
        parameter, count = by
        value = self._visit if parameter == AT_VISIT[kind] else patient
        if value == "":
            self._searches[kind] = []
        return Errand(kind, params=((parameter, value), ("_count", str(count)))) if value else None

    def _patient(self, visit: Resource) -> str | None:
        """`Patient/ID` of the visit; None while a search for it is on its way, empty when it cannot be found."""
        subject = visit.get("subject")
        if not isinstance(subject, dict):
            return ""
        key = self._key(subject)
        return key if key or name(subject) not in self._missing else ""

    def _insurance_of(self, patient: str) -> Iterator[Wish]:
        if self._insurance is None:
            self._insurance = [("patient", ()), ("beneficiary", ())]
            if self._client.ways.includes is not False:
                self._insurance.insert(0, ("patient", INSURANCE))
        if self._insurance:
            parameter, more = self._insurance[0]
            yield Errand("Coverage", params=((parameter, patient), PAGE, *more)), partial(self._take_coverages, patient)

    def _referred(self) -> Iterator[Wish]:
        """What is referred to within a few steps and not here."""
        wanted = {
            name(r): r for key in self._reached(STEPS - 1) for r in self._of(key) if self._key(r) not in self._found
        }
        new = {said: r for said, r in wanted.items() if said not in self._asked and said not in self._missing}
        for said, reference in new.items():
            local = self._client.local(literal(reference))
            if local and local in self._asked:
                continue  # the same resource, named in another way
            kind, asked = ("", []) if local else query(self._client.base, reference)
            self._asked |= {said, local or said}
            if local:
                kind, _, identity = local.partition("/")
                yield Errand(kind, identity), partial(self._take_one, said, local)
            elif kind:
                yield Errand(kind, params=tuple(asked), first_page=True), partial(self._take_match, said, kind)
            else:
                self._missing[said] = "elsewhere"
        if len(self._asked) > MOST_REFERENCES:
            raise EhrBrokeContract(
                f"one visit refers to more than {MOST_REFERENCES} resources", fix="look at the chart"
            )

    # what was answered

    def ask_with_includes(self) -> None:
        """The visit with what it points at and what points at it, in one search; and whether this EHR does that at all."""
        ways, identity = self._client.ways, self._visit.partition("/")[2]
        try:
            found = list(self._client.search("Encounter", [("_id", identity), *VISIT], whole=True))
        except ScopeMissing:
            ways.includes = ways.includes or False  # what worked before is forbidden today, not unknown
            return
        except (NotThere, Unsupported):
            ways.includes = False
            return
        self._add(self._at_visit(found))
        for kind in AT_VISIT:
            if 0 < sum(key.startswith(f"{kind}/") for key in self._own) < MANY:
                self._searches[kind] = []
        visit = self._found.get(self._visit)
        if len(self._found) > 1:
            ways.includes = True
        elif ways.includes is None and visit is not None and any(self._key(r) for r in self._of(self._visit)):
            ways.includes = False

    def _take_visit(self, answer: Answer) -> None:
        self._add(_or_raise(answer))

    def _take_kind(self, kind: str, answer: Answer) -> None:
        parameter, count = self._searches[kind].pop(0)
        if isinstance(answer, ScopeMissing) and (kind in self._forgive or kind == "Immunization"):
            self._no_vaccines = None if kind in self._forgive else answer
        elif isinstance(answer, Incomplete) and count < answer.total <= LARGEST_PAGE:
            self._searches[kind] = [(parameter, answer.total)]
        elif not isinstance(answer, NotThere | Unsupported):
            self._add(self._at_visit(_or_raise(answer)))
            self._searches[kind] = []

    def _take_coverages(self, patient: str, answer: Answer) -> None:
        tried = (self._insurance or []).pop(0)
        if isinstance(answer, Unsupported) and self._insurance:
            return
        if isinstance(answer, Incomplete) and tried[1]:
            return
        self._insurance = []
        found = [r for r in _or_raise(answer) if r.get("resourceType") != "Coverage" or self._is_of(r, patient)]
        self._add(found)
        self._own |= dict.fromkeys(key for r in found if r.get("resourceType") == "Coverage" and (key := _key(r)))

    def _is_of(self, coverage: Resource, patient: str) -> bool:
        return self._client.local(literal(coverage.get("beneficiary"))) in {patient, ""}

    def _take_one(self, said: str, local: str, answer: Answer) -> None:
        if isinstance(answer, BillingError):
            self._missing[said] = answer.code
        else:
            self._add(answer)
            self._meant[said] = local

    def _take_match(self, said: str, kind: str, answer: Answer) -> None:
        if isinstance(answer, BillingError):
            self._missing[said] = answer.code
            return
        found = [r for r in answer if r.get("resourceType") == kind and _key(r)]
        if len(found) != 1:
            self._missing[said] = "not-there" if not found else "ambiguous"
            return
        self._add(found)
        self._meant[said] = _key(found[0])

    # what is here

    def _add(self, resources: Iterable[Resource]) -> None:
        """Keep what the bill may need; the first reading of a resource stays."""
        for resource in resources:
            if key := _key(resource):
                self._found.setdefault(key, resource)
        if len(self._found) > MOST_RESOURCES:
            raise EhrBrokeContract(f"one visit has more than {MOST_RESOURCES} resources", fix="look at the chart")

    def _at_visit(self, resources: Iterable[Resource]) -> Iterator[Resource]:
        """Only this visit and what belongs to it: some EHRs answer more than was asked."""
        for resource in resources:
            kind = resource.get("resourceType")
            key, element = _key(resource), AT_VISIT.get(kind) if isinstance(kind, str) else None
            if kind == "Encounter" and key != self._visit:
                continue
            if element is not None:
                if self._client.local(literal(resource.get(element))) != self._visit:
                    continue
                if not key:
                    raise EhrBrokeContract(f"a {kind} of {self._visit} has no id", fix="mend it in the EHR")
                self._own[key] = None
            yield resource

    def _key(self, reference: Resource) -> str:
        """`Type/id` of what a reference means, as far as it is known."""
        return self._client.local(literal(reference)) or self._meant.get(name(reference), "")

    def _of(self, key: str) -> list[Resource]:
        """The references of a resource that is here; each resource is walked through once."""
        if key not in self._references:
            self._references[key] = list(references(self._found[key]))
        return self._references[key]

    def _reached(self, steps: int) -> dict[str, None]:
        """What is here, at most so many references away from the visit, what belongs to it, and the insurance."""
        reached = dict.fromkeys(key for key in (self._visit, *self._own) if key in self._found)
        edge = list(reached)
        for _ in range(steps):
            edge = [t for key in edge for r in self._of(key) if (t := self._key(r)) in self._found and t not in reached]
            reached |= dict.fromkeys(edge)
            edge = list(dict.fromkeys(edge))
        return reached

    def all(self) -> list[Resource]:
        """In a stable order, so that the same chart gives the same bytes."""
        if self._no_vaccines and not any(key.startswith("ChargeItem/") for key in self._own):
            raise self._no_vaccines  # what is charged stands in the charges already
        outcome = [_problem(reference, say) for reference, say in sorted(self._missing.items())]
        return [*(self._found[key] for key in sorted(self._reached(STEPS))), *outcome]


def _or_raise(answer: Answer) -> list[Resource]:
    if isinstance(answer, BillingError):
        raise answer
    return answer


def _key(resource: Resource) -> str:
    kind, identity = resource.get("resourceType"), resource.get("id")
    if isinstance(kind, str) and isinstance(identity, str) and kind in WANTED and identity:
        return f"{kind}/{identity}"
    return ""


def _problem(reference: str, code: str) -> Resource:
    """What could not be read, as FHIR says it; the mapping turns it into a finding."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": code, "expression": [reference]}],
    }
