"""An EHR is tried by asking, and every answer is a fact: a refusal, a page of HTML and silence are rows, never a traceback.

What is said of an answer is its status and the codes of its OperationOutcome; its free text may quote a chart and stays out.
Spec: FHIR R4 RESTful API, OperationOutcome.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_billing.cycle.conformance import Found
from fhir_billing.domain.errors import EhrUnavailable, MalformedResource
from fhir_billing.ehr import scopes
from fhir_billing.ehr.check.statement import Statement
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.fhir.text import loads

Params = Mapping[str, Any] | Sequence[tuple[str, str]]
MOST_BYTES = 64_000_000
MOST_WAIT = 10
"""Seconds that an EHR may ask us to wait before a question is asked once more."""
_CODE = re.compile(r"[a-z-]{1,30}")
_LITERAL = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one try."""

    found: Found
    say: str = ""
    instead: str = ""
    """Replaces the table's own word on what we do instead."""


def works(say: str = "") -> Verdict:
    """It did what we need."""
    return Verdict(found=Found.WORKS, say=say)


def partly(say: str, instead: str = "") -> Verdict:
    """It answers, and leaves something out."""
    return Verdict(found=Found.PARTLY, say=say, instead=instead)


def ignored(say: str, instead: str = "") -> Verdict:
    """It answers as if nothing special had been asked."""
    return Verdict(found=Found.IGNORED, say=say, instead=instead)


def missing(say: str, instead: str = "") -> Verdict:
    """It does not have it."""
    return Verdict(found=Found.MISSING, say=say, instead=instead)


def not_tried(say: str) -> Verdict:
    """Something that the try needs is not there."""
    return Verdict(found=Found.NOT_TRIED, say=say)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: its status, its headers, and its JSON object when it is one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Resource = field(default_factory=dict)
    asked: bool = True
    """False for what is not granted to us in writing, and so was not asked."""

    @property
    def is_good(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def kind(self) -> str:
        """The type of the resource that came."""
        return str(self.body.get("resourceType", ""))

    def is_a(self, kind: str) -> bool:
        """Whether it is a 2xx that holds a resource of this type."""
        return self.is_good and self.kind == kind

    def rows(self, kind: str = "") -> list[Resource]:
        """The resources of a bundle, of one type or of all."""
        entries = self.body.get("entry")
        found = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        return [r for r in found if isinstance(r, dict) and (not kind or r.get("resourceType") == kind)]

    def link(self, relation: str) -> str:
        """One link of a bundle."""
        links = self.body.get("link")
        rows = [row for row in links if isinstance(row, dict)] if isinstance(links, list) else []
        return next((str(row.get("url", "")) for row in rows if row.get("relation") == relation), "")

    def place(self, kind: str) -> str:
        """Where it says that it put what it made, as `Type/id`."""
        if self.kind == kind and self.body.get("id"):
            return f"{kind}/{self.body['id']}"
        said = self.headers.get("location") or self.headers.get("content-location") or ""
        parts = said.split("/_history/")[0].rstrip("/").split("/")
        found = "/".join(parts[-2:])
        return found if _LITERAL.fullmatch(found) and found.startswith(f"{kind}/") else ""

    @property
    def version(self) -> str:
        """The version of the resource that came, as its meta or its ETag says."""
        said = (self.body.get("meta") or {}).get("versionId") if isinstance(self.body.get("meta"), dict) else ""
        return str(said or self.headers.get("etag", "").removeprefix("W/").strip('"'))

    def refusal(self) -> Verdict:
        """What an answer that is not what we asked for means."""
        if not self.asked:
            return Verdict(found=Found.FORBIDDEN, say="not granted")
        say = f"it answers {self.status}{self._codes()}"
        if self.status in {401, 403}:
            return Verdict(found=Found.FORBIDDEN, say=say)
        if self.is_good:
            return missing(
                f"{say} with something that is no FHIR" if not self.kind else f"{say} with a {self.kind[:40]}"
            )
        if self.status in {301, 302, 303, 307, 308}:
            return missing(f"{say} and sends us elsewhere, where nothing of ours goes")
        if self.status == 429:
            return partly(f"{say}: it asks us to slow down")
        return missing(say)

    def _codes(self) -> str:
        issues = self.body.get("issue") if self.kind == "OperationOutcome" else None
        found = [i.get("code") for i in issues if isinstance(i, dict)] if isinstance(issues, list) else []
        codes = [code for code in found if isinstance(code, str) and _CODE.fullmatch(code)]
        return f" ({', '.join(dict.fromkeys(codes))})" if codes else ""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the tries share: the EHR, what it declares, a visit to look at, and what they leave behind."""

    client: FhirClient
    statement: Statement
    now: datetime
    patient: str = ""
    """`Patient/ID` for what belongs to somebody."""
    writes: bool = False
    public_url: str = ""
    visits: list[Resource] = field(default_factory=list)
    visit: Resource = field(default_factory=dict)
    about: dict[str, Resource] = field(default_factory=dict)
    """One resource of each type that a search found."""
    facts: dict[str, str] = field(default_factory=dict)
    able: set[tuple[str, str]] = field(default_factory=set)
    """What was tried and works: (type, act)."""
    tried: set[str] = field(default_factory=set)
    """Types whose writing was tried."""
    made: list[str] = field(default_factory=list)
    """`Type/id` of each probe that is not taken away yet."""
    left: list[str] = field(default_factory=list)
    """Sentences on what stays behind."""

    def ask(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        body: Resource | None = None,
        headers: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> Answer:
        """One exchange. Raises EhrUnavailable for silence alone, and what signing in raises.

        What was not granted is not asked: it would only stand in the EHR's log. To take a probe away is tried all the same.
        """
        wanted = scopes.of_request(method, path)
        if wanted and method != "DELETE" and not self.grants(*wanted):
            return Answer(status=403, asked=False)
        answer = self.client.exchange(method, path, params=params, body=body, headers=headers, bare=bare)
        wait = answer.headers.get("retry-after", "1")
        if answer.status_code == 429 and wait.isdigit() and int(wait) <= MOST_WAIT:
            time.sleep(int(wait))
            answer = self.client.exchange(method, path, params=params, body=body, headers=headers, bare=bare)
        if len(answer.content) > MOST_BYTES:
            raise EhrUnavailable(f"the EHR answered with more than {MOST_BYTES // 1_000_000} MB")
        try:
            found = loads(answer.content)
        except MalformedResource:
            found = {}
        return Answer(
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=found if isinstance(found, dict) else {},
        )

    def grants(self, kind: str, act: str) -> bool:
        """Whether this may be done, as far as the EHR has said what it grants."""
        granted = self.facts.get("granted", "").split()
        return not scopes.speak_of_types(granted) or scopes.allows(granted, kind, act)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One line of the table before it is tried."""

    key: str
    group: str
    what: str
    attempt: Callable[[Bench], Verdict]
    declared: Callable[[Statement], bool | None] = lambda _: None
    instead: str = ""
    writes: bool = False
    """Tried only where writing is allowed."""


def declares(statement: Statement, kind: str, act: str) -> bool | None:
    """Whether a type is declared with an interaction or an operation."""
    return statement.declares(kind, act)


def references(value: Any, kind: str) -> Iterator[str]:
    """The literal references to a type in a resource, as `Type/id`."""
    if isinstance(value, dict):
        said = str(value.get("reference", ""))
        found = "/".join(said.split("/_history/", maxsplit=1)[0].split("/")[-2:])
        if found.startswith(f"{kind}/") and _LITERAL.fullmatch(found):
            yield found
        for child in value.values():
            yield from references(child, kind)
    elif isinstance(value, list):
        for child in value:
            yield from references(child, kind)
