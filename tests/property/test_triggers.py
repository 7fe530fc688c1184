"""Notifications may be lost, repeated and shuffled as they like: with a poll behind them every closed visit is read, once in each version."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from urllib.parse import parse_qsl

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.cycle.looking import Numbers, Subscribed
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Kind
from fhir_billing.ehr import quirks
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import UserEhr
from fhir_billing.ehr.ndjson import lines
from fhir_billing.fhir.notification import Says, read_notification
from fhir_billing.worker import beat, ringing, topics
from tests.contract.stand_in_ehr import StandIn
from tests.e2e.story import Story

BASE = "https://ehr.example/fhir"
EXAMPLES = count()


class Unheard(StandIn):
    """Numbers what it would tell, and tells nobody: the test carries its notifications, as it likes."""

    def send(self, which: str, says: str, numbers: list[int]) -> None:
        pass


def without_a_socket(ehr: StandIn) -> httpx2.MockTransport:
    def answered(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/fhir")
        body = json.loads(request.content) if request.content else None
        status, said, headers = ehr.answer(request.method, path, parse_qsl(request.url.query.decode()), body)
        return httpx2.Response(status, json=said, headers=headers)

    return httpx2.MockTransport(answered)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Unheard]:
    folder = tmp_path_factory.mktemp("triggers")
    ehr = Unheard(base=BASE)
    client = FhirClient(BASE, httpx2.Client(transport=without_a_socket(ehr)))
    reader = UserEhr(client, quirks.named("plain"), ("topic", "poll"))
    story = Story(
        folder=folder,
        database=f"sqlite:///{folder / 'book.db'}",
        scenario="pays",
        day="2026-03-02",
        ehr=(reader, reader),
    )
    story.clock.time = datetime.now(UTC)
    return story, ehr


STEP = st.one_of(
    st.tuples(st.just("close"), st.integers(0, 2)),
    st.tuples(st.just("reopen"), st.integers(0, 2)),
    st.tuples(st.just("cancel"), st.integers(0, 2)),
    st.tuples(st.just("told by number"), st.lists(st.integers(1, 8), max_size=4)),
    st.tuples(st.just("rang by hook"), st.integers(0, 2)),
    st.tuples(st.just("poll"), st.none()),
    st.tuples(st.just("work"), st.none()),
)


@given(st.lists(STEP, max_size=14))
def test_every_closed_visit_is_read_in_its_last_version_whatever_was_told_of_it(
    book: tuple[Story, Unheard], steps: list[tuple[str, object]]
) -> None:
    story, ehr = book
    which, names = f"s{next(EXAMPLES)}", [f"x{next(EXAMPLES)}" for _ in range(3)]
    ehr.visits.clear()
    ehr.subscriptions = {which: {"status": "active", "channel": {"type": "rest-hook"}}}
    ehr.events = {which: []}
    topics.hold(story.wiring, [Subscribed(way="topic", id=which, status="active", heartbeat=60)])
    for name in names:
        ehr.close(name, "in-progress")
    for step, what in steps:
        take(story, ehr, which, names, step, what)
    ringing.ring(story.wiring)
    for _ in range(3):
        beat.answer_doorbells(story.wiring)
    beat.work(story.wiring)
    with story.wiring.store.looking() as looking:
        for name in names:
            visit, chart = looking.visit(f"Encounter/{name}"), ehr.visits[name]
            if chart["status"] == "finished":
                assert visit is not None
                assert visit.outcome != "voided"
                assert visit.version == chart["meta"]["versionId"]
            elif visit is not None:
                assert visit.outcome == "voided"
    kept = Counter(
        (message.name, version_in(message.body)) for message in story.wiring.store.worked_messages()
        if message.kind is Kind.VISIT and message.name.partition("/")[2] in names
    )  # fmt: skip
    assert set(kept.values()) <= {1}, "one message for each version that was read"
    assert not story.wiring.store.doorbells(story.clock.now()), "every bell is answered"


def take(story: Story, ehr: Unheard, which: str, names: list[str], step: str, what: object) -> None:
    if step in {"close", "reopen", "cancel"}:
        assert isinstance(what, int)
        ehr.close(names[what], {"close": "finished", "reopen": "in-progress", "cancel": "cancelled"}[step])
    elif step == "told by number":
        assert isinstance(what, list)
        numbers = [number for number in what if number <= len(ehr.events[which])]
        body = json.dumps(ehr.notification(which, "event-notification", numbers)).encode()
        topics.keep(story.wiring, read_notification("POST", "", "", body), body, channel="topic")
    elif step == "rang by hook":
        assert isinstance(what, int)
        said = read_notification("PUT", "Encounter", names[what], json.dumps(ehr.visits[names[what]]).encode())
        for one in said.rang:
            sighting = Sighting(encounter=one.encounter, version=one.version)
            ringing.rang(story.wiring, sighting, found_by="hook")
    elif step == "poll":
        ringing.ring(story.wiring)
    else:
        beat.answer_doorbells(story.wiring)
        beat.work(story.wiring)


def version_in(body: bytes) -> str:
    resources = json.loads(body)["resources"]
    return next(str(r["meta"]["versionId"]) for r in resources if r["resourceType"] == "Encounter")


@given(st.permutations(range(1, 13)), st.sets(st.integers(1, 12)), st.lists(st.integers(1, 12)))
def test_what_is_missing_is_what_was_never_heard_in_any_order_and_however_often(
    order: list[int], lost: set[int], twice: list[int]
) -> None:
    heard = [number for number in [*order, *twice] if number not in lost]
    numbers = Numbers()
    for number in heard:
        numbers = numbers.heard(number)
    top = max(heard, default=0)
    missing = {number for first, last in numbers.missing for number in range(first, last + 1)}
    assert numbers.last == top
    assert missing == {number for number in lost if number < top}
    assert Numbers.load(numbers.dump()) == numbers


@given(st.lists(st.binary(max_size=40)), st.integers(1, 9))
def test_lines_are_the_same_however_a_file_is_cut_into_pieces(parts: list[bytes], size: int) -> None:
    text = b"\n".join(parts)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(lines(pieces)) == list(lines([text]))
    assert [line for _, line in lines(pieces)] == [part.strip() for part in text.split(b"\n") if part.strip()]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["resourceType", "type", "entry", "resource", "parameter", "name", "part", "valueString", "valueReference",
             "reference", "id", "meta", "versionId", "subscription", "notificationEvent", "focus", "eventNumber"]
        ), inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(
    JSON, st.sampled_from(["Bundle", "Parameters", "SubscriptionStatus", "Encounter", 7]), st.sampled_from(list(Says))
)
def test_no_notification_breaks_whoever_reads_it(body: object, kind: object, says: Says) -> None:
    first = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": says}, body]}
    for said in (
        body, {"resourceType": kind, "type": "history", "entry": [{"resource": first}, body]},
        {"resourceType": "Bundle", "type": "history", "entry": [{"resource": {"resourceType": kind, "type": body}}]},
    ):  # fmt: skip
        found = read_notification("POST", "", "", json.dumps(said).encode())
        assert all(one.encounter == "" or one.encounter.startswith("Encounter/") for one in found.rang)
