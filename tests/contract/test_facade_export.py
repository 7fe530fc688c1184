"""Everything in one go: the files hold what a search finds, for the app that asked, for an hour."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fhir_billing.cycle.published import OF_A_PATIENT, PARAMS
from fhir_billing.fhir.text import loads
from tests.contract.facade import House

ASIDE = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(folder=tmp_path_factory.mktemp("export"))
    made.app("taker", "system/*.rs")
    made.app("narrow", "system/Task.rs", "system/Claim.r")
    made.paid("ada", "bo", "cy")
    with made.open():
        yield made


@pytest.fixture
def taker(house: House) -> Iterator[httpx2.Client]:
    with house.client("taker") as client:
        yield client


def done(client: httpx2.Client, path: str, **params: str) -> tuple[str, dict[str, Any]]:
    begun = client.get(path, params=params, headers=ASIDE)
    assert begun.status_code == 202, begun.text
    place = begun.headers["content-location"]
    for _ in range(200):
        answer = client.get(place)
        if answer.status_code == 200:
            return place, loads(answer.content)
        assert answer.status_code == 202, answer.text
        assert answer.headers["retry-after"] and answer.headers["x-progress"]
        time.sleep(0.02)
    raise AssertionError("it was never done")


def lines(client: httpx2.Client, manifest: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for output in manifest["output"]:
        answer = client.get(output["url"])
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        found[output["type"]] = [loads(line) for line in answer.content.splitlines()]
        assert len(found[output["type"]]) == output["count"]
    return found


def test_the_files_hold_what_a_search_finds(house: House, taker: httpx2.Client) -> None:
    place, manifest = done(taker, "$export")
    files = lines(taker, manifest)
    assert manifest["requiresAccessToken"] is True and manifest["error"] == []
    assert manifest["request"] == f"{house.fhir}/$export"
    for kind in PARAMS:
        page = loads(taker.get(kind, params={"_count": "200"}).content)
        assert files[kind] == [entry["resource"] for entry in page["entry"]], kind
    kept = list(house.folder.rglob("*.ndjson"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in kept} == {0o700}
    assert taker.delete(place).status_code == 202
    assert taker.get(place).status_code == 404
    assert list(house.folder.rglob("*.ndjson")) == []


def test_an_export_of_patients_has_what_is_theirs(taker: httpx2.Client) -> None:
    _, manifest = done(taker, "Patient/$export", _outputFormat="application/fhir+ndjson")
    assert {output["type"] for output in manifest["output"]} == OF_A_PATIENT


def test_types_and_a_moment_narrow_it(house: House, taker: httpx2.Client) -> None:
    _, manifest = done(taker, "$export", _type="Task,Claim")
    assert [output["type"] for output in manifest["output"]] == ["Task", "Claim"]
    house.story.clock.time += timedelta(seconds=2)
    _, nothing = done(taker, "$export", _type="Task", _since=manifest["transactionTime"])
    assert nothing["output"] == []
    house.paid("dee")
    _, new = done(taker, "$export", _type="Task", _since=manifest["transactionTime"])
    assert [row["for"]["reference"].rpartition("/")[2] for row in lines(taker, new)["Task"]] == ["dee"]


def test_it_begins_by_post_too(taker: httpx2.Client) -> None:
    asked = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Claim,Task"}]}
    begun = taker.post("$export", json=asked, headers=ASIDE)
    assert begun.status_code == 202
    while (answer := taker.get(begun.headers["content-location"])).status_code == 202:
        time.sleep(0.02)
    assert [output["type"] for output in answer.json()["output"]] == ["Claim", "Task"]
    several: tuple[Any, ...] = (
        {"parameter": 1},
        [],
        {"resourceType": "Parameters", "parameter": [{"name": "_typo", "valueString": "x"}]},
    )
    for wrong in several:
        assert taker.post("$export", json=wrong, headers=ASIDE).status_code == 400


def test_only_the_app_that_began_it_may_read_it(house: House, taker: httpx2.Client) -> None:
    place, manifest = done(taker, "$export", _type="Task")
    with house.client("narrow", "system/Task.rs system/Claim.r") as other:
        for answer in (other.get(place), other.get(manifest["output"][0]["url"]), other.delete(place)):
            assert answer.status_code == 404
        assert other.get("$export", params={"_type": "Claim"}, headers=ASIDE).status_code == 403
        _, own = done(other, "$export")
        assert [output["type"] for output in own["output"]] == ["Task"]
    assert httpx2.get(place).status_code == 401
    assert httpx2.get(manifest["output"][0]["url"]).status_code == 401
    assert taker.get(place + "/../../etc").status_code == 404
    assert taker.get(f"{place}/Claim.ndjson").status_code == 404


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ({}, {}),
        ({"_typeFilter": "Task?status=x"}, ASIDE),
        ({"_type": "Patient"}, ASIDE),
        ({"_since": "yesterday"}, ASIDE),
        ({"_outputFormat": "csv"}, ASIDE),
    ],
)
def test_what_is_not_offered_is_refused(taker: httpx2.Client, params: dict[str, str], headers: dict[str, str]) -> None:
    assert taker.get("$export", params=params, headers=headers).status_code == 400


def test_it_ends_after_an_hour(house: House, taker: httpx2.Client, tmp_path: Path) -> None:
    place, _ = done(taker, "$export", _type="Task")
    house.story.clock.time += timedelta(seconds=3601)
    with house.client("taker") as client:
        assert client.get(place).status_code == 404
