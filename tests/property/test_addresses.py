"""Whatever an EHR writes where an address belongs, what is asked for lies on its own server, and a reference beneath its own address."""

from __future__ import annotations

import re

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_billing.domain.errors import EhrBrokeContract
from fhir_billing.ehr import addresses

BASES = ("https://ehr.example/fhir/R4", "http://127.0.0.1:8103/fhir", "https://ehr.example:8443")
PIECES = st.sampled_from(
    [
        "https:", "http:", "HTTPS:", "file:", "javascript:", "//", "/", "\\", "@", ":", "ehr.example", "evil.example", "127.0.0.1",
        ":8103", ":443", ":0", "fhir", "R4", "..", ".", "%2e%2e", "%2f", "%5c", "%00", "?", "#", "&", "=", "Patient", "p", "_history", "1",
        "\t", "\n", "\r", "\x00", " ", "[::1]", "0x7f.1", "user:pass", "urn:uuid:", "\u2024", "\uff0f", "\ud800", "é", "x" * 70, "auth", "token",
    ]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=40)


@given(base=st.sampled_from(BASES), text=TEXT)
@example(base=BASES[0], text="https://ehr.example@evil.example/fhir/R4/Patient/p")
@example(base=BASES[0], text="https://ehr.example\\@evil.example/")
@example(base=BASES[0], text="//evil.example/Patient")
@example(base=BASES[0], text="\\\\evil.example\\Patient")
def test_what_is_asked_lies_on_the_ehrs_own_server(base: str, text: str) -> None:
    try:
        found = httpx2.URL(addresses.ours(base, text))
    except EhrBrokeContract:
        return
    own = httpx2.URL(base)
    assert (found.scheme, found.host, found.port, found.userinfo) == (own.scheme, own.host, own.port, b"")


@given(base=st.sampled_from(BASES), text=TEXT)
@example(base=BASES[0], text="../../admin")
@example(base=BASES[0], text="https://ehr.example/fhir/R4/%2e%2e/%2e%2e/admin")
@example(base=BASES[0], text="/fhir/R4evil/Patient")
def test_a_next_page_lies_beneath_the_ehrs_address(base: str, text: str) -> None:
    try:
        found = httpx2.URL(addresses.next_page(base, text))
    except EhrBrokeContract:
        return
    own = httpx2.URL(base)
    assert found.host == own.host
    assert f"{found.path}/".startswith(f"{own.path.rstrip('/')}/")


@given(base=st.sampled_from(BASES), text=TEXT)
@example(base=BASES[0], text="Patient/..")
@example(base=BASES[0], text=f"{BASES[0]}/Patient/.")
@example(base=BASES[0], text="HTTPS://EHR.EXAMPLE:443/fhir/R4/Patient/p/_history/2")
def test_a_reference_is_a_type_and_an_id_or_none_of_ours(base: str, text: str) -> None:
    found = addresses.local(base, text)
    if found:
        assert re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]*[A-Za-z0-9\-][A-Za-z0-9.\-]*", found)
        assert addresses.ours(base, found) == f"{base}/{found}", "a path of two steps, and no way out of it"
        assert addresses.local(base, found) == found
        assert addresses.local(base, f"{base}/{found}/_history/3") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Patient/p", "Patient/p"), ("Patient/p/_history/2", "Patient/p"), ("https://ehr.example/fhir/R4/Patient/p", "Patient/p"),
        ("https://EHR.example:443/fhir/R4/Patient/p", "Patient/p"), ("https://ehr.example/fhir/R4x/Patient/p", ""),
        ("https://ehr.example/other/Patient/p", ""), ("http://ehr.example/fhir/R4/Patient/p", ""), ("Patient/..", ""), ("Patient/.", ""),
        ("Patient/p?x=y", ""), ("https://ehr.example/fhir/R4/Patient/p?x=y", ""), ("#inside", ""), ("urn:uuid:x", ""), ("", ""),
        ("Patient/" + "x" * 1_000_000, ""), ("//evil.example/Patient/p", ""), ("Patient/a/b", ""), ("Patient/p ", ""),
    ],
)  # fmt: skip
def test_references_by_example(text: str, found: str) -> None:
    assert addresses.local("https://ehr.example/fhir/R4", text) == found
