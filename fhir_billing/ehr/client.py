"""A FHIR client that trusts nobody: links are followed on the same server only, and an error never quotes a chart.

Spec: FHIR R4 RESTful API: search paging, If-Match, If-None-Exist, 429 with Retry-After, OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import httpx2

from fhir_billing.domain.errors import (
    EhrBrokeContract,
    EhrUnavailable,
    MalformedResource,
    NotThere,
    ScopeMissing,
    TokenRefused,
)
from fhir_billing.ehr import addresses, scopes
from fhir_billing.ehr.answers import ENCODINGS, MOST_BYTES, NoFhir, Unsupported, is_page, pieces, refusal, whole
from fhir_billing.ehr.kept import Kept, opened
from fhir_billing.ehr.pace import Pace, turn
from fhir_billing.ehr.ways import Ways
from fhir_billing.fhir.text import dumps, loads

__all__ = ["Bearer", "FhirClient", "Incomplete", "Resource", "Unsupported"]

Resource = dict[str, Any]
MOST_PAGES = 200
JSON = "application/fhir+json"
NDJSON = "application/fhir+ndjson"


class Incomplete(EhrBrokeContract):
    """The EHR counts more matches than it gives, and names no next page."""

    def __init__(self, kind: str, total: int, given: int) -> None:
        super().__init__(
            f"the EHR counts {total} of {kind}, gives {given}, and names no next page",
            fix="raise its page size, or let it name the next page",
        )
        self.total = total


class Bearer(Protocol):
    """A token as requests carry it: the service's own, or a user's."""

    @property
    def granted(self) -> frozenset[str]:
        """The scopes that came with it; none while that is not known."""
        ...

    def value(self) -> str: ...
    def forget(self, token: str = "") -> None:
        """The EHR refuses this token."""
        ...


class FhirClient:
    """One EHR's FHIR API. Threads may share it."""

    def __init__(
        self,
        base: str,
        http: httpx2.Client,
        token: Bearer | None = None,
        ways: Ways | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        self.ways = ways or Ways()
        """How this EHR is best asked, as far as it is known."""
        self.kept = Kept()
        """What many visits share, with its version; what this client may see and no other."""
        self._http, self._token, self._pace = http, token, pace

    def sign_in(self) -> frozenset[str]:
        """Have a token now, and say which scopes it has; none for an EHR that is asked without one."""
        if self._token is None:
            return frozenset()
        self._token.value()
        return self._token.granted

    # reading

    def read(self, reference: str) -> Resource:
        """One resource by `Type/id`; raises NotThere, ScopeMissing, EhrUnavailable."""
        kind, (etag, text) = reference.split("/", maxsplit=1)[0], self.kept.of(reference)
        answer = self.request("GET", reference, headers={"If-None-Match": etag} if etag else None)
        if answer.status_code == 304:
            return opened(text)
        found = self._resource(answer, kind)
        self.kept.keep(reference, answer.headers.get("etag", ""), found)
        return found

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
        first = self._resource(answer, "Bundle")
        yield from self.pages(first, resource_type, pages=pages, whole=whole)

    def pages(
        self, first: Resource, resource_type: str, *, pages: int = MOST_PAGES, whole: bool = False
    ) -> Iterator[Resource]:
        """Every resource of a search whose first page is here. `whole` also bounds all pages together."""
        bundle, matches, size, before = first, 0, 0, set[str]()
        for _ in range(pages):
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
                    raise Incomplete(resource_type, total, matches)
                return
            address = addresses.next_page(self.base, str(following))
            if address in before:
                raise EhrBrokeContract(
                    f"a search of {resource_type} leads back to a page that was read", fix="mend the EHR's next links"
                )
            before.add(address)
            try:
                answer = self.request("GET", address)
            except (NotThere, Unsupported):
                raise EhrUnavailable(f"the EHR lost its place in a search of {resource_type}") from None
            size += len(answer.content)
            if whole and size > MOST_BYTES:
                raise EhrBrokeContract(
                    f"a search of {resource_type} brings more than {MOST_BYTES // 1_000_000} MB",
                    fix="look at the chart",
                )
            bundle = self._resource(answer, "Bundle")
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
        """One exchange; a token that the EHR no longer takes is fetched anew once. Raises ScopeMissing, unasked, for what was not granted."""
        token = self._token.value() if self._token else ""
        self._granted(method, path)
        answer = self._carrying(token, method, path, params, body, headers or {})
        if answer.status_code == 401 and self._token:
            self._token.forget(token)
            fresh = self._token.value()
            answer = self._carrying(fresh, method, path, params, body, headers or {})
            if answer.status_code == 401 and fresh != token:
                raise TokenRefused("the EHR takes no token of ours, fresh ones too", fix="look at it if that lasts")
        if answer.status_code != 304 or "If-None-Match" not in (headers or {}):
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

    def pieces(self, url: str, *, bare: bool = False) -> Iterator[bytes]:
        """A file of lines as it comes, however large; `bare`: from wherever it lies, and without a token. Raises EhrUnavailable."""
        token = self._token.value() if self._token and not bare else ""
        headers = {
            "Accept": NDJSON,
            "Accept-Encoding": ENCODINGS,
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        place = url if bare else self._ours(url)
        with turn(self._pace) as heard:
            try:
                with self._http.stream("GET", place, headers=headers, follow_redirects=False) as answer:
                    heard(answer.status_code, answer.headers.get("retry-after", ""))
                    if answer.status_code == 401 and self._token and token:
                        self._token.forget(token)
                        raise EhrUnavailable("the EHR forgot our token while it gave a file")
                    if answer.status_code != 200:
                        self._check(whole(answer), "GET", url)
                    if is_page(answer):
                        raise NoFhir(
                            "a page came where the EHR should give a file", fix="look at what stands before it"
                        )
                    yield from pieces(answer)
            except httpx2.HTTPError as error:
                raise EhrUnavailable(f"the EHR broke off a file ({type(error).__name__})") from None

    def _with_token(
        self, method: str, path: str, params: Any, body: Resource | None, headers: Mapping[str, str]
    ) -> httpx2.Response:
        token = self._token.value() if self._token else ""
        return self._carrying(token, method, path, params, body, headers)

    def _carrying(
        self, token: str, method: str, path: str, params: Any, body: Resource | None, headers: Mapping[str, str]
    ) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return self._send(method, path, {**bearer, **headers}, params=params, body=body)

    def forbidden(self, path: str) -> ScopeMissing | None:
        """Why a GET is not granted to us, known before it is asked; it may stand in a batch, where some EHRs look at no scope."""
        try:
            if self._token:
                self._token.value()
            self._granted("GET", path)
        except ScopeMissing as error:
            return error
        return None

    def _granted(self, method: str, path: str) -> None:
        """What the EHR said that it does not grant is not asked for."""
        granted = self._token.granted if self._token else frozenset()
        wanted = scopes.of_request(method, path)
        if wanted and scopes.speak_of_types(granted) and not scopes.allows(granted, *wanted):
            kind, act = wanted
            raise ScopeMissing(f"the EHR does not grant system/{kind}.{act}", fix="let the EHR grant it to this client")

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], *, params: Any = None, body: Resource | None = None
    ) -> httpx2.Response:
        url = self._ours(path) if path else self.base
        typed = {"Content-Type": JSON} if body is not None else {}
        with turn(self._pace) as heard:
            try:
                with self._http.stream(
                    method,
                    url,
                    params=params,
                    content=dumps(body) if body is not None else None,
                    headers={"Accept": JSON, "Accept-Encoding": ENCODINGS, **typed, **headers},
                    follow_redirects=False,
                ) as answer:
                    heard(answer.status_code, answer.headers.get("retry-after", ""))
                    return whole(answer)
            except httpx2.HTTPError as error:
                raise EhrUnavailable(f"the EHR does not answer ({type(error).__name__})") from None

    def _check(self, answer: httpx2.Response, method: str, path: str) -> None:
        what = f"{method} {addresses.kind_of(path)}"
        after = answer.headers.get("retry-after", "")
        error = refusal(answer.status_code, what, answer.content, after)
        if error is not None:
            raise error
        if is_page(answer):
            raise NoFhir(f"a page came in answer to {what}, no FHIR", fix="look at what stands before the EHR")

    def _resource(self, answer: httpx2.Response, wanted: str) -> Resource:
        self._check(answer, "GET", wanted)
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
        return addresses.ours(self.base, url)

    def local(self, reference: str) -> str:
        """A literal reference as `Type/id` of this server: absolute and versioned ones too. Empty when it is none of ours."""
        return addresses.local(self.base, reference)


def _rows(bundle: Resource, name: str) -> list[dict[str, Any]]:
    """The objects of a list; what is no object is passed over."""
    found = bundle.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
