"""An answer is read piece by piece and never further than a limit, so that no EHR can fill our memory; what it refuses has one meaning.

Spec: RFC 9110 status codes, Retry-After, Content-Encoding; FHIR R4 OperationOutcome.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

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
from fhir_billing.fhir.text import loads

MOST_BYTES = 64_000_000
"""Of one answer, unpacked."""
MOST_SECONDS = 120
"""For one answer to arrive; an EHR that sends a byte now and then does not answer."""
PIECE = 65_536
LEAST_BYTES = 65_536
"""Of a file that has no limit, in each MOST_SECONDS that are spent waiting for it."""
SMALL_BYTES = 200_000
SMALL_SECONDS = 30
"""For an answer that is no chart: a token, or where tokens are had."""
ENCODINGS = "gzip"
"""How an answer may be packed: what can be unpacked piece by piece."""
_UNPACKED = ("content-encoding", "content-length", "transfer-encoding")
_QUOTED = re.compile(r"'[^']*'?|\"[^\"]*\"?")
_PATH = re.compile(r"[^A-Za-z0-9_.\[\]()/-]")
_ELSEWHERE = frozenset({302, 303, 307})


class Unsupported(EhrBrokeContract):
    """The EHR does not take this request as it is: a parameter, a type or a resource that it does not know."""


class NoFhir(EhrUnavailable):
    """A page for people came: a gate on the way answered, a sign-in or a notice, and not the FHIR server."""


def whole(answer: httpx2.Response, *, is_chart: bool = True) -> httpx2.Response:
    """An answer that is being received, with its body read to the end. Raises EhrBrokeContract where it is too large, EhrUnavailable where it is too slow."""
    if answer.is_stream_consumed:
        return answer
    content = b"".join(_limited(answer, is_chart=is_chart))
    headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in _UNPACKED]
    return httpx2.Response(answer.status_code, headers=headers, content=content, request=answer.request)


def small(http: httpx2.Client, method: str, url: str, **asked: Any) -> httpx2.Response:
    """One exchange whose answer is no chart, and is read no further than a small limit. Raises what `whole` raises."""
    with http.stream(method, url, follow_redirects=False, **asked) as answer:
        return whole(answer, is_chart=False)


def bounded(answer: httpx2.Response) -> None:
    """For a client that reads its answers itself: what it will read of this one is here already, and is small."""
    arriving = httpx2.Response(answer.status_code, headers=answer.headers, stream=answer.stream, request=answer.request)
    read = whole(arriving, is_chart=False)
    for name in _UNPACKED:
        answer.headers.pop(name, None)
    answer.stream = httpx2.ByteStream(read.content)


def _limited(answer: httpx2.Response, *, is_chart: bool) -> Iterator[bytes]:
    most, within = (MOST_BYTES, MOST_SECONDS) if is_chart else (SMALL_BYTES, SMALL_SECONDS)
    said = answer.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) > most:
        raise _too_large(most)
    had = 0
    for piece in _unpacked(answer, _in_time(answer, within)):
        had += len(piece)
        if had > most:
            raise _too_large(most)
        yield piece


def _in_time(answer: httpx2.Response, within: int) -> Iterator[bytes]:
    """What arrives, as it arrives: whoever waited for a full piece would not see how late it is."""
    ends = time.monotonic() + within
    for piece in answer.iter_raw():
        if time.monotonic() > ends:
            raise EhrUnavailable(f"the EHR's answer takes longer than {within} seconds")
        yield piece


def _steadily(answer: httpx2.Response) -> Iterator[bytes]:
    """What arrives of a file of any size, while it arrives fast enough; only waiting for the EHR counts."""
    waited, had, began = 0.0, 0, time.monotonic()
    for piece in answer.iter_raw():
        waited, had = waited + time.monotonic() - began, had + len(piece)
        if waited > MOST_SECONDS:
            if had < LEAST_BYTES:
                raise EhrUnavailable(f"the EHR gave {had} bytes of a file in {MOST_SECONDS} seconds")
            waited, had = 0.0, 0
        yield piece
        began = time.monotonic()


def _unpacked(answer: httpx2.Response, raw: Iterator[bytes]) -> Iterator[bytes]:
    """The body in pieces of a bounded size, whatever it was packed with: a small bomb is unpacked only as far as it is read."""
    packed = answer.headers.get("content-encoding", "identity").strip().lower()
    if packed in {"", "identity"}:
        yield from raw
        return
    if packed not in {"gzip", "x-gzip", "deflate"}:
        raise EhrBrokeContract("the EHR packs its answer in a way that was not asked for", fix="let it use gzip")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for piece in raw:
            rest = piece
            while rest and not unpack.eof:
                yield unpack.decompress(rest, PIECE)
                rest = unpack.unconsumed_tail
        while not unpack.eof and (piece := unpack.decompress(unpack.unconsumed_tail, PIECE)):
            yield piece
    except zlib.error:
        raise EhrBrokeContract("the EHR's packed answer is broken", fix="read it again") from None
    if not unpack.eof:
        raise EhrUnavailable("the EHR's packed answer ends too early")


def pieces(answer: httpx2.Response) -> Iterator[bytes]:
    """The body in pieces of a bounded size, however many there are: for whoever keeps only one at a time. Raises EhrUnavailable where it hardly moves."""
    yield from _unpacked(answer, _steadily(answer))


def is_page(answer: httpx2.Response) -> bool:
    """Whether this is a page for people and no FHIR, by what it says of itself or by how it begins."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    said_so = kind in {"text/html", "application/xhtml+xml"}
    if not answer.is_stream_consumed:
        return said_so
    begins = answer.content[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    return begins.startswith(b"<") or (said_so and bool(begins) and begins[:1] not in b"{[")


def _too_large(most: int) -> EhrBrokeContract:
    if most < MOST_BYTES:
        return EhrBrokeContract(f"the EHR answered with more than {most // 1000} kB where a few are enough")
    return EhrBrokeContract(
        f"the EHR answered with more than {most // 1_000_000} MB", fix="look at the chart, or ask for smaller pages"
    )  # fmt: skip


def refusal(status: int, what: str, content: bytes = b"", retry_after: str = "") -> BillingError | None:
    """What an answer's status means; None when it is no refusal. Never quotes the chart."""
    if 200 <= status < 300:
        return None
    if status == 429:
        return RateLimited("the EHR asks us to slow down", retry_after=seconds(retry_after))
    if status >= 500 and status != 501:
        return EhrUnavailable(f"the EHR answered {status} to {what}")
    if status in {401, 403}:
        return ScopeMissing(
            f"the EHR refuses {what} ({status})", fix="check the scopes that the EHR grants to this client"
        )
    if status in {404, 410}:
        return NotThere(f"the EHR has nothing there ({what})")
    if status in {409, 412}:
        return Contended(f"somebody else wrote first ({what})")
    if status in _ELSEWHERE:
        return NoFhir(
            f"the EHR sends {what} elsewhere for now ({status})",
            fix="set FHIR_BILLING_EHR_URL to where it answers itself",
        )
    if status < 400:
        return EhrBrokeContract(
            f"the EHR sends {what} elsewhere ({status})", fix="set FHIR_BILLING_EHR_URL to where it answers itself"
        )
    return Unsupported(f"the EHR answered {status} to {what}: {issues(content)}")


def seconds(text: str) -> int:
    """A Retry-After in seconds, given so or as a date; a minute when there is none to read, an hour at most."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text), 3600)
    try:
        return min(max(round(parsedate_to_datetime(text).timestamp() - time.time()), 0), 3600)
    except (ValueError, TypeError, OverflowError):
        return 60


def issues(content: bytes) -> str:
    """The codes of an OperationOutcome; its free text may quote the chart and is left out."""
    try:
        found = loads(content)
    except MalformedResource:
        return "no OperationOutcome"
    rows = found.get("issue") if isinstance(found, dict) else None
    places = [
        f"{_bare(issue.get('code'))} at {_bare(_first(issue.get('expression')) or _first(issue.get('location')) or '?')}"
        for issue in (rows if isinstance(rows, list) else [])[:5]
        if isinstance(issue, dict)
    ]
    return "; ".join(places) or "no issue given"


def _first(found: object) -> object:
    return found[0] if isinstance(found, list) and found else None


def _bare(text: object) -> str:
    """A code or path without what stands between quotes in it, which may be the chart's."""
    return _PATH.sub("", _QUOTED.sub("", str(text)[:400]))[:80] or "?"


def lifetime(said: object) -> float:
    """How many seconds a token lives, as its answer says; five minutes when it does not say, a day at most.

    >>> lifetime(3600), lifetime("60"), lifetime("²"), lifetime(10**400), lifetime(None)
    (3600.0, 60.0, 300.0, 86400.0, 300.0)
    """
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 10:
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int | float | Decimal) or not said >= 0:
        return 300.0
    return float(min(said, 86_400))
