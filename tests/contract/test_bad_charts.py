"""What an EHR may hold or send that no chart should be: each is told apart, said with its place, kept, and stops nothing else."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fhir_billing.cycle.draft import draft_and_scrub
from fhir_billing.cycle.ports import Sighting
from fhir_billing.cycle.records import Outcome
from fhir_billing.domain.errors import (
    BillingError,
    EhrBrokeContract,
    EhrUnavailable,
    NotThere,
    RateLimited,
    ScopeMissing,
)
from fhir_billing.ehr import answers, quirks
from fhir_billing.ehr.answers import MOST_BYTES
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import UserEhr
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.ways import Ways
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.mapping_files import load
from fhir_billing.settings import mappings_root
from fhir_billing.worker import beat, ringing
from tests.contract.lying_ehr import BASE, Lie, LyingEhr, Resource, bundle, patient, to, visit
from tests.e2e import charts
from tests.e2e.story import Story

BOTH = pytest.mark.parametrize("batch", [True, False])


def names(resources: list[Resource]) -> set[str]:
    return {f"{r['resourceType']}/{r['id']}" for r in resources if "id" in r}


def missing(resources: list[Resource]) -> dict[str, str]:
    return {r["issue"][0]["expression"][0]: r["issue"][0]["diagnostics"] for r in resources if "issue" in r}


def says(wanted: str, answer: httpx2.Response | Resource | bytes) -> Lie:
    """One lie, wherever a question begins like this."""

    def lie(url: str) -> httpx2.Response | None:
        if not url.startswith(wanted):
            return None
        if isinstance(answer, httpx2.Response):
            return answer
        return httpx2.Response(200, content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    return lie


# ---- charts that go in circles, or without end


@BOTH
def test_a_visit_that_is_part_of_itself_and_organizations_in_a_circle_are_read_once(batch: bool) -> None:
    ehr = LyingEhr(
        visit(partOf=to("Encounter/e"), serviceProvider=to("Organization/a"), account=[to("Account/x")]),
        patient(link=[{"other": to("Patient/p")}], managingOrganization=to("Organization/b")),
        {"resourceType": "Organization", "id": "a", "partOf": to("Organization/b")},
        {"resourceType": "Organization", "id": "b", "partOf": to("Organization/a")},
        {"resourceType": "Account", "id": "x", "partOf": to("Account/x"), "guarantor": [{"party": to("Patient/p")}]},
        batch=batch,
    )
    found = gather(ehr.client(), "Encounter/e")
    assert names(found) == {"Encounter/e", "Patient/p", "Organization/a", "Organization/b", "Account/x"}
    assert not missing(found)
    reads = [url for url in ehr.asked if "?" not in url and url != "batch"]
    assert len(reads) == len(set(reads))


@BOTH
def test_a_chain_without_end_is_followed_a_few_steps_and_the_same_ones_each_way(batch: bool) -> None:
    chain = [{"resourceType": "Organization", "id": f"o{n}", "partOf": to(f"Organization/o{n + 1}")} for n in range(50)]
    ehr = LyingEhr(visit(serviceProvider=to("Organization/o0")), patient(), *chain, batch=batch)
    assert names(gather(ehr.client(), "Encounter/e")) == {
        "Encounter/e",
        "Patient/p",
        *(f"Organization/o{n}" for n in range(3)),
    }


def test_what_is_brought_unasked_beyond_those_steps_is_left() -> None:
    chain = [{"resourceType": "Organization", "id": f"o{n}", "partOf": to(f"Organization/o{n + 1}")} for n in range(9)]
    whole = (visit(serviceProvider=to("Organization/o0")), patient(), *chain)
    generous = LyingEhr(*whole, lie=says("Encounter?", bundle(*whole)))
    assert gather(generous.client(Ways()), "Encounter/e") == gather(LyingEhr(*whole).client(), "Encounter/e")


@BOTH
def test_five_thousand_conditions_are_read_and_drafted_within_seconds(batch: bool) -> None:
    many = [
        {"resourceType": "Condition", "id": f"c{n}", "encounter": to("Encounter/e"), "subject": to("Patient/p"),
         "recorder": to("Practitioner/d"), "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": f"Z{n % 90 + 10}"}]}}
        for n in range(5000)
    ]  # fmt: skip
    ehr = LyingEhr(visit(), patient(), {"resourceType": "Practitioner", "id": "d"}, *many, batch=batch)
    tracemalloc.start()
    begun = time.monotonic()
    found = gather(ehr.client(), "Encounter/e")
    assert len(found) == 5003
    drafted = draft_and_scrub(found, load("demo", mappings_root()), encounter="Encounter/e")
    took, (_, most) = time.monotonic() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drafted is not None
    assert not drafted.is_ready
    assert took < 30, "traced: many times slower than it is"
    assert most < 200_000_000


def test_five_thousand_conditions_of_which_a_hundred_are_given_are_refused_with_the_place() -> None:
    row = {"resourceType": "Condition", "encounter": to("Encounter/e"), "subject": to("Patient/p")}
    few = bundle(*({**row, "id": f"c{n}"} for n in range(100)), total=5000)
    ehr = LyingEhr(visit(), patient(), lie=says("Condition", few))
    with pytest.raises(EhrBrokeContract, match=r"counts 5000 of Condition, gives 100.*raise its page size"):
        gather(ehr.client(), "Encounter/e")


def test_an_ehr_that_gives_too_few_at_once_is_asked_for_larger_pages() -> None:
    row = {"resourceType": "ChargeItem", "context": to("Encounter/e"), "subject": to("Patient/p")}
    rows = [{**row, "id": f"c{n}"} for n in range(250)]
    small = says("ChargeItem?context=Encounter%2Fe&_count=100", bundle(*rows[:100], total=250))
    ehr = LyingEhr(visit(), patient(), *rows, lie=small)
    assert len(gather(ehr.client(), "Encounter/e")) == 252
    assert "ChargeItem?context=Encounter%2Fe&_count=250" in ehr.asked


def test_a_visit_that_refers_to_a_thousand_people_is_refused() -> None:
    people = [{"individual": to(f"Practitioner/d{n}")} for n in range(1000)]
    with pytest.raises(EhrBrokeContract, match="refers to more than 200 resources; look at the chart"):
        gather(LyingEhr(visit(participant=people), patient()).client(), "Encounter/e")


# ---- pages that lie


def test_a_next_page_that_leads_back_ends_the_search() -> None:
    loop = bundle(link=[{"relation": "next", "url": f"{BASE}/Condition?page=1"}])
    ehr = LyingEhr(visit(), patient(), lie=says("Condition", loop))
    with pytest.raises(EhrBrokeContract, match="leads back to a page that was read; mend the EHR's next links"):
        gather(ehr.client(), "Encounter/e")
    assert len([url for url in ehr.asked if url.startswith("Condition")]) == 2


@pytest.mark.parametrize("there", ["https://evil.example/fhir/R4/Condition", "//evil.example/x", "https://ehr.example@evil.example/",
                                   "https://ehr.example:444/fhir/R4/x", "http://ehr.example/fhir/R4/x", "\\\\evil.example", "https://ehr.example/admin", "../../admin",
                                   "%2e%2e/%2e%2e/admin", "https://ehr.example/fhir/R4/../../token", "x" * 5000])  # fmt: skip
@BOTH
def test_a_next_page_elsewhere_is_not_asked_for_even_out_of_a_batch(there: str, batch: bool) -> None:
    away = says("Condition", bundle(link=[{"relation": "next", "url": there}]))
    ehr = LyingEhr(visit(), patient(), lie=away, batch=batch)
    with pytest.raises(EhrBrokeContract):
        gather(ehr.client(), "Encounter/e")
    assert ehr.hosts == {"ehr.example"}
    assert not [url for url in ehr.asked if "admin" in url or "token" in url]


@pytest.mark.parametrize("total", [10**30, -5, "many", None, True, 0, 1.5, {}])
def test_a_total_that_is_no_count_does_no_harm(total: Any) -> None:
    row = {"resourceType": "Condition", "id": "c", "encounter": to("Encounter/e")}
    ehr = LyingEhr(visit(), patient(), lie=says("Condition", bundle(row, total=total)))
    try:
        assert "Condition/c" in names(gather(ehr.client(), "Encounter/e"))
    except EhrBrokeContract:
        assert total == 10**30, "more than it gives, and no next page"


# ---- bodies that are none


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b'"text"', b'{"resourceType":"Organization","id":"p"}', b'{"resourceType":"Patient","id":"q"}',
        b'{"resourceType":["Patient"],"id":"p"}', b'{"resourceType":"Patient","id":"p","x":"\xff\xfe"}', b'{"resourceType":"Patient","id":"p"',
        b'{"resourceType":"Patient","id":"p","x":"\\ud800"}', b'{"resourceType":"Patient","id":"p","x":NaN}',
        b'{"resourceType":"Patient","id":"p","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"resourceType":"Patient","id":"p","x":' + b"9" * 5000 + b"}", b'{"resourceType":"Patient","id":7}',
    ],
)  # fmt: skip
def test_a_patient_that_is_none_is_recorded_and_the_visit_is_read(body: bytes) -> None:
    charge = {"resourceType": "ChargeItem", "id": "c", "context": to("Encounter/e")}
    ehr = LyingEhr(visit(), patient(), charge, lie=says("Patient/p", body))
    found = gather(ehr.client(), "Encounter/e")
    assert missing(found) == {"Patient/p": "ehr-broke-contract"}
    assert "ChargeItem/c" in names(found)


def test_of_a_key_that_is_there_twice_the_last_counts_and_numbers_keep_their_digits() -> None:
    text = b'{"resourceType":"Encounter","resourceType":"Patient","id":"q","id":"p","x":1e999999,"y":1.10}'
    ehr = LyingEhr(visit(), patient(), lie=says("Patient/p", text))
    (read,) = [r for r in gather(ehr.client(), "Encounter/e") if r.get("id") == "p"]
    assert dumps(read) == b'{"resourceType":"Patient","id":"p","x":1E+999999,"y":1.10}'


@pytest.mark.parametrize("value", ["1e999999", "-1e999999", "1e-999999", "9" * 4000])
def test_a_price_beyond_all_numbers_holds_the_visit_and_is_said(value: str) -> None:
    resources = charts.finished(charts.chart("ada"))
    text = dumps(resources).decode()
    charge = next(r for r in resources if r["resourceType"] == "ChargeItem")
    worse = {**charge, "quantity": {"value": 0}, "priceOverride": {"value": 0, "currency": "USD"}}
    changed = text.replace(dumps(charge).decode(), dumps(worse).decode().replace('"value":0', f'"value":{value}'))
    begun = time.monotonic()
    drafted = draft_and_scrub(loads(changed.encode()), load("demo", mappings_root()), encounter="Encounter/ada-visit")
    assert drafted is None or not drafted.is_ready
    assert time.monotonic() - begun < 3


def test_a_resource_nested_beyond_reason_stops_its_visit_with_its_name() -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"extension": [deep]}
    for kind in ("Encounter", "Condition"):
        held = [visit(**(deep if kind == "Encounter" else {})), patient()]
        held.append({"resourceType": "Condition", "id": "c", "encounter": to("Encounter/e"), **deep})
        with pytest.raises(EhrBrokeContract, match=f"{kind}/.*nested more than 64 levels deep; mend"):
            gather(LyingEhr(*held[: 2 if kind == "Encounter" else 3]).client(), "Encounter/e")


def test_references_of_a_million_characters_are_findings_of_a_few() -> None:
    long = "Practitioner/" + "x" * 1_000_000
    people = [
        to(long),
        to("urn:uuid:" + long),
        to(f"Practitioner?{long}"),
        {"type": "Practitioner", "identifier": {"value": long}},
    ]
    found = gather(LyingEhr(visit(participant=[{"individual": p} for p in people]), patient()).client(), "Encounter/e")
    assert len(missing(found)) == 4
    assert all(len(said) < 300 for said in missing(found))


@pytest.mark.parametrize(
    "odd", ["e?_count=1", "../../admin", "e/..", "..", "e%2f", "e#", "é", "e f", "e\n", "x" * 65, "", "e|1", "e\\x"]
)
def test_a_visit_whose_id_is_none_is_refused_before_anything_is_asked(odd: str) -> None:
    ehr = LyingEhr(visit(), patient())
    if odd.endswith("/admin"):
        odd = f"{odd} x"
    with pytest.raises(EhrBrokeContract, match=r"id is none that FHIR allows; .*mend it in the EHR"):
        gather(ehr.client(), f"Encounter/{odd}")
    assert ehr.asked == []


@pytest.mark.parametrize(
    "reference",
    ["https://evil.example/fhir/R4/Practitioner/p", "//evil.example/Practitioner/p", "https://ehr.example@evil.example/Practitioner/p",
     "https://ehr.example:8443/fhir/R4/Practitioner/p", "http://ehr.example/fhir/R4/Practitioner/p", "https://ehr.example/admin/Practitioner/p",
     "\\\\evil.example\\Practitioner/p", "Practitioner/..", "Practitioner/../../../admin", "file:///Practitioner/p", "urn:uuid:1", "Practitioner/a/b"],
)  # fmt: skip
@BOTH
def test_a_reference_elsewhere_is_a_finding_and_never_a_request(reference: str, batch: bool) -> None:
    ehr = LyingEhr(visit(participant=[{"individual": to(reference)}]), patient(), batch=batch)
    found = gather(ehr.client(), "Encounter/e")
    assert missing(found) in ({reference: "elsewhere"}, {})
    assert ehr.hosts == {"ehr.example"}
    assert not [url for url in ehr.asked if "admin" in url or "evil" in url or url.startswith("Practitioner")]


# ---- answers without end


class Endless(httpx2.SyncByteStream):
    """A body that never ends, and how much of it was taken."""

    def __init__(self, piece: bytes, first: bytes = b"") -> None:
        self.piece, self.first, self.given = piece, first, 0

    def __iter__(self) -> Iterator[bytes]:
        yield self.first
        while self.given < 1_000_000_000:
            self.given += len(self.piece)
            yield self.piece


def told(stream: httpx2.SyncByteStream, **headers: str) -> FhirClient:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=sent, stream=stream))
    return FhirClient(BASE, httpx2.Client(transport=transport))


def test_an_answer_without_end_is_read_no_further_than_the_limit() -> None:
    endless = Endless(b" " * 65_536)
    with pytest.raises(EhrBrokeContract, match="more than 64 MB"):
        told(endless).read("Patient/p")
    assert endless.given < MOST_BYTES + 200_000


def test_an_answer_that_says_how_large_it_is_is_not_read_at_all() -> None:
    endless = Endless(b" " * 65_536)
    with pytest.raises(EhrBrokeContract, match="more than 64 MB"):
        told(endless, content_length="99000000").read("Patient/p")
    assert endless.given == 0


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(b" " * 300_000_000, compresslevel=9)
    assert len(bomb) < 400_000
    tracemalloc.start()
    with pytest.raises(EhrBrokeContract, match="more than 64 MB"):
        told(Endless(b"", bomb), content_encoding="gzip").read("Patient/p")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2.5 * MOST_BYTES


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip", "x"])
def test_a_packing_that_was_not_asked_for_is_refused(packing: str) -> None:
    with pytest.raises(EhrBrokeContract, match="let it use gzip"):
        told(Endless(b"x"), content_encoding=packing).read("Patient/p")


def test_a_packed_answer_that_is_broken_or_cut_is_told_apart() -> None:
    whole = gzip.compress(b'{"resourceType":"Patient","id":"p"}')
    one = {"content_encoding": "gzip"}

    class Once(httpx2.SyncByteStream):
        def __init__(self, body: bytes) -> None:
            self.body = body

        def __iter__(self) -> Iterator[bytes]:
            yield from (self.body[n : n + 7] for n in range(0, len(self.body), 7))

    assert told(Once(whole), **one).read("Patient/p")["id"] == "p"
    with pytest.raises(EhrUnavailable, match="ends too early"):
        told(Once(whole[:-12]), **one).read("Patient/p")
    with pytest.raises(EhrBrokeContract, match="packed answer is broken"):
        told(Once(b"no gzip at all"), **one).read("Patient/p")


class Dripping(httpx2.SyncByteStream):
    """Four seconds of a byte now and then."""

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(80):
            time.sleep(0.05)
            yield b" "


def test_an_answer_that_drips_is_given_up_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SECONDS", 1)
    began = time.monotonic()
    with pytest.raises(EhrUnavailable, match="takes longer than 1 seconds"):
        told(Dripping()).read("Patient/p")
    with pytest.raises(EhrUnavailable, match=r"gave \d+ bytes of a file in 1 seconds"):
        list(told(Dripping()).pieces(f"{BASE}/file.ndjson"))
    assert time.monotonic() - began < 3.5


def test_a_file_that_comes_steadily_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SECONDS", 1)
    monkeypatch.setattr(answers, "LEAST_BYTES", 10)
    assert sum(map(len, told(Dripping()).pieces(f"{BASE}/file.ndjson"))) == 80


@pytest.mark.parametrize(
    "page",
    [
        httpx2.Response(200, content=b"\n <!doctype html><title>Sign in</title>"),
        httpx2.Response(200, content=b"Back soon", headers={"content-type": "text/html; charset=utf-8"}),
        httpx2.Response(302, headers={"location": "https://login.example/"}),
    ],
)
@BOTH
def test_a_page_for_people_in_the_place_of_fhir_is_a_hiccup_and_condemns_no_visit(
    page: httpx2.Response, batch: bool
) -> None:
    ehr = LyingEhr(visit(), patient(), batch=batch, lie=lambda _: page)
    with pytest.raises(EhrUnavailable):
        gather(ehr.client(), "Encounter/e")
    client = FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(lambda _: page)))
    with pytest.raises(EhrUnavailable):
        client.create({"resourceType": "Task"})


def test_an_ehr_whose_base_shows_a_page_to_a_batch_is_asked_singly() -> None:
    ehr = LyingEhr(visit(), patient())
    asked = ehr.client()._http

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, html="<html>") if request.method == "POST" else asked.send(request)

    client = FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(answer)))
    assert {"Encounter/e", "Patient/p"} <= names(gather(client, "Encounter/e"))


def test_a_bundle_of_fifty_megabytes_is_read() -> None:
    note = "x" * 50_000
    rows = [
        {"resourceType": "Condition", "id": f"c{n}", "encounter": to("Encounter/e"), "note": [{"text": note}]}
        for n in range(1000)
    ]
    ehr = LyingEhr(visit(), patient(), lie=says("Condition", bundle(*rows)))
    assert len(gather(ehr.client(), "Encounter/e")) == 1002


# ---- batches that lie


def batch_of(rows: Any) -> FhirClient:
    """An EHR that answers every batch with these entries, and everything else with 404."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(200, json={"resourceType": "Bundle", "type": "batch-response", "entry": rows})
        return httpx2.Response(404)

    return FhirClient(BASE, httpx2.Client(transport=httpx2.MockTransport(answer)), ways=Ways(includes=False))


@pytest.mark.parametrize(
    ("status", "error"),
    [("429 Too Many", RateLimited), ("503", EhrUnavailable), ("403 Forbidden", ScopeMissing), ("404", NotThere), ("301", EhrBrokeContract)],
)  # fmt: skip
def test_an_entry_that_fails_is_what_a_request_of_its_own_would_have_been(
    status: str, error: type[BillingError]
) -> None:
    with pytest.raises(error):
        gather(batch_of([{"response": {"status": status}}] * 4), "Encounter/e")


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        [{}],
        [7] * 4,
        [{"response": {"status": "200"}}] * 4,
        [{"response": {"status": "²00"}}] * 4,
        [{}] * 5,
        {},
    ],
)
def test_a_batch_answer_that_does_not_match_what_was_asked_is_asked_again_one_by_one(rows: Any) -> None:
    with pytest.raises(NotThere):
        gather(batch_of(rows), "Encounter/e")


def test_a_batch_whose_answers_are_mixed_up_mixes_no_chart_up() -> None:
    ehr = LyingEhr(
        visit(), patient(), {"resourceType": "ChargeItem", "id": "c", "context": to("Encounter/e")}, batch=True
    )
    honest = gather(ehr.client(), "Encounter/e")
    answer = ehr._batch

    def mixed(asked: Resource) -> httpx2.Response:
        said = json.loads(answer(asked).content)
        return httpx2.Response(200, json={**said, "entry": said["entry"][::-1]})

    ehr._batch = mixed  # type: ignore[method-assign]
    assert gather(ehr.client(), "Encounter/e") == honest


def test_a_forbidden_kind_stops_the_visit_in_a_batch_too_and_vaccines_do_not_where_charges_are() -> None:
    charge = {"resourceType": "ChargeItem", "id": "c", "context": to("Encounter/e")}
    for kind in ("Coverage", "Procedure", "Condition", "ChargeItem"):
        ehr = LyingEhr(visit(), patient(), charge, lie=says(f"{kind}?", httpx2.Response(403)), batch=True)
        with pytest.raises(ScopeMissing, match=f"refuses GET {kind} .*scopes"):
            gather(ehr.client(), "Encounter/e")
    no_vaccines = says("Immunization?", httpx2.Response(403))
    assert gather(LyingEhr(visit(), patient(), charge, lie=no_vaccines, batch=True).client(), "Encounter/e")
    with pytest.raises(ScopeMissing, match="Immunization"):
        gather(LyingEhr(visit(), patient(), lie=no_vaccines, batch=True).client(), "Encounter/e")
    assert gather(
        LyingEhr(visit(), patient(), lie=no_vaccines, batch=True).client(), "Encounter/e", forgive=frozenset({"Immunization"})
    )  # fmt: skip


# ---- and nothing else is lost


def test_a_bad_chart_is_kept_with_its_reason_and_the_next_visit_is_drafted(tmp_path: Path) -> None:
    good = charts.finished(charts.chart("dee"))
    bad: dict[str, Lie] = {
        "loop": says("Condition?encounter=Encounter%2Floop", bundle(link=[{"relation": "next", "url": "?a=1"}])),
        "broken": says("Encounter/broken", b"\xff\xfe"),
        "wrong": says("Encounter/wrong", {"resourceType": "Patient", "id": "wrong"}),
        "away": says(
            "Condition?encounter=Encounter%2Faway", bundle(link=[{"relation": "next", "url": "//evil.example"}])
        ),
    }
    looping = says("?a=1", bundle(link=[{"relation": "next", "url": "?a=1"}]))

    def lie(url: str) -> httpx2.Response | None:
        return next((said for one in (*bad.values(), looping) if (said := one(url)) is not None), None)

    ehr = LyingEhr(*good, *({**visit(), "id": name} for name in bad), patient(), lie=lie)
    connected = UserEhr(ehr.client(), quirks.named("plain"))
    story = Story(folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="story-s1", day="2026-03-02",
                  ehr=(connected, connected))  # fmt: skip
    for name in (*bad, "a?b", "dee-visit"):
        ringing.rang(story.wiring, Sighting(encounter=f"Encounter/{name}", version="1"), found_by="hand")
    beat.answer_doorbells(story.wiring)
    beat.work(story.wiring)
    assert story.only_claim().encounter == "Encounter/dee-visit"
    kept = {json.loads(b.body)["encounter"].partition("/")[2]: b for b in story.wiring.store.doorbells_by("hand")}
    assert {name for name, bell in kept.items() if bell.outcome is Outcome.QUARANTINED} == {*bad, "a?b"}
    for name in (*bad, "a?b"):
        assert kept[name].say, name
        assert kept[name].findings[0]["key"] == "ehr-broke-contract"
