"""An EHR's answers are full of addresses, and any of them may lead elsewhere; our token goes to the EHR's own server and to no other.

An address is read by the very code that later connects to it, so that no two readers can disagree about its host.
A reference names a resource of this server only when it lies under the FHIR address; so does the next page of a search.
Spec: FHIR R4 references (relative, absolute, versioned), Bundle.link; RFC 3986 5.2.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

import httpx2

from fhir_billing.domain.errors import EhrBrokeContract

LONGEST = 4096
"""Characters of an address; more is no address."""
_TYPE = re.compile(r"[A-Za-z_]{1,64}")
_LITERAL = re.compile(r"[A-Z][A-Za-z]{1,63}/(?=[^/]*[A-Za-z0-9\-])[A-Za-z0-9\-.]{1,64}")
"""`Type/id`; an id of dots alone is a step in a path, and none of ours."""
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")


def ours(base: str, url: str) -> str:
    """A path or link as an absolute address of the server of `base`. Raises EhrBrokeContract for anywhere else."""
    absolute = _joined(base, url)
    if absolute is None or _origin(absolute) != _origin(httpx2.URL(base)):
        raise EhrBrokeContract("the EHR points at another server", fix="nothing is read there, and no token goes there")
    return str(absolute)


def next_page(base: str, url: str) -> str:
    """The next page of a search: on this server, and under its FHIR address."""
    absolute = httpx2.URL(ours(base, url))
    if not _is_under(absolute, httpx2.URL(base)):
        raise EhrBrokeContract(
            "the EHR's next page lies outside its FHIR address", fix="set FHIR_BILLING_EHR_URL to the address that it names"
        )  # fmt: skip
    return str(absolute)


def local(base: str, reference: str) -> str:
    """A literal reference as `Type/id` of this server: absolute and versioned ones too. Empty when it is none of ours."""
    if len(reference) > LONGEST:
        return ""
    text = reference.split("/_history/", maxsplit=1)[0]
    if "://" in text:
        text = text.removeprefix(f"{base}/") if text.startswith(f"{base}/") else _beneath(base, text)
    return text if _LITERAL.fullmatch(text) else ""


def kind_of(path: str) -> str:
    """The resource type of a path: ids stay out of errors and logs."""
    if "://" in path:
        return "the next page"
    kind = urlsplit(path).path.strip("/").split("/")[0]
    return kind if _TYPE.fullmatch(kind) else "a bundle" if not kind else "a resource"


def _joined(base: str, url: str) -> httpx2.URL | None:
    """What would be connected to; None for what is no address, or is written so that readers could differ."""
    if len(url) > LONGEST or _UNFIT.search(url):
        return None
    try:
        absolute = httpx2.URL(f"{base}/").join(url)
    except (httpx2.InvalidURL, ValueError, TypeError):
        return None
    return None if absolute.userinfo else absolute


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_under(url: httpx2.URL, base: httpx2.URL) -> bool:
    """Whether a path stays beneath another, encoded dots and all."""
    plain, root = posixpath.normpath(url.path), posixpath.normpath(base.path)
    return plain == root or plain.startswith(f"{root.rstrip('/')}/")


def _beneath(base: str, text: str) -> str:
    """The rest of an absolute address that is written otherwise than ours: another case of the host, the usual port."""
    absolute, root = _joined(base, text), httpx2.URL(base)
    if absolute is None or absolute.query or absolute.fragment or _origin(absolute) != _origin(root):
        return ""
    path, stem = absolute.path, f"{root.path.rstrip('/')}/"
    return path.removeprefix(stem) if path.startswith(stem) else ""
