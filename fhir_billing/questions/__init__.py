"""What a bill needs and only a clinician knows becomes a question; one kind of question, one file, found by folder.

A kind asks (from the chart, the draft and the site) and lays its answer over the chart's resources, where every later
draft finds it. Words that no code stands for change no bill: they go to a coder. Questions keep to compliant-query
practice: neutral, answers of equal weight from the chart's own evidence, two ways out, and no money.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from fhir_billing.domain.claim import Claim, ServiceLine
from fhir_billing.domain.codes import is_icd10, is_procedure
from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.finding import Finding, Owner
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Question
from fhir_billing.fhir.answered import made_by, name_of, named
from fhir_billing.mapping.chart import Chart, Resource
from fhir_billing.mapping.shape import faults
from fhir_billing.mapping.site import Site

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ASKED = "asked"
"""The kind of what a person asked."""
LONGEST_WORDS = 200
_REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")
_BILLED = frozenset({"Procedure", "Immunization", "ChargeItem", "Condition"})
_PERSON = re.compile(r"Practitioner(Role)?/[A-Za-z0-9\-.]{1,64}")


class Drafted(Protocol):
    """What a question may know of the draft."""

    @property
    def encounter(self) -> str: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def claims(self) -> tuple[Any, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a kind looks at: one visit, its draft, and what else the chart says of the patient."""

    chart: Chart
    encounter: Resource
    claims: tuple[Claim, ...]
    findings: tuple[Finding, ...]
    site: Site
    evidence: tuple[Resource, ...] = ()

    @property
    def visit(self) -> str:
        """`Encounter/ID`."""
        return named(self.encounter)

    def held_by(self, *keys: str) -> list[Finding]:
        """What holds the bill under one of these keys."""
        return [f for f in self.findings if f.is_blocking and f.key in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of question."""

    key: str
    settles: tuple[str, ...]
    """Keys of the findings that an answer settles."""
    asks: Callable[[Seen], Iterable[Question]]
    lays: Callable[[list[Resource], Answer, Site | None], list[Resource]]
    choices: frozenset[str] = frozenset()
    """The keys of choices that are always the same."""
    coded: bool = False
    """Whether a choice is an ICD-10-CM code, or a condition of the visit that has none."""
    to_coder: frozenset[str] = frozenset()
    """Choices that change nothing by themselves: somebody reads them."""
    reader: Owner = Owner.CODER
    """Who reads what no choice stands for."""
    whole_visit: bool = False
    """Whether it is about the visit itself, and not about one service or diagnosis of it."""
    finder: str = ""
    entry: Mapping[str, str] = field(default_factory=dict)
    """What must be typed beside a choice, as a pattern."""


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of this folder, by its key. Two with one key stop the start."""
    found: dict[str, Kind] = {}
    for entry in pkgutil.iter_modules(__path__):
        if entry.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{entry.name}")
        kind = getattr(module, "KIND", None)
        if not isinstance(kind, Kind) or kind.key in {*found, ASKED}:
            raise MappingInvalid(f"questions/{entry.name}.py: no KIND, or its key is taken")
        found[kind.key] = kind
    return found


def asks(chart: Chart, drafted: Drafted, site: Site, evidence: Sequence[Resource] = ()) -> list[Question]:
    """What a clinician is asked about this visit: what holds the bill first, in the order of what was found."""
    encounter = chart.resources.get(("Encounter", drafted.encounter.rpartition("/")[2]))
    if encounter is None:
        return []
    seen = Seen(
        chart=chart,
        encounter=encounter,
        claims=tuple(one.claim for one in drafted.claims),
        findings=drafted.findings,
        site=site,
        evidence=tuple(one for one in evidence if _is_sound(one)),
    )
    place = {finding.key: position for position, finding in reversed(list(enumerate(drafted.findings)))}
    found = {q.key: q for kind in kinds().values() for q in kind.asks(seen)}
    return sorted(found.values(), key=lambda q: (not q.blocks, place.get(q.settles, len(place)), q.key))


def laid(resources: Iterable[Any], answers: Iterable[Answer], site: Site | None = None) -> list[Any]:
    """These resources as they are with the answers; laying them again changes nothing. One taken back is taken away."""
    found: list[Any] = list(resources)
    known = kinds()
    for answer in answers:
        kind = known.get(answer.kind)
        if kind is not None and any(_is_sound(r) and named(r) == answer.encounter for r in found):
            found = _lay(found, kind, answer, site)
    return found


def _lay(found: list[Any], kind: Kind, answer: Answer, site: Site | None) -> list[Any]:
    sound = [one for one in found if _is_sound(one)]
    others = [one for one in found if not _is_sound(one)]
    return [*kind.lays(sound, answer, site), *others] if others else kind.lays(sound, answer, site)


def _is_sound(resource: Any) -> bool:
    return isinstance(resource, dict) and isinstance(resource.get("resourceType"), str) and not faults(resource)


def decides(answer: Answer) -> bool:
    """Whether the answer itself changes the bill; else a coder reads it."""
    kind = kinds().get(answer.kind)
    if kind is None or not answer.choice or answer.choice == CANT_SAY or answer.choice in kind.to_coder:
        return False
    if answer.choice == SOMETHING_ELSE or kind.coded:
        return bool(answer.code)
    return True


def wrong(answer: Answer) -> str:
    """What is wrong with an answer that came from outside; empty when it can be taken."""
    kind = kinds().get(answer.kind)
    if kind is None and answer.kind != ASKED:
        return "there is no such kind of question"
    if not _REFERENCE.fullmatch(answer.encounter) or not answer.encounter.startswith("Encounter/"):
        return "the answer does not say which visit it is about"
    if kind is not None and (
        answer.question != f"{answer.kind}:{answer.about}" or not _REFERENCE.fullmatch(answer.about)
    ):
        return "the answer's question is none of this kind"
    if kind is not None and kind.settles and not _may_be_about(answer, kind):
        return "the answer is about something that it cannot be about"
    if answer.resource and not _REFERENCE.fullmatch(answer.resource):
        return "what the answer rests on is no resource"
    if answer.practitioner and not _PERSON.fullmatch(answer.practitioner):
        return "who answered is no practitioner"
    for text, most in ((answer.text, LONGEST_WORDS), (answer.label, LONGEST_WORDS), (answer.ask, 300)):
        if len(text) > most or not text.isprintable():
            return f"a text is longer than {most} signs, or holds control characters"
    return _wrong_choice(answer, kind)


def _may_be_about(answer: Answer, kind: Kind) -> bool:
    if answer.about == answer.encounter:
        return True
    return not kind.whole_visit and answer.about.partition("/")[0] in _BILLED


def _wrong_choice(answer: Answer, kind: Kind | None) -> str:
    if answer.system and answer.system != ICD10CM and answer.choice != SOMETHING_ELSE:
        return "the code's system is none that is asked for"
    if answer.choice in {"", CANT_SAY} or kind is None:
        return ""
    if answer.choice == SOMETHING_ELSE:
        if not answer.code and not answer.text.strip():
            return "something else needs a code or a few words"
        fits = is_icd10(answer.code) if kind.finder == "diagnosis" else kind.finder and is_procedure(answer.code)
        return "" if not answer.code or fits else "the code is none that is asked for"
    if kind.coded:
        words = not answer.code and _REFERENCE.fullmatch(answer.choice) and answer.choice.startswith("Condition/")
        return "" if words or is_icd10(answer.code) else "the code is no ICD-10-CM code"
    if answer.choice not in kind.choices:
        return "that is none of the choices"
    if answer.code and not is_icd10(answer.code):
        return "the code is no ICD-10-CM code"
    pattern = kind.entry.get(answer.choice, "")
    return "" if not pattern or re.fullmatch(pattern, answer.text, re.ASCII) else "what was typed has another shape"


def changed(resources: list[Resource], answer: Answer, change: Callable[[Resource], Resource]) -> list[Resource]:
    """The resources with the one that the answer is about changed; one of another visit never is."""
    return [change(one) if named(one) == answer.about and of_visit(one, answer) else one for one in resources]


def of_visit(one: Resource, answer: Answer) -> bool:
    """Whether a resource is the answer's visit, or belongs to it."""
    place = one.get("context") if one["resourceType"] == "ChargeItem" else one.get("encounter")
    return named(one) == answer.encounter or f"/{(place or {}).get('reference', '')!s}".endswith(f"/{answer.encounter}")


def made_for(resources: Iterable[Resource], question: str) -> Resource | None:
    """What the answer to this question made, when it is here already."""
    return next((one for one in resources if made_by(one) == name_of(question)), None)


def service_of(seen: Seen, reference: str, code: str) -> str:
    """A service in words: as the chart calls it, else by its code."""
    kind, _, name = reference.partition("/")
    resource = seen.chart.resources.get((kind, name)) or {}
    types = resource.get("type") if kind == "Encounter" else None
    spoken: list[Resource] = types if isinstance(types, list) else []
    concept = next(iter(spoken), None) or resource.get("code") or resource.get("vaccineCode") or {}
    return label_of(concept) or (f"service {code}" if code else "this service")


def lines_of(seen: Seen, *keys: str) -> Iterator[tuple[Finding, ServiceLine]]:
    """The lines that findings of these keys hold, each line once."""
    told: set[str] = set()
    for finding in seen.held_by(*keys):
        for line in (line for claim in seen.claims for line in claim.lines):
            if line.ref and line.ref == finding.resource and line.ref not in told:
                told.add(line.ref)
                yield finding, line


def label_of(concept: Mapping[str, Any]) -> str:
    """A concept in words, as the chart has it, fit for one line."""
    texts: Iterator[str] = (str(c.get("display") or "") for c in concept.get("coding") or ())
    words = str(concept.get("text") or "") or next((text for text in texts if text), "")
    return "".join(sign if sign.isprintable() else " " for sign in words).strip()[:120]
