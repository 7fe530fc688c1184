"""What an EHR sends may have any shape inside its JSON; whoever reads it finds something or nothing, and breaks on none."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_billing.ehr import topics
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.subscriptions import subscribe
from fhir_billing.fhir.notification import read_notification

BASE = "https://ehr.example/fhir"


def says(body: Any) -> FhirClient:
    return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "active", "Subscription", topics.REASON]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["resourceType", "type", "entry", "resource", "parameter", "rest", "extension", "url", "channel", "status",
             "meta", "versionId", "id", "criteria", "endpoint", "header"]
        ), inner, max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JUNK, JUNK, JUNK)
@example(["x"], None, None)
@example("history", ["x"], None)
def test_no_notification_of_any_shape_breaks_whoever_reads_it(kind: Any, first: Any, other: Any) -> None:
    said = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": {"resourceType": first}}, other]}
    for body in (said, {**said, "type": "history"}, {**said, "type": "history", "entry": [{"resource": first}, other]}):
        found = read_notification("POST", "", "", json.dumps(body).encode())
        assert all(one.encounter == "" or one.encounter.startswith("Encounter/") for one in found.rang)


@example(7, "rest", None)
@example(["x"], "type", None)
@given(JUNK, st.sampled_from(["rest", "entry", "type", "parameter", "extension"]), JUNK)
def test_no_statement_and_no_status_breaks_whoever_reads_it(one: Any, name: str, other: Any) -> None:
    list(topics._declared({"resourceType": "CapabilityStatement", name: one}))
    list(topics._declared({"rest": [{"resource": one}, {"resource": [{"type": "Subscription", "extension": other}]}]}))
    for body in ({"resourceType": "Bundle", "type": "history", name: one}, {"resourceType": "Parameters", name: one},
                 {"resourceType": "Bundle", "type": "history", "entry": [{"resource": {"resourceType": one}}, other]}):  # fmt: skip
        topics._asked(says(body), "Subscription/s/$status", {})


@given(JUNK, JUNK, JUNK)
def test_no_subscription_that_the_ehr_holds_breaks_whoever_asks_for_another(one: Any, other: Any, name: Any) -> None:
    """What is held is of any shape; what we ask for is made."""
    wanted = "Encounter?status=finished"

    def answered(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and request.url.path.endswith("/Subscription"):
            held = {"resourceType": "Subscription", "criteria": wanted, "id": name, "channel": one, "status": other, "meta": other}  # fmt: skip
            return httpx2.Response(200, json={"resourceType": "Bundle", "entry": [{"resource": held}, one]})
        return httpx2.Response(201, json={"resourceType": "Subscription", "id": "s1", "status": one, "meta": other})

    client = FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(answered)))
    assert subscribe(client, "https://us.example/hooks/ehr", "only-the-ehr-knows")["id"] == "s1"
