"""What a bill lacks and only a clinician knows stands on a card, with answers that the EHR can write itself.

A suggestion holds exactly the resources that `questions.laid` makes of the same answer, so that the chart becomes what
our own pages would have made it. No answer is recommended and no money stands beside one.
Spec: CDS Hooks 2.0 "Action": create and update carry a whole resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_billing.cds.card import Action, Card, Suggestion, marked
from fhir_billing.cds.hook import Call, Resource
from fhir_billing.cycle.bedside import bedside
from fhir_billing.domain.question import CANT_SAY, SOMETHING_ELSE, Answer, Choice, Question
from fhir_billing.mapping.shape import faults
from fhir_billing.questions import laid

NEEDED = ("patient", "encounter", "coverages", "conditions", "procedures", "charges")
MOST_CHOICES = 6
_INACTIVE = frozenset({"inactive", "resolved", "remission"})


def missing(call: Call) -> list[Card]:
    """One card for each unanswered question of the call's visit; none while a part of the chart could not be read."""
    if not call.encounter or not call.knows(*NEEDED):
        return []
    mine, evidence = resources_of(call), evidence_of(call)
    found = bedside(
        mine, call.site, encounter=call.encounter, answers=call.answers, asked=call.asked, evidence=evidence,
        today=call.today,
    )  # fmt: skip
    return [question_card(question, [*mine, *evidence], call) for question in found.questions]


def asked(call: Call) -> list[Card]:
    """What a person of billing asked about another visit of this patient; it is answered on our page."""
    return [question_card(question, (), call) for question in call.asked if question.encounter != call.encounter]


def question_card(question: Question, resources: Sequence[Resource], call: Call) -> Card:
    """A question as a card. One whose answer must be typed is answered on our page."""
    choices = question.choices[:MOST_CHOICES] if not question.entry else ()
    offered = (_suggestion(question, choice, resources, call) for choice in choices)
    return Card(
        key=f"question:{question.encounter}:{question.key}",
        summary=question.ask,
        detail=marked(question.why),
        indicator="warning" if question.blocks else "info",
        suggestions=tuple(one for one in offered if one is not None),
        link="Answer in This visit",
        context=(("view", "visit"), ("question", question.key)),
    )


def _suggestion(question: Question, choice: Choice, resources: Sequence[Resource], call: Call) -> Suggestion | None:
    if not resources or choice.key in {SOMETHING_ELSE, CANT_SAY}:
        return None
    answer = Answer(
        question=question.key, kind=question.kind, encounter=question.encounter, choice=choice.key, label=choice.label,
        code=choice.code, system=choice.system, about=question.about, resource=choice.resource, ask=question.ask,
        practitioner=call.user if call.user.startswith("Practitioner") else "",
    )  # fmt: skip
    actions = tuple(changes(resources, laid(resources, [answer], call.site), _words(choice)))
    return Suggestion(key=choice.key, label=choice.label, actions=actions) if actions else None


def _words(choice: Choice) -> str:
    """The answer, and where the chart says so."""
    return f"{choice.label} ({choice.evidence})" if choice.evidence else choice.label


def changes(before: Iterable[Resource], after: Iterable[Resource], say: str) -> list[Action]:
    """What must be created or updated to get from one chart to the other; nothing when it cannot be said in actions.

    A created resource has no id yet, so one that another refers to cannot be offered this way.
    """
    known = {_name(resource): resource for resource in before}
    made, new = [], []
    for resource in after:
        old = known.get(_name(resource))
        if old is None:
            new.append(_name(resource))
            made.append(Action(kind="create", say=say, resource={k: v for k, v in resource.items() if k != "id"}))
        elif old != resource:
            made.append(Action(kind="update", say=say, resource=resource))
    named = {text for action in made for text in _references(action.resource)}
    return [] if named & set(new) else made


def _name(resource: Resource) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _references(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(text := value.get("reference"), str):
            yield text
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


def resources_of(call: Call) -> list[Resource]:
    """The visit's own resources: what points at another visit is no part of this bill."""
    found = call.of(
        "patient", "encounter", "coverages", "conditions", "problems", "procedures", "charges", "immunizations"
    )
    return [resource for resource in found if _is_of(resource, call.encounter)]


def _is_of(resource: Resource, encounter: str) -> bool:
    element = {"Condition": "encounter", "Procedure": "encounter", "Immunization": "encounter", "ChargeItem": "context"}
    name = element.get(str(resource.get("resourceType")))
    if name is None:
        return True
    return pointed(resource.get(name)) == encounter


def pointed(reference: object) -> str:
    """A reference as `Type/id`, wherever it was written; empty when it cannot be told."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str) or "?" in text or text.startswith(("#", "urn:")):
        return ""
    return "/".join(text.split("/_history/", maxsplit=1)[0].rstrip("/").split("/")[-2:])


def evidence_of(call: Call) -> list[Resource]:
    """The patient's other active conditions: choices, never billed by themselves."""
    return [
        resource
        for resource in call.of("problems", "conditions")
        if resource.get("resourceType") == "Condition"
        and not faults(resource)
        and not _is_of(resource, call.encounter)
        and not _codes(resource.get("clinicalStatus")) & _INACTIVE
        and not _codes(resource.get("verificationStatus")) & {"entered-in-error", "refuted"}
    ]


def _codes(concept: object) -> set[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return {str(c.get("code")) for c in codings if isinstance(c, dict)} if isinstance(codings, list) else set()
