"""Two vendors have a billing of their own that an app may move. No server here has it: a stand-in answers as their documentation says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2

from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr import rungs
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Held, Told
from fhir_billing.ehr.rungs.native_queue import EXTENSION
from tests.contract.test_rungs import a_number, held_after, told, verbs

Said = tuple[int, dict[str, str], Any]


def ehr(answer: Callable[[str, str, Any, str], Said]) -> FhirClient:
    """A client of the stand-in."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else None
        status, headers, said = answer(
            request.method, request.url.path.removeprefix("/fhir/"), body, request.headers.get("if-match", "")
        )
        return httpx2.Response(status, headers=headers, content=json.dumps(said).encode() if said else b"")

    return FhirClient("https://ehr.example/fhir", httpx2.Client(transport=httpx2.MockTransport(handle)))


class Canvas:
    """One claim of one visit, with a queue."""

    def __init__(self, queue: str = "NeedsCodingReview") -> None:
        self.version, self.puts, self.meet = 1, 0, False
        self.claim = {
            "resourceType": "Claim", "id": "cv1", "status": "active", "provider": {"display": "theirs"},
            "extension": [{"url": "https://elsewhere.example/x", "valueString": "kept"}, self.queued(queue)],
        }  # fmt: skip

    @staticmethod
    def queued(queue: str) -> dict[str, Any]:
        return {"url": EXTENSION, "valueCoding": {"system": "http://canvasmedical.com", "code": queue}}

    @property
    def queue(self) -> str:
        return str(next(e for e in self.claim["extension"] if e["url"] == EXTENSION)["valueCoding"]["code"])  # type: ignore[index]

    def __call__(self, method: str, path: str, body: Any, match: str) -> Said:
        now = {**self.claim, "meta": {"versionId": str(self.version)}}
        if method == "PUT":
            if self.meet:
                self.meet, self.version = False, self.version + 1
            if match != f'W/"{self.version}"':
                return 412, {}, {"resourceType": "OperationOutcome"}
            self.puts, self.version = self.puts + 1, self.version + 1
            self.claim = {name: value for name, value in body.items() if name != "meta"}
            return 200, {}, {**self.claim, "meta": {"versionId": str(self.version)}}
        if path == "Claim":
            return 200, {}, {"resourceType": "Bundle", "entry": [{"resource": now}]}
        return 200, {}, now


def test_the_visits_own_claim_moves_from_queue_to_queue_and_nothing_else_of_it_changes() -> None:
    canvas, rung, number = Canvas(), rungs.named("native-queue"), a_number()
    client, held = ehr(canvas), dict[str, Held]()
    stood = []
    for state in (State.SENT, State.ACCEPTED, State.DENIED, State.PAID):
        held = held_after(rung.write(client, told(number, state), held), held)
        stood.append(canvas.queue)
    assert stood == [
        "FiledAwaitingResponse", "FiledAwaitingResponse", "RejectedNeedsReview", "AdjudicatedOpenBalance",
    ]  # fmt: skip
    assert canvas.puts == 3, "a status that changes no queue is not written"
    assert canvas.claim["provider"] == {"display": "theirs"}
    assert canvas.claim["extension"][0]["valueString"] == "kept"  # type: ignore[index]


def test_a_queue_that_the_sites_people_chose_is_left_and_a_quicker_hand_is_read_again() -> None:
    rung = rungs.named("native-queue")
    own = Canvas("Our own queue")
    assert verbs(rung.write(ehr(own), told(a_number(), State.SENT), {})) == {"Claim": "unchanged"}
    assert own.queue == "Our own queue"
    met = Canvas()
    met.meet = True
    assert verbs(rung.write(ehr(met), told(a_number(), State.SENT), {})) == {"Claim": "updated"}
    assert met.queue == "FiledAwaitingResponse"


class Oracle:
    """A ledger that charges are entered into by operations."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.charges: dict[str, dict[str, Any]] = {}
        self.loses = False

    def __call__(self, method: str, path: str, body: Any, match: str) -> Said:
        if method == "GET":
            rows = [{"resource": one} for one in self.charges.values() if one["status"] == "billable"]
            return 200, {}, {"resourceType": "Bundle", "entry": rows}
        assert body["resourceType"] == "Parameters"
        operation = path.rpartition("/")[2]
        self.asked.append(operation)
        if operation != "$create":
            self.charges[path.split("/")[1]]["status"] = "not-billable"
        if operation == "$credit":
            return 200, {}, None
        (only,) = body["parameter"]
        assert only["name"] == "chargeItem"
        name = f"ch{len(self.charges) + 1}"
        self.charges[name] = {**only["resource"], "id": name}
        if self.loses:
            self.loses = False
            return 503, {}, None
        return 201, {"Location": f"https://ehr.example/fhir/ChargeItem/{name}"}, None

    @property
    def total(self) -> int:
        stand = [one for one in self.charges.values() if one["status"] == "billable"]
        return sum(round(one["priceOverride"]["value"] * 100) for one in stand)


def charged(number: str, *prices: int, status: str = "active") -> Told:
    """A claim that has left, with a line for each price."""
    base = told(number, State.SENT)
    lines = [
        {"sequence": place, "productOrService": {"coding": [{"code": "99213"}]}, "servicedDate": "2026-03-02",
         "quantity": {"value": 1}, "net": {"value": price, "currency": "USD"}}
        for place, price in enumerate(prices, 1)
    ]  # fmt: skip
    found = [
        {**one, "item": lines, "status": status} if one["resourceType"] == "Claim" else one for one in base.resources
    ]
    return replace(base, resources=tuple(found))


def test_each_line_is_charged_once_replaced_when_it_changes_and_credited_when_the_claim_is_withdrawn() -> None:
    oracle, rung, number = Oracle(), rungs.named("native-charge"), a_number()
    client = ehr(oracle)
    held = held_after(rung.write(client, charged(number, 125, 30), {}))
    assert oracle.asked == ["$create", "$create"]
    rung.write(client, charged(number, 125, 30), held)
    assert oracle.asked == ["$create", "$create"], "what did not change is not asked for"
    held = held_after(rung.write(client, charged(number, 125, 35), held), held)
    assert oracle.asked[2:] == ["$modify"]
    assert oracle.total == 16000
    held = held_after(rung.write(client, charged(number, 125, 35, status="cancelled"), held), held)
    assert oracle.asked[3:] == ["$credit", "$credit"]
    assert oracle.total == 0
    rung.write(client, charged(number, 125, 35, status="cancelled"), held)
    assert len(oracle.asked) == 5


def test_a_charge_whose_answer_was_lost_is_found_and_not_entered_twice() -> None:
    import pytest

    from fhir_billing.domain.errors import EhrUnavailable

    oracle, rung, number = Oracle(), rungs.named("native-charge"), a_number()
    oracle.loses = True
    with pytest.raises(EhrUnavailable):
        rung.write(ehr(oracle), charged(number, 125), {})
    rung.write(ehr(oracle), charged(number, 125), {})
    assert oracle.asked == ["$create"]
    assert oracle.total == 12500


def test_a_visit_with_charges_of_the_ehrs_own_is_not_charged_again() -> None:
    oracle, rung = Oracle(), rungs.named("native-charge")
    oracle.charges["theirs"] = {"resourceType": "ChargeItem", "id": "theirs", "status": "billable"}
    (put,) = rung.write(ehr(oracle), charged(a_number(), 125), {})
    assert put.verb == "not taken"
    assert oracle.asked == []


def test_money_and_queues_of_an_ehr_are_moved_only_where_a_site_says_so() -> None:
    for name in ("native-charge", "native-queue"):
        assert any(need.act == "agreed" for need in rungs.named(name).needs)
    assert rungs.best(lambda need: need.act != "agreed").name == "claim-and-response"
    assert rungs.best(lambda need: need.kind == "Task").name == "task"
    assert rungs.best(lambda need: need.kind == "DocumentReference").name == "document"
    assert rungs.best(lambda need: False).name == "page-only"
