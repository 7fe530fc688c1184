"""A FHIR client that trusts nobody: links are followed on the same server only, and an error never quotes a chart.

Spec: FHIR R4 RESTful API: search paging, If-Match, If-None-Exist, 429 with Retry-After, OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from fhir_billing.domain.errors import (
    BillingError,
    Contended,
    EhrBrokeContract,
    EhrUnavailable,
    MalformedResource,
    NotThere,
    RateLimited,
    ScopeMissing,
)
from fhir_billing.ehr.backend_auth import BackendToken
from fhir_billing.fhir.text import dumps, loads

Resource = dict[str, Any]
MOST_PAGES = 200
MOST_BYTES = 64_000_000
JSON = "application/fhir+json"


class FhirClient:
    """One EHR's FHIR API. Threads may share it."""

    def __init__(self, base: str, http: httpx2.Client, token: BackendToken | None = None) -> None:
        self.base = base.rstrip("/")
        self._http, self._token = http, token

    # reading

    def read(self, reference: str) -> Resource:
        """One resource by `Type/id`; raises NotThere, ScopeMissing, EhrUnavailable."""
        return self._resource(self.request("GET", reference), reference.split("/", maxsplit=1)[0])

    def search(self, resource_type: str, params: Mapping[str, Any] | Sequence[tuple[str, str]]) -> Iterator[Resource]:
        """Every resource of every page: matches and what was included. The next link is opaque, and followed on this server only."""
        answer = self.request("GET", resource_type, params=params)
        for _ in range(MOST_PAGES):
            bundle = self._resource(answer, "Bundle")
            for entry in bundle.get("entry") or []:
                resource = entry.get("resource")
                if isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome":
                    yield resource
            following = next(
                (link.get("url") for link in bundle.get("link") or [] if link.get("relation") == "next"), None
            )
            if not following:
                return
            answer = self.request("GET", self._ours(str(following)))
        raise EhrBrokeContract(f"a search of {resource_type} has more than {MOST_PAGES} pages", fix="narrow the search")

    def capabilities(self) -> Resource:
        """The CapabilityStatement, read without a token."""
        return self._resource(self._send("GET", "metadata", {}), "CapabilityStatement")

    # writing

    def create(self, resource: Resource, *, unless: str = "") -> Resource:
        """Create; with `unless` (a search), only when nothing matches it. Returns the resource as the EHR holds it."""
        headers = (
            {"If-None-Exist": unless, "Prefer": "return=representation"}
            if unless
            else {"Prefer": "return=representation"}
        )
        answer = self.request("POST", resource["resourceType"], body=resource, headers=headers)
        return self._written(answer, resource)

    def update(self, resource: Resource, *, version: str) -> Resource:
        """Update when the EHR still holds this version (If-Match); raises Contended when somebody was quicker."""
        path = f"{resource['resourceType']}/{resource['id']}"
        headers = {"Prefer": "return=representation", **({"If-Match": f'W/"{version}"'} if version else {})}
        return self._written(self.request("PUT", path, body=resource, headers=headers), resource)

    def batch(self, bundle: Resource) -> Resource:
        """A batch or transaction."""
        return self._resource(self.request("POST", "", body=bundle), "Bundle")

    # the wire

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        body: Resource | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One exchange; a token that the EHR no longer takes is fetched anew once."""
        answer = self._with_token(method, path, params, body, headers or {})
        if answer.status_code == 401 and self._token:
            self._token.forget()
            answer = self._with_token(method, path, params, body, headers or {})
        self._check(answer, method, path)
        return answer

    def _with_token(
        self, method: str, path: str, params: Any, body: Resource | None, headers: Mapping[str, str]
    ) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {self._token.value()}"} if self._token else {}
        return self._send(method, path, {**bearer, **headers}, params=params, body=body)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], *, params: Any = None, body: Resource | None = None
    ) -> httpx2.Response:
        url = path if path.startswith("http") else f"{self.base}/{path}" if path else self.base
        try:
            return self._http.request(
                method,
                url,
                params=params,
                content=dumps(body) if body is not None else None,
                headers={"Accept": JSON, **({"Content-Type": JSON} if body is not None else {}), **headers},
                follow_redirects=False,
            )
        except httpx2.HTTPError as error:
            raise EhrUnavailable(f"the EHR does not answer ({type(error).__name__})") from None

    def _check(self, answer: httpx2.Response, method: str, path: str) -> None:
        status, what = answer.status_code, f"{method} {_kind(path)}"
        if status < 300:
            return
        error: BillingError
        if status == 429:
            error = RateLimited("the EHR asks us to slow down", retry_after=_seconds(answer))
        elif status >= 500:
            error = EhrUnavailable(f"the EHR answered {status} to {what}")
        elif status in {401, 403}:
            error = ScopeMissing(
                f"the EHR refuses {what} ({status})", fix="check the scopes that the EHR grants to this client"
            )
        elif status in {404, 410}:
            error = NotThere(f"the EHR has nothing there ({what})")
        elif status in {409, 412}:
            error = Contended(f"somebody else wrote first ({what})")
        else:
            error = EhrBrokeContract(f"the EHR answered {status} to {what}: {_issues(answer)}")
        raise error

    def _resource(self, answer: httpx2.Response, wanted: str) -> Resource:
        self._check(answer, "GET", wanted)
        if len(answer.content) > MOST_BYTES:
            raise EhrBrokeContract(f"the EHR answered with more than {MOST_BYTES // 1_000_000} MB")
        try:
            found = loads(answer.content)
        except MalformedResource as error:
            raise EhrBrokeContract(f"the EHR's {wanted} cannot be read: {error.say}") from None
        if not isinstance(found, dict) or found.get("resourceType") != wanted:
            raise EhrBrokeContract(f"the EHR answered something that is no {wanted}")
        return found

    def _written(self, answer: httpx2.Response, resource: Resource) -> Resource:
        if answer.content[:1] == b"{":
            found = loads(answer.content)
            if isinstance(found, dict) and found.get("resourceType") == resource["resourceType"]:
                return found
        place = answer.headers.get("location") or answer.headers.get("content-location") or ""
        parts = place.split("/_history/")[0].rstrip("/").split("/")
        if len(parts) >= 2 and parts[-2] == resource["resourceType"]:
            return self.read(f"{parts[-2]}/{parts[-1]}")
        raise EhrBrokeContract(f"the EHR does not say where it put a {resource['resourceType']}")

    def _ours(self, url: str) -> str:
        """A link as an absolute address of this server; anywhere else is refused, so that our token stays here."""
        absolute = urljoin(f"{self.base}/", url)
        here, there = urlsplit(self.base), urlsplit(absolute)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise EhrBrokeContract("the EHR's next page lies on another server", fix="nothing is read there")
        return absolute


def _kind(path: str) -> str:
    """The resource type of a path: ids stay out of errors and logs."""
    return urlsplit(path).path.strip("/").split("/")[-1 if path.startswith("http") else 0] or "a bundle"


def _seconds(answer: httpx2.Response) -> int:
    text = answer.headers.get("retry-after", "")
    return min(int(text), 3600) if text.isdigit() else 60


def _issues(answer: httpx2.Response) -> str:
    """The codes of an OperationOutcome; its free text may quote the chart and is left out."""
    try:
        found = loads(answer.content)
    except MalformedResource:
        return "no OperationOutcome"
    issues = found.get("issue", []) if isinstance(found, dict) else []
    places = [
        f"{i.get('code', '?')} at {', '.join(i.get('expression') or i.get('location') or ['?'])}" for i in issues[:5]
    ]
    return "; ".join(places) or "no issue given"
