"""A body has two sides, and some services and codes say which; whoever looked at the patient knows.

A side is a modifier on what was done (RT, LT, 50), and a sign in the diagnosis code where the code has a place for it.
Spec: SV101-3 to SV101-6; ICD-10-CM: 1 right, 2 left, 3 both, where a code tells sides.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim, Diagnosis
from fhir_billing.domain.codes import dotted, icd10
from fhir_billing.domain.finding import listed
from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import MODIFIER, named, with_coding, with_extension
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import ICD10CM, Kind, Seen, changed, decides, label_of, lines_of, service_of

SIDES = {"right": "Right", "left": "Left", "both": "Both sides"}
_MODIFIERS = {"right": "RT", "left": "LT", "both": "50"}
_SIGNS = {"right": "1", "left": "2", "both": "3"}
_OPEN = frozenset("09")


def _asks(seen: Seen) -> Iterator[Question]:
    for _, line in lines_of(seen, "laterality"):
        words = service_of(seen, line.ref, line.procedure)
        choices = tuple(Choice(key=key, label=label) for key, label in SIDES.items())
        yield _question(
            seen, line.ref, f"Which side: {words}?", "The chart does not say which side it was done on.", choices
        )
    held = {finding.resource for finding in seen.held_by("laterality")}
    for claim, diagnosis in {d.ref: (c, d) for c in seen.claims for d in c.diagnoses if d.ref in held}.values():
        choices = tuple(_coded(diagnosis, _place(diagnosis, claim, seen), seen))
        if choices:
            why = "The diagnosis does not say which side."
            yield _question(seen, diagnosis.ref, f"Which side: {_words(seen, diagnosis)}?", why, choices)


def _question(seen: Seen, about: str, ask: str, why: str, choices: tuple[Choice, ...]) -> Question:
    return Question(
        key=f"laterality:{about}",
        kind="laterality",
        encounter=seen.visit,
        ask=ask,
        why=why,
        choices=choices,
        settles="laterality",
        about=about,
    )


def _place(diagnosis: Diagnosis, claim: Claim, seen: Seen) -> int:
    """Which sign of the code tells the side: the one after what the edit's list says."""
    settings = seen.site.edit_settings("laterality", seen.site.payer(claim.payer.id))
    starts = [icd10(start) for start in listed(settings, "diagnoses")]
    return next((len(s) for s in starts if diagnosis.code.startswith(s) and diagnosis.code[len(s) :][:1] in _OPEN), 0)


def _coded(diagnosis: Diagnosis, place: int, seen: Seen) -> Iterator[Choice]:
    valid = seen.site.icd10_valid
    if not place:
        return
    for key, label in SIDES.items():
        code = f"{diagnosis.code[:place]}{_SIGNS[key]}{diagnosis.code[place + 1 :]}"
        if (
            code in valid if valid is not None else key != "both"
        ):  # few codes have a sign for both: without a table nobody knows
            yield Choice(key=key, label=label, code=dotted(code), system=ICD10CM)


def _words(seen: Seen, diagnosis: Diagnosis) -> str:
    found = (c for c in seen.chart.resources.values() if named(c) == diagnosis.ref)
    return label_of(next(found, {}).get("code") or {}) or dotted(diagnosis.code)


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    return changed(resources, answer, lambda one: _sided(one, answer, site))


def _sided(one: Resource, answer: Answer, site: Site | None) -> Resource:
    said = decides(answer) and answer.choice in SIDES
    if one["resourceType"] == "Condition":
        coding = {"system": ICD10CM, "code": answer.code} if said and _is_a_side_of(one, answer, site) else None
        return with_coding(one, answer.question, coding)
    urls = site.options.extensions.get("modifier", (MODIFIER,)) if site else (MODIFIER,)
    value = {"valueCode": _MODIFIERS[answer.choice]} if said else None
    return with_extension(one, answer.question, (urls or (MODIFIER,))[0], value)


def _is_a_side_of(condition: Resource, answer: Answer, site: Site | None) -> bool:
    """Whether the code is the condition's own with its side said: an answer about a side never names another disease."""
    concept = condition.get("code") or {}
    own = [str(c.get("code", "")) for c in concept.get("coding") or () if c.get("system") == ICD10CM]
    if not own and site and (billing := site.terminology.billing(concept, "diagnosis")):
        own = [str(billing["code"])]
    return any(_differs_in_side(icd10(code), icd10(answer.code), answer.choice) for code in own)


def _differs_in_side(old: str, new: str, side: str) -> bool:
    if len(old) != len(new):
        return False
    places = [n for n, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    return places == [] or (len(places) == 1 and old[places[0]] in _OPEN and new[places[0]] == _SIGNS[side])


KIND = Kind(key="laterality", settles=("laterality",), asks=_asks, lays=_lays, choices=frozenset(SIDES))
EXAMPLE = "edits: {laterality: {procedures: [73560], diagnoses: [M2556]}}; a knee without a side"
