"""EHRs forbid, ignore and throttle: behind a proxy with other manners, a real EHR is found to do just what it then does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fhir_billing.cycle.conformance import Conformance, Found
from fhir_billing.ehr.check import Wanted, check
from fhir_billing.ehr.connect import EhrSettings, connect
from tests.contract.other_manners import OtherManners
from tests.contract.test_ehr import load as load_charts

if TYPE_CHECKING:
    from tests.conftest import Sekmet


@pytest.fixture(scope="module")
def behind(sekmet: Sekmet) -> Iterator[str]:
    """A real EHR with closed visits."""
    client = connect(EhrSettings(url=sekmet.url))[0].client
    load_charts(client)
    for name in ("ada", "bo"):
        visit = client.read(f"Encounter/{name}-visit")
        client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    yield sekmet.url
    load_charts(client)


@contextmanager
def mannered(behind: str, **manners: Any) -> Iterator[OtherManners]:
    proxy = OtherManners(behind, **manners)
    yield proxy
    proxy.close()


def tried(proxy: OtherManners, *, patient: str = "ada", writes: bool = True) -> tuple[Conformance, dict[str, Found]]:
    run = check(EhrSettings(url=proxy.url), Wanted(writes=writes, patient=patient), datetime.now(UTC))
    return run, {row.key: row.found for row in run.interactions}


def test_an_ehr_that_searches_visits_by_patient_only_is_swept(behind: str) -> None:
    def refuse(method: str, path: str, query: dict[str, str]) -> int:
        return 400 if (method, path) == ("GET", "Encounter") and not {"patient", "_id"} & set(query) else 0

    with mannered(behind, refuse=refuse) as proxy:
        run, rows = tried(proxy)
        assert rows["search-visit"] is Found.PARTLY
        assert rows["search-by-last-updated"] is Found.MISSING
        assert rows["read-visit"] is Found.WORKS
        assert "sweep" in run.triggers
        assert "poll" not in run.triggers
        assert run.is_usable()
        blind, _ = tried(proxy, patient="", writes=False)
    assert not blind.is_usable(), "without a patient to look by nothing is known"


def test_an_ehr_that_deletes_nothing_keeps_marked_probes_and_that_is_said(behind: str) -> None:
    with mannered(behind, refuse=lambda method, path, query: 405 if method == "DELETE" else 0) as proxy:
        run, rows = tried(proxy)
    assert rows["write-task"] is Found.WORKS
    left = run.facts["left"]
    client = connect(EhrSettings(url=behind))[0].client
    for sentence in left.split("; "):
        place = sentence.split(" ")[0]
        held = client.read(place)
        assert held["status"] in {"entered-in-error", "off"}, sentence
        assert "conformance-probe" in json.dumps(held, default=str), "only ours"
        client.request("DELETE", place)
    assert "Subscription/" in left
    assert "asleep (off)" in left


def test_an_ehr_that_looks_at_no_version_and_makes_things_twice_is_found_out(behind: str) -> None:
    with mannered(behind, no_headers=("if-match", "if-none-exist", "if-none-match")) as proxy:
        run, rows = tried(proxy)
    assert rows["if-match"] is Found.IGNORED
    assert rows["if-none-exist"] is Found.IGNORED
    assert rows["conditional-read"] is Found.IGNORED
    assert run.facts["if-match"] == "ignored"
    assert "left" not in run.facts, "what was made twice is taken away twice"


def test_a_search_that_ignores_its_words_is_found_out(behind: str) -> None:
    with mannered(behind, without=("_include", "_revinclude", "_lastUpdated", "_sort")) as proxy:
        run, rows = tried(proxy, writes=False)
    assert rows["search-includes"] is Found.IGNORED
    assert rows["search-by-last-updated"] is Found.IGNORED
    assert run.gathering == "batch"
    assert run.triggers == ("poll",), "what changed cannot be asked for, and all can"


def test_an_ehr_without_batch_is_read_singly_and_one_that_takes_documents_only_gets_documents(behind: str) -> None:
    def refuse(method: str, path: str, query: dict[str, str]) -> int:
        if "_include" in query:
            return 400
        return 403 if method == "POST" and path != "DocumentReference" else 0

    with mannered(behind, refuse=refuse) as proxy:
        run, rows = tried(proxy)
    assert rows["batch"] is Found.FORBIDDEN
    assert run.gathering == "singly"
    assert run.rung == "document"
    assert rows["transaction"] is Found.FORBIDDEN


def test_an_ehr_that_takes_nothing_has_our_page_alone(behind: str) -> None:
    with mannered(behind, refuse=lambda method, path, query: 403 if method in {"POST", "PUT"} and path else 0) as proxy:
        run, rows = tried(proxy)
    assert run.rung == "page-only"
    assert {rows[key] for key in rows if key.startswith("write-")} == {Found.FORBIDDEN}
    assert run.triggers == ("poll",)


def test_an_ehr_that_asks_us_to_slow_down_is_asked_again_when_it_said(behind: str) -> None:
    with mannered(behind) as proxy:
        proxy.throttle = 1
        run, rows = tried(proxy, writes=False)
    assert rows["metadata"] is Found.WORKS
    assert run.is_usable()
