"""What a clinician's answer changes in a chart is marked as ours, so that it is laid once, changed by the next answer, and taken back.

A resource that an answer made carries our identifier; one that it only changed carries a mark that says what was added.
A chart that holds the answer already looks the same as one on which it was laid.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from fhir_billing.fhir.ours import BASE

Resource = dict[str, Any]
ANSWER: Final = f"{BASE}answer"
"""Identifier system of what an answer made; the value stands for its question."""
CHANGED: Final = f"{BASE}answer-changed"
"""Identifier system of the mark on what an answer changed: `question:what was added`."""
EXTENSION: Final = f"{BASE}StructureDefinition/"
MODIFIER: Final = f"{EXTENSION}modifier"
MINUTES: Final = f"{EXTENSION}minutes"
PLACE: Final = f"{EXTENSION}place-of-service"
AUTHORIZATION: Final = f"{EXTENSION}authorization"


_MADE = re.compile(r"([A-Z][A-Za-z]+)/answer-([0-9a-f]{24})")


def in_chart(reference: str) -> tuple[str, Resource] | None:
    """Type and identifier of what an answer made, from the name that we gave it; None for any other reference."""
    found = _MADE.fullmatch(reference)
    return (found[1], {"system": ANSWER, "value": found[2]}) if found else None


def name_of(question: str) -> str:
    """A question's key in few signs, the same on every run."""
    return hashlib.sha256(question.encode()).hexdigest()[:24]


def made_identifier(question: str) -> Resource:
    """How a resource that this answer made is found again."""
    return {"system": ANSWER, "value": name_of(question)}


def made_id(question: str) -> str:
    """The id of such a resource until the chart gives it its own."""
    return f"answer-{name_of(question)}"


def rows(resource: Resource, element: str) -> list[Resource]:
    """The objects of a list; a chart may hold anything there."""
    found = resource.get(element)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def made_by(resource: Resource) -> str:
    """The question whose answer made this resource, by its short name; empty when none did."""
    return next((str(i.get("value", "")) for i in rows(resource, "identifier") if i.get("system") == ANSWER), "")


def named(resource: Resource) -> str:
    """`Type/ID`; what an answer made keeps the name that we gave it, for its id changes when the chart takes it."""
    kind = str(resource.get("resourceType", ""))
    ours = made_by(resource)
    return f"{kind}/answer-{ours}" if ours else f"{kind}/{resource.get('id', '')}"


def changes(resource: Resource, question: str) -> list[str]:
    """What the answer to this question added."""
    start = f"{name_of(question)}:"
    values = (str(i.get("value", "")) for i in rows(resource, "identifier") if i.get("system") == CHANGED)
    return [value.removeprefix(start) for value in values if value.startswith(start)]


def marked(resource: Resource, question: str, added: Iterable[str]) -> Resource:
    """The resource with a mark for what was added, in place of the marks that it had of this question."""
    start = f"{name_of(question)}:"
    kept = [
        i
        for i in rows(resource, "identifier")
        if i.get("system") != CHANGED or not str(i.get("value", "")).startswith(start)
    ]
    kept += [{"system": CHANGED, "value": f"{start}{what}"} for what in added]
    return _with(resource, "identifier", kept)


def with_extension(resource: Resource, question: str, url: str, value: Resource | None) -> Resource:
    """One extension as the answer says it (`{"valueCode": "RT"}`); None takes back what was added. What others wrote stays.

    A value that the chart holds already is not written twice, and then nothing is ours to take back.
    """
    wanted = "" if value is None else f"{url.rpartition('/')[2]}={next(iter(value.values()))}"
    before = changes(resource, question)
    if before == ([wanted] if wanted else []):
        return resource
    extensions = rows(resource, "extension")
    for old in before:
        extensions = [e for e in extensions if not (e.get("url") == url and _is(e, old.partition("=")[2]))]
    theirs = value is not None and any(e.get("url") == url and _is(e, wanted.partition("=")[2]) for e in extensions)
    if value is not None and not theirs:
        extensions.append({"url": url, **value})
    mine = [wanted] if wanted and not theirs else []
    return marked(_with(resource, "extension", extensions), question, mine)


def with_reference(resource: Resource, question: str, element: str, reference: str) -> Resource:
    """One reference in a list as the answer says it; empty takes back what was added."""
    before = changes(resource, question)
    if before == ([reference] if reference else []):
        return resource
    found = [r for r in rows(resource, element) if r.get("reference") not in before]
    theirs = any(r.get("reference") == reference for r in found)
    if reference and not theirs:
        found.append({"reference": reference})
    return marked(_with(resource, element, found), question, [reference] if reference and not theirs else [])


def with_coding(resource: Resource, question: str, coding: Resource | None) -> Resource:
    """Another code first, before what the chart says; None takes it away again."""
    wanted = str((coding or {}).get("code", ""))
    before = changes(resource, question)
    if before == ([wanted] if wanted else []):
        return resource
    code = resource.get("code")
    concept = code if isinstance(code, dict) else {}
    kept = [c for c in rows(concept, "coding") if c.get("code") not in before]
    if coding is not None:
        kept.insert(0, coding)
    changed = {**resource, "code": {**concept, "coding": kept}}
    return marked(changed, question, [wanted] if wanted else [])


def _is(extension: Resource, text: str) -> bool:
    return any(str(value) == text for name, value in extension.items() if name.startswith("value"))


def _with(resource: Resource, element: str, value: list[Resource]) -> Resource:
    others = {name: one for name, one in resource.items() if name != element}
    return {**others, element: value} if value else others
