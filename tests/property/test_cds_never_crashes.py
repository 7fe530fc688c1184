"""Whatever an EHR sends is answered or refused: a broken prefetch never breaks a card, and never the service."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.cds import all_hooks
from fhir_billing.cds.card import as_json
from fhir_billing.cds.feedback import read_feedback
from fhir_billing.cds.hook import Call
from fhir_billing.cds.request import read_request
from fhir_billing.domain.errors import MalformedResource
from fhir_billing.fhir.text import dumps
from tests.contract.cds_ehr import bundle, prefetch, the_chart
from tests.unit.mapping import visits

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.sampled_from(["Patient/p", "2026-01-10"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path] * bool(path) + [place for step, below in steps for place in places(below, (*path, step))]


@st.composite
def broken_calls(draw: st.DrawFn) -> tuple[str, Any]:
    """A complete call with a few places replaced by something else, or taken away."""
    name = draw(st.sampled_from(sorted(all_hooks())))
    hook = all_hooks()[name]
    order = {
        "resourceType": "ServiceRequest", "id": "sr", "status": "draft", "subject": {"reference": "Patient/p"},
        "code": visits.coded(visits.CPT, "70551"), "start": "2026-06-01T09:00:00Z",
    }  # fmt: skip
    context: dict[str, Any] = {"userId": "Practitioner/dr", "patientId": "p", "encounterId": "e"}
    context |= {hook.orders: bundle([order])} if hook.orders else {}
    context |= {"selections": ["ServiceRequest/sr"]} if "selections" in hook.needs else {}
    body: Any = {
        "hook": hook.hook, "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "context": context,
        "prefetch": prefetch(copy.deepcopy(the_chart()), name),
    }  # fmt: skip
    for _ in range(draw(st.integers(0, 4))):
        *way, last = draw(st.sampled_from(places(body)))
        holder = body
        for step in way:
            holder = holder[step]
        if draw(st.booleans()):
            holder[last] = draw(JUNK)
        else:
            del holder[last]
    return name, body


@given(broken_calls())
def test_a_broken_call_is_answered_or_refused(made: tuple[str, Any]) -> None:
    name, body = made
    hook = all_hooks()[name]
    try:
        asked = read_request(body, hook)
    except MalformedResource:
        return
    call = Call(
        hook=hook.hook, instance=asked.instance, user=asked.user, patient=f"Patient/{asked.patient}",
        encounter=f"Encounter/{asked.encounter}" if asked.encounter else "", orders=asked.orders, known=asked.prefetched,
        site=visits.site("demo"), today=date(2026, 3, 3),
    )  # fmt: skip
    for card in hook.answer(call):
        shown = as_json(card, instance=asked.instance, hook=hook.id, label="Clinic", launch="https://x.example/launch")
        assert 0 < len(shown["summary"]) < 140
        dumps(shown)


@given(JUNK, st.dictionaries(st.sampled_from(["feedback", "card", "outcome"]), JUNK))
def test_broken_feedback_is_refused(junk: Any, body: Any) -> None:
    for one in (junk, body, {"feedback": [junk]}, {"feedback": [{**body, "outcome": "accepted", "card": junk}]}):
        try:
            read_feedback(one)
        except MalformedResource:
            continue
        raise AssertionError(one)
