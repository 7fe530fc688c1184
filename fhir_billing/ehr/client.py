"""A FHIR client that trusts nobody: links are followed on the same server only, and an error never quotes a chart.

Spec: FHIR R4 RESTful API: search paging, If-Match, If-None-Exist, 429 with Retry-After, OperationOutcome.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
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
from fhir_billing.fhir.text import dumps, loads

Resource = dict[str, Any]
MOST_PAGES = 200
MOST_BYTES = 64_000_000
JSON = "application/fhir+json"
_TYPE = re.compile(r"[A-Za-z_]{1,64}")
_LITERAL = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")
_QUOTED = re.compile(r"'[^']*'?|\"[^\"]*\"?")
_PATH = re.compile(r"[^A-Za-z0-9_.\[\]()/-]")


class Unsupported(EhrBrokeContract):
    """The EHR does not take this request as it is: a parameter, a type or a resource that it does not know."""


class Bearer(Protocol):
    """A token as requests carry it: the service's own, or a user's."""

    granted: frozenset[str]

    def value(self) -> str: ...
    def forget(self) -> None: ...


class FhirClient:
    """One EHR's FHIR API. Threads may share it."""

    def __init__(self, base: str, http: httpx2.Client, token: Bearer | None = None) -> None:
        self.base = base.rstrip("/")
        self._http, self._token = http, token

    def sign_in(self) -> frozenset[str]:
        """Have a token now, and say which scopes it has; none for an EHR that is asked without one."""
        if self._token is None:
            return frozenset()
        self._token.value()
        return self._token.granted

    # reading

    def read(self, reference: str) -> Resource:
        """One resource by `Type/id`; raises NotThere, ScopeMissing, EhrUnavailable."""
        return self._resource(self.request("GET", reference), reference.split("/", maxsplit=1)[0])

    def search(
        self,
        resource_type: str,
        params: Mapping[str, Any] | Sequence[tuple[str, str]],
        *,
        pages: int = MOST_PAGES,
        whole: bool = False,
    ) -> Iterator[Resource]:
        """Every resource of every page: matches and what was included. The next link is opaque, and followed on this server only.

        `whole`: raises when the EHR counts more matches than it gives, with no next page to ask for.
        """
        answer = self.request("GET", resource_type, params=params)
        matches = 0
        for _ in range(pages):
            bundle = self._resource(answer, "Bundle")
            for entry in _rows(bundle, "entry"):
                resource = entry.get("resource")
                if isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome":
                    matches += resource.get("resourceType") == resource_type
                    yield resource
            following = next(
                (link.get("url") for link in _rows(bundle, "link") if link.get("relation") == "next"), None
            )
            if not following:
                total = bundle.get("total")
                if whole and isinstance(total, int) and total > matches:
                    raise EhrBrokeContract(
                        f"the EHR counts {total} of {resource_type}, gives {matches}, and names no next page",
                        fix="raise its page size, or let it name the next page",
                    )
                return
            try:
                answer = self.request("GET", str(following))
            except (NotThere, Unsupported):
                raise EhrUnavailable(f"the EHR lost its place in a search of {resource_type}") from None
        raise EhrBrokeContract(f"a search of {resource_type} has more than {pages} pages", fix="narrow the search")

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

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        body: Resource | None = None,
        headers: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> httpx2.Response:
        """One exchange as the EHR answers it, whatever that says; `bare` carries no token. Raises EhrUnavailable for no answer."""
        if bare:
            return self._send(method, path, headers or {}, params=params, body=body)
        return self._with_token(method, path, params, body, headers or {})

    def _with_token(
        self, method: str, path: str, params: Any, body: Resource | None, headers: Mapping[str, str]
    ) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {self._token.value()}"} if self._token else {}
        return self._send(method, path, {**bearer, **headers}, params=params, body=body)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], *, params: Any = None, body: Resource | None = None
    ) -> httpx2.Response:
        url = self._ours(path) if path else self.base
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
        elif status >= 500 and status != 501:
            error = EhrUnavailable(f"the EHR answered {status} to {what}")
        elif status in {401, 403}:
            error = ScopeMissing(
                f"the EHR refuses {what} ({status})", fix="check the scopes that the EHR grants to this client"
            )
        elif status in {404, 410}:
            error = NotThere(f"the EHR has nothing there ({what})")
        elif status in {409, 412}:
            error = Contended(f"somebody else wrote first ({what})")
        elif status < 400:
            error = EhrBrokeContract(
                f"the EHR sends {what} elsewhere ({status})", fix="set FHIR_BILLING_EHR_URL to where it answers itself"
            )
        else:
            error = Unsupported(f"the EHR answered {status} to {what}: {_issues(answer)}")
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
            try:
                found = loads(answer.content)
            except MalformedResource as error:
                raise EhrBrokeContract(f"the EHR's answer cannot be read: {error.say}") from None
            if isinstance(found, dict) and found.get("resourceType") == resource["resourceType"] and found.get("id"):
                return found
        place = answer.headers.get("location") or answer.headers.get("content-location") or ""
        parts = place.split("/_history/")[0].rstrip("/").split("/")
        if len(parts) >= 2 and parts[-2] == resource["resourceType"]:
            return self.read(f"{parts[-2]}/{parts[-1]}")
        raise EhrBrokeContract(f"the EHR does not say where it put a {resource['resourceType']}")

    def _ours(self, url: str) -> str:
        """A path or link as an absolute address of this server; anywhere else is refused, so that our token stays here."""
        absolute = urljoin(f"{self.base}/", url)
        if _origin(absolute) != _origin(self.base):
            raise EhrBrokeContract(
                "the EHR points at another server", fix="nothing is read there, and no token goes there"
            )
        return absolute

    def local(self, reference: str) -> str:
        """A literal reference as `Type/id` of this server: absolute and versioned ones too. Empty when it is none of ours."""
        text = reference.split("/_history/", maxsplit=1)[0].removeprefix(f"{self.base}/")
        kind, _, name = text.partition("/")
        return text if _LITERAL.fullmatch(kind + "/" + name) else ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _kind(path: str) -> str:
    """The resource type of a path: ids stay out of errors and logs."""
    if "://" in path:
        return "the next page"
    kind = urlsplit(path).path.strip("/").split("/")[0]
    return kind if _TYPE.fullmatch(kind) else "a bundle" if not kind else "a resource"


def _rows(bundle: Resource, name: str) -> list[dict[str, Any]]:
    """The objects of a list; what is no object is passed over."""
    found = bundle.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _seconds(answer: httpx2.Response) -> int:
    text = answer.headers.get("retry-after", "")
    return min(int(text), 3600) if text.isascii() and text.isdigit() else 60


def _issues(answer: httpx2.Response) -> str:
    """The codes of an OperationOutcome; its free text may quote the chart and is left out."""
    try:
        found = loads(answer.content)
    except MalformedResource:
        return "no OperationOutcome"
    issues = found.get("issue") if isinstance(found, dict) else None
    places = [
        f"{_bare(issue.get('code'))} at {_bare((issue.get('expression') or issue.get('location') or ['?'])[0])}"
        for issue in (issues if isinstance(issues, list) else [])[:5]
        if isinstance(issue, dict)
    ]
    return "; ".join(places) or "no issue given"


def _bare(text: object) -> str:
    """A code or path without what stands between quotes in it, which may be the chart's."""
    return _PATH.sub("", _QUOTED.sub("", str(text)))[:80] or "?"
