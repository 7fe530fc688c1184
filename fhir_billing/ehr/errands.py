"""What is asked of an EHR together travels in one batch where it takes batches, else each by itself, a few at once.

Whichever way it travelled, an answer is the same: resources, or the error that a request of its own would have met. An entry
that is not what was asked in its place is asked again by itself, so that an EHR that mixes its answers up harms nobody.
Spec: FHIR R4 batch: as many entries as were asked, in their order; `request.ifNoneMatch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlencode

from fhir_billing.domain.errors import BillingError, EhrBrokeContract, NotNow, ScopeMissing
from fhir_billing.ehr.answers import NoFhir, refusal
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.kept import opened
from fhir_billing.ehr.references import answers
from fhir_billing.fhir.text import dumps

Answer: TypeAlias = list[Resource] | BillingError
AT_ONCE = 4
MOST_ENTRIES = 100
"""Of one batch; more go in several."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to ask: a resource by its id, or all that a search finds."""

    kind: str
    identity: str = ""
    params: tuple[tuple[str, str], ...] = ()
    first_page: bool = False
    """Whether one page is enough: a reference must mean one resource."""

    @property
    def url(self) -> str:
        """As a batch entry or a path names it."""
        return f"{self.kind}/{self.identity}" if self.identity else f"{self.kind}?{urlencode(self.params)}"


def ask(client: FhirClient, errands: Sequence[Errand]) -> list[Answer]:
    """The answer to each, in order. Raises NotNow when the EHR cannot answer now."""
    if len(errands) > 1 and client.ways.batch is not False:
        forbidden = [client.forbidden(errand.url) for errand in errands]
        asked = [errand for errand, error in zip(errands, forbidden, strict=True) if error is None]
        found = _in_batches(client, asked) if asked else []
        if found is not None:
            answers_in_order = iter(found)
            return [error or next(answers_in_order) for error in forbidden]
    if len(errands) < 2:
        return [_singly(client, errand) for errand in errands]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as few:
        return list(few.map(lambda errand: _singly(client, errand), errands))


def _singly(client: FhirClient, errand: Errand) -> Answer:
    try:
        if errand.identity:
            return [_is_asked(errand, client.read(errand.url))]
        pages = {"pages": 1} if errand.first_page else {"whole": True}
        return _fitting(errand, list(client.search(errand.kind, errand.params, **pages)))
    except NotNow:
        raise
    except BillingError as error:
        return error


def _is_asked(errand: Errand, resource: Resource) -> Resource:
    if resource.get("id") != errand.identity:
        raise EhrBrokeContract(f"the EHR answered with another {errand.kind} than the one that was asked for")
    return resource


def _fitting(errand: Errand, found: list[Resource]) -> list[Resource]:
    asked = list(errand.params)
    return [r for r in found if r.get("resourceType") != errand.kind or answers(r, asked)]


def _in_batches(client: FhirClient, errands: Sequence[Errand]) -> list[Answer] | None:
    """Every answer; None for an EHR that takes no batch, or whose answer to one is none."""
    found: list[Answer] = []
    for start in range(0, len(errands), MOST_ENTRIES):
        part = errands[start : start + MOST_ENTRIES]
        kept = [client.kept.of(errand.url) if errand.identity else ("", b"") for errand in part]
        entry = [{"request": _request(errand, etag)} for errand, (etag, _) in zip(part, kept, strict=True)]
        try:
            rows = client.batch({"resourceType": "Bundle", "type": "batch", "entry": entry}).get("entry")
        except NoFhir:
            return None  # its base may show a page to whoever posts there; each question is asked by itself this time
        except NotNow:
            raise
        except ScopeMissing:
            client.ways.batch = client.ways.batch or False  # what worked before is forbidden today, not unknown
            return None
        except BillingError:
            rows = None
        if not isinstance(rows, list) or len(rows) != len(part):
            client.ways.batch = False
            return None
        found += [_answer(client, *one) for one in zip(part, rows, [text for _, text in kept], strict=True)]
    client.ways.batch = True
    return found


def _request(errand: Errand, etag: str) -> dict[str, str]:
    return {"method": "GET", "url": errand.url, **({"ifNoneMatch": etag} if etag else {})}


def _answer(client: FhirClient, errand: Errand, row: Any, kept: bytes) -> Answer:
    said = row.get("response") if isinstance(row, dict) else None
    status = str(said.get("status", ""))[:3] if isinstance(said, dict) else ""
    if not isinstance(said, dict) or not (status.isascii() and status.isdigit()):
        return _singly(client, errand)
    if status == "304":
        return [opened(kept)] if kept else _singly(client, errand)
    error = refusal(int(status), f"GET {errand.kind}", dumps(said.get("outcome")))
    if isinstance(error, NotNow):
        raise error
    if error is not None:
        return error
    resource = row.get("resource")
    if not isinstance(resource, dict) or not _is_in_place(errand, resource):
        return _singly(client, errand)
    if errand.identity:
        client.kept.keep(errand.url, str(said.get("etag") or ""), resource)
        return [resource]
    pages = {"pages": 1} if errand.first_page else {"whole": True}
    try:
        return _fitting(errand, list(client.pages(resource, errand.kind, **pages)))
    except NotNow:
        raise
    except BillingError as broken:
        return broken


def _is_in_place(errand: Errand, resource: Resource) -> bool:
    """Whether an entry's resource can be the answer to what was asked in its place."""
    if errand.identity:
        return resource.get("resourceType") == errand.kind and resource.get("id") == errand.identity
    rows = resource.get("entry") or []
    if resource.get("resourceType") != "Bundle" or not isinstance(rows, list):
        return False
    kinds = [
        row["resource"].get("resourceType")
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("resource"), dict)
    ]
    return not kinds or errand.kind in kinds or set(map(str, kinds)) == {"OperationOutcome"}
