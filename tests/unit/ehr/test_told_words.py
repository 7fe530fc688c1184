"""What people read in a chart of a bill is plain, harmless HTML, and a claim's number gives its visit's away."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest

from fhir_billing.domain.lifecycle import OWNERS, State
from fhir_billing.ehr.putting import changed, digest_of, is_ours, resolved, same
from fhir_billing.ehr.rungs import Told, ladder
from fhir_billing.ehr.rungs.communication import message, sentences
from fhir_billing.ehr.rungs.document import document, page
from fhir_billing.ehr.rungs.native_queue import QUEUES
from fhir_billing.fhir.ours import meta, where
from fhir_billing.fhir.provenance import provenance
from fhir_billing.fhir.task import STATUS
from fhir_billing.store.outbox import Parcel, choose

ROW = {
    "number": "C-0123456789AB", "payer": "<b>Plan & Co</b>", "status": "Paid", "charge": "155.00", "paid": "86.00",
    "patient": "20.00", "next": "nothing",
}  # fmt: skip
VISIT = {
    "encounter": "Encounter/1", "number": "C-0123456789AB", "patient": "Patient/1", "served_on": "2026-03-02",
    "what": "office", "changed": "2026-03-16T10:00:00+00:00", "over": True, "rows": [ROW],
}  # fmt: skip
TASK = {"resourceType": "Task", "for": {"reference": "Patient/1"}, "encounter": {"reference": "Encounter/1"},
        "lastModified": "2026-03-16T10:00:00+00:00", "statusReason": {"text": "No pointer"}}  # fmt: skip
TOLD = Told(claim="C-0123456789AB", resources=(TASK,), visit=VISIT)


def test_what_stands_in_a_chart_cannot_run_there() -> None:
    shown = page(VISIT)
    assert "<b>" not in shown and "&lt;b&gt;Plan &amp; Co&lt;/b&gt;" in shown
    assert not re.search(r"<script|<img|<a |href|src=|http", shown)


def test_a_document_is_final_when_every_claim_is_over_and_the_same_twice() -> None:
    made = document(TOLD)
    assert made["docStatus"] == "final"
    assert digest_of(made) == digest_of(document(TOLD))
    assert "155.00" in b64decode(made["content"][0]["attachment"]["data"]).decode()


def test_a_message_says_the_state_the_money_why_and_what_is_next() -> None:
    assert sentences(TOLD, TASK) == [
        "Billing of this visit, claim C-0123456789AB: Paid.",
        "Payer: <b>Plan & Co</b>.",
        "Charge 155.00, paid 86.00, patient's share 20.00.",
        "No pointer.",
        "Next: nothing.",
    ]
    assert message(TOLD)["sent"] == "2026-03-16T10:00:00+00:00"


def test_a_provenance_names_our_software_and_the_visit() -> None:
    made = provenance(["Task/1"], encounter="Encounter/1", recorded="2026-03-16T10:00:00+00:00")
    assert made["agent"] == [{"who": {"type": "Device", "display": "fhir-billing"}}]
    assert made["entity"][0]["role"] == "source"
    assert is_ours(made)


def test_other_peoples_tags_and_profiles_stay_and_the_ehrs_own_additions_are_no_difference() -> None:
    wanted = {"resourceType": "Task", "meta": meta(), "status": "ready"}
    theirs = {"system": "https://elsewhere.example/", "code": "seen"}
    current = {**wanted, "id": "7", "text": {"div": "x"}, "meta": {"versionId": "3", "profile": ["p"], "tag": [theirs]}}
    assert same(wanted, current)
    put = changed(wanted, current)
    assert put["id"] == "7" and put["meta"]["profile"] == ["p"] and theirs in put["meta"]["tag"] and is_ours(put)


def test_a_reference_to_what_an_ehr_did_not_take_names_it_by_identifier() -> None:
    focus = {"focus": {"reference": where("Claim", "C-1")}}
    assert resolved(focus, {where("Claim", "C-1"): "Claim/9"}) == {"focus": {"reference": "Claim/9"}}
    assert resolved(focus, {})["focus"]["identifier"]["value"] == "C-1"


def test_every_state_has_a_queue_and_somebody_who_acts() -> None:
    assert {code for _, code, _ in STATUS.values()} == set(QUEUES)
    assert set(OWNERS) == set(State)


def test_the_ladder_goes_from_the_whole_bill_to_nothing() -> None:
    names = [rung.name for rung in ladder()]
    assert names[0] == "claim-and-response" and names[-1] == "page-only"
    assert set(names[1:3]) == {"native-charge", "native-queue"}
    assert names[3:] == ["task", "communication", "document", "hl7v2", "page-only"]


@pytest.mark.parametrize(
    ("lent", "other"), [("C-0123456789AB-1", "C-0123456789AB-2"), ("C-0123456789AB", "C-0123456789AB-R1")]
)
def test_one_visit_is_told_by_one_writer_at_a_time(lent: str, other: str) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    away = Parcel(id=1, kind="write-back", claim=lent, locked_until=now + timedelta(seconds=9), locked_by="them")
    parcels = [
        away,
        Parcel(id=2, kind="write-back", claim=other),
        Parcel(id=3, kind="write-back", claim="C-BA9876543210"),
    ]
    assert choose(parcels, now, lambda _: False) == ([3], {})
    assert choose(parcels, now, lambda _: True)[0] == [1, 2, 3], "a dead borrower holds nothing"
