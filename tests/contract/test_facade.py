"""Other apps read our record by FHIR over real HTTP: what they see is R4, and what they may not see they do not get."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from fhir_billing.cycle.published import PARAMS
from fhir_billing.ehr.connect import connect
from fhir_billing.fhir.r4 import complaints
from fhir_billing.fhir.text import loads
from tests.conftest import PEERS
from tests.contract.facade import CHART, House
from tests.e2e.servers import settings_of


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(folder=tmp_path_factory.mktemp("facade"))
    made.app("reader", "system/*.rs")
    made.app("narrow", "system/Claim.r", "system/Task.rs", alg="RS384")
    made.paid("ada", "bo", "cy", "dee")
    with made.open():
        yield made


@pytest.fixture
def reader(house: House) -> Iterator[httpx2.Client]:
    with house.client("reader") as client:
        yield client


def found(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in loads(answer.content).get("entry", [])]


@pytest.mark.parametrize("kind", PARAMS)
def test_every_type_is_read_back_as_it_was_found_and_is_right_r4(reader: httpx2.Client, kind: str) -> None:
    page = reader.get(kind, params={"_count": "200"})
    assert complaints(loads(page.content)) == []
    rows = found(page)
    assert rows
    for row in rows:
        assert complaints(row) == [], row["id"]
        again = reader.get(f"{kind}/{row['id']}")
        assert loads(again.content) == row
        assert again.headers["etag"] == f'W/"{row["meta"]["versionId"]}"'
        assert again.headers["cache-control"] == "no-store"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_a_reference_leads_to_us_or_to_the_chart_by_its_whole_address(reader: httpx2.Client) -> None:
    seen = set()
    for kind in PARAMS:
        for row in found(reader.get(kind, params={"_count": "200"})):
            for reference in references(row):
                if reference.startswith(("#", f"{CHART}/")):
                    continue
                assert reader.get(reference).status_code == 200, f"{kind}: {reference}"
                seen.add(reference.partition("/")[0])
    assert {"Claim", "ClaimResponse", "Coverage"} <= seen


def test_money_keeps_its_cents(reader: httpx2.Client) -> None:
    (claim,) = found(reader.get("ExplanationOfBenefit", params={"patient": "Patient/ada"}))
    assert str(claim["payment"]["amount"]["value"]) == "124.00"
    (account,) = found(reader.get("Account", params={"patient": f"{CHART}/Patient/ada"}))
    assert [e["extension"][0]["valueCode"] for e in account["extension"]] == ["payer", "patient"]


def test_a_search_narrows_by_each_of_its_parameters(reader: httpx2.Client) -> None:
    (task,) = found(reader.get("Task", params={"patient": "ada"}))
    number = task["id"]
    updated = task["meta"]["lastUpdated"]
    for params in (
        {"_id": number},
        {"identifier": f"https://fhir-billing.example/fhir/NamingSystem/claim-number|{number}"},
        {"identifier": number, "status": "completed"},
        {"encounter": "Encounter/ada-visit"},
        {"focus": f"Claim/{number}"},
        {"patient": "ada", "business-status": "adjudicated"},
        {"patient": "ada", "_lastUpdated": updated},
        {"patient": "ada,nobody", "_lastUpdated": f"ge{updated}"},
    ):
        assert [t["id"] for t in found(reader.get("Task", params=params))] == [number], params
    for params in (
        {"patient": "ada", "status": "draft"},
        {"patient": "ada", "_lastUpdated": f"gt{updated}"},
        {"identifier": f"urn:other|{number}"},
        {"patient": "nobody"},
    ):
        assert found(reader.get("Task", params=params)) == [], params
    assert found(reader.get("Claim", params={"patient": "ada", "created": "ge2020"}))
    assert not found(reader.get("ClaimResponse", params={"patient": "ada", "created": "lt2020"}))


def test_pages_show_everything_once(house: House, reader: httpx2.Client) -> None:
    for kind in PARAMS:
        whole = [r["id"] for r in found(reader.get(kind, params={"_count": "200"}))]
        paged: list[str] = []
        answer = reader.get(kind, params={"_count": "1", "_total": "accurate"})
        while True:
            body = loads(answer.content)
            assert body["total"] == len(whole)
            paged += [entry["resource"]["id"] for entry in body["entry"]]
            further = [link["url"] for link in body["link"] if link["relation"] == "next"]
            if not further:
                break
            answer = reader.get(further[0])
        assert paged == whole, kind
        assert reader.get(kind, params={"_summary": "count"}).json()["total"] == len(whole)
    word = further_of(reader.get("Task", params={"_count": "1"}))
    with house.client("narrow", "system/Task.rs") as other:
        assert other.get(word).status_code == 400, "a page is of the app that searched"
    assert reader.get(word.replace("_count=1", "_count=2")).status_code == 200
    assert reader.get(word + "&patient=ada").status_code == 400
    assert reader.get(word[:-3] + "abc").status_code == 400


def further_of(answer: httpx2.Response) -> str:
    return next(str(link["url"]) for link in answer.json()["link"] if link["relation"] == "next")


def test_what_is_not_known_is_refused_unless_leniency_is_asked_for(reader: httpx2.Client) -> None:
    refused = reader.get("Task", params={"patient": "ada", "colour": "Zztest"})
    assert refused.status_code == 400
    assert "Zztest" not in refused.text and complaints(refused.json()) == []
    lenient = reader.get("Task", params={"patient": "ada", "colour": "x"}, headers={"Prefer": "handling=lenient"})
    assert len(found(lenient)) == 1
    assert "colour" not in next(link["url"] for link in lenient.json()["link"])
    for bad in ({"_lastUpdated": "yesterday"}, {"_count": "many"}, {"_summary": "text"}, {"patient": ""}):
        assert reader.get("Task", params=bad).status_code == 400, bad
    assert reader.get("Patient/ada").status_code == 404
    assert reader.get("Claim/C-000000000000").status_code == 404
    assert reader.get("Claim/..%2f..%2fetc").status_code == 404
    assert reader.get("Task", params={"_format": "xml"}).status_code == 406
    assert reader.get("Task", headers={"Accept": "application/fhir+xml"}).status_code == 406
    assert reader.put("Task/x", json={}).status_code in {404, 405}


def test_post_search_head_and_a_known_version(reader: httpx2.Client) -> None:
    assert len(found(reader.post("Task/_search", data={"patient": "ada"}))) == 1
    (task,) = found(reader.get("Task", params={"patient": "ada"}))
    head = reader.head(f"Task/{task['id']}")
    assert head.status_code == 200 and head.content == b""
    same = reader.get(f"Task/{task['id']}", headers={"If-None-Match": head.headers["etag"]})
    assert same.status_code == 304 and same.content == b""
    assert reader.get(f"Task/{task['id']}", headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_a_table_translates_one_code(reader: httpx2.Client) -> None:
    maps = found(reader.get("ConceptMap", params={"_count": "200"}))
    one = next(m for m in maps if m.get("group"))
    group = one["group"][0]
    said = reader.get(
        f"ConceptMap/{one['id']}/$translate",
        params={"code": group["element"][0]["code"], "system": group.get("source", "")},
    )
    assert complaints(said.json()) == []
    assert said.json()["parameter"][0]["valueBoolean"] is True


def test_the_capability_statement_needs_no_token_and_says_what_is_here(house: House) -> None:
    said = httpx2.get(f"{house.fhir}/metadata").json()
    assert complaints(said) == []
    assert {r["type"] for r in said["rest"][0]["resource"]} == {*PARAMS, "Subscription"}
    smart = httpx2.get(f"{house.fhir}/.well-known/smart-configuration").json()
    assert smart["token_endpoint"] == f"{house.url}/auth/token"


def test_a_client_that_nobody_here_wrote_signs_in_searches_turns_pages_and_takes_a_bulk_export(house: House) -> None:
    done = subprocess.run(
        [str(PEERS / "medplum-client.sh")],
        env={**os.environ, "BASE": house.url, "STATEMENT": house.statement("reader")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = loads(done.stdout)
    number = said["claim"]
    assert said["pages"] >= 4 and number in said["tasks"]
    assert len(said["tasks"]) == len(set(said["tasks"]))
    assert (said["status"], str(said["paid"]), said["coverage"]) == ("Paid", "124", f"{number}.ada-plan")
    assert said["refused"] == "not-supported"
    assert said["bulk"] == ["Task"] and said["lines"] == said["tasks"]


@pytest.mark.parametrize("kind", PARAMS)
def test_a_server_that_nobody_here_wrote_takes_each_type_as_right_r4(
    reader: httpx2.Client, ci_ehr: dict[str, str], kind: str
) -> None:
    settings = settings_of(ci_ehr)
    judge = connect(settings)[0].client
    for row in found(reader.get(kind, params={"_count": "10"})):
        entry = {"resource": row, "request": {"method": "POST", "url": kind}}
        answer = judge.batch({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
        response = answer["entry"][0]["response"]
        assert str(response["status"]).startswith("201"), f"{row['id']}: {response}"


# who may


def test_without_a_good_token_nothing_is_read(house: House) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer " + "A" * 43},
    ):
        answer = httpx2.get(f"{house.fhir}/Task", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    with house.client("reader") as client:
        handle = client.headers["authorization"].partition(" ")[2]
    assert httpx2.get(f"{house.fhir}/Task", params={"access_token": handle}).status_code == 401


def test_a_token_is_good_for_its_scopes_and_no_more(house: House) -> None:
    answer = house.ask_token("narrow", "system/Claim.rs system/*.cruds patient/*.rs")
    assert set(answer.json()["scope"].split()) == {"system/Claim.r", "system/Task.rs"}
    assert house.ask_token("narrow", "system/Claim.read").json()["scope"] == "system/Claim.r"
    assert house.ask_token("narrow", "system/Task.read").json()["scope"] == "system/Task.read"
    with house.client("narrow", "system/Claim.r system/Task.rs") as client:
        (task, *_) = found(client.get("Task"))
        assert client.get(f"Claim/{task['id']}").status_code == 200
        refused = client.get("Claim")
        assert refused.status_code == 403 and "insufficient_scope" in refused.headers["www-authenticate"]
        assert client.get("Coverage").status_code == 403
        assert client.post("Claim/_search", data={}).status_code == 403


def attacks(house: House) -> dict[str, str]:
    now = int(house.story.clock.now().timestamp())
    used = house.statement("reader")
    assert house.ask_token("reader", "system/*.rs", statement=used).status_code == 200
    unsigned = house.statement("reader").split(".")
    import base64
    import json

    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "reader"}).encode()).decode().rstrip("=")
    return {
        "used before": used,
        "for another address": house.statement("reader", aud="https://other.example/auth/token"),
        "for nearly this address": house.statement("reader", aud=f"{house.url}/auth/token/"),
        "for several": house.statement("reader", aud=[f"{house.url}/auth/token", "https://other.example"]),
        "over": house.statement("reader", exp=now - 120, iat=now - 300),
        "for too long": house.statement("reader", exp=now + 3600),
        "not yet": house.statement("reader", nbf=now + 200),
        "without an end": house.statement("reader", exp=None),
        "without a number": house.statement("reader", jti=None),
        "signed by another app": house.statement("reader", key="narrow", header={"kid": "reader"}),
        "by another app's kid": house.statement("reader", key="narrow", header={"kid": "narrow"}),
        "in another's name": house.statement("narrow", sub="reader-client"),
        "by nobody known": house.statement("reader", iss="stranger", sub="stranger"),
        "not signed": f"{none}.{unsigned[1]}.",
        "with its signature cut": f"{unsigned[0]}.{unsigned[1]}.",
        "no statement": "x.y.z",
    }


def test_a_statement_that_is_not_for_here_and_now_and_once_gives_no_token(house: House) -> None:
    for what, statement in attacks(house).items():
        answer = house.ask_token("reader", "system/*.rs", statement=statement)
        assert answer.status_code == 401, what
        assert answer.json()["error"] == "invalid_client", what
        assert answer.headers["cache-control"] == "no-store"


def test_the_token_endpoint_refuses_in_oauths_words(house: House) -> None:
    url = f"{house.url}/auth/token"
    assert httpx2.post(url, data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    assert httpx2.post(url, json={}).json()["error"] == "invalid_request"
    assert house.ask_token("narrow", "system/Coverage.rs").json()["error"] == "invalid_scope"
    assert house.ask_token("narrow", "").json()["scope"] == "system/Claim.r system/Task.rs", "what the file says"
    twice = httpx2.post(
        url,
        content=b"grant_type=client_credentials&grant_type=x",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert twice.json()["error"] == "invalid_request"


def test_an_app_with_a_secret_proves_itself_with_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHER_SECRET", "s3cret of a watcher")
    house.app("watcher", "system/Task.rs", secret_env="WATCHER_SECRET")
    url, form = f"{house.url}/auth/token", {"grant_type": "client_credentials", "scope": "system/Task.rs"}
    right = httpx2.post(url, data=form, auth=("watcher-client", "s3cret of a watcher"))
    assert right.status_code == 200
    in_form = {**form, "client_id": "watcher-client", "client_secret": "s3cret of a watcher"}
    assert httpx2.post(url, data=in_form).status_code == 200
    assert httpx2.post(url, data=form, auth=("watcher-client", "wrong")).status_code == 401
    assert httpx2.post(url, data={**in_form, "client_secret": ""}).status_code == 401
    monkeypatch.delenv("WATCHER_SECRET")
    assert httpx2.post(url, data={**in_form, "client_secret": ""}).status_code == 401


def test_a_token_ends_after_five_minutes_and_with_its_app(house: House) -> None:
    before = house.story.clock.time
    house.app("leaver", "system/Task.rs")
    with house.client("leaver") as client:
        assert client.get("Task").status_code == 200
        (house.apps / "leaver.yaml").unlink()
        house.story.wiring.__dict__.pop("apps")
        assert client.get("Task").status_code == 401
    from datetime import timedelta

    with house.client("reader") as client:
        house.story.clock.time += timedelta(seconds=301)
        assert client.get("Task").status_code == 401
    house.story.clock.time = before + timedelta(seconds=302)


def test_a_tenants_token_opens_no_other_tenant(house: House, tmp_path: Path) -> None:
    other = House(folder=tmp_path, name="other")
    other.app("reader", "system/*.rs")
    with other.open(), other.client("reader") as client:
        assert client.get("Task").status_code == 200
        assert found(client.get("Task")) == []
        handle = client.headers["authorization"]
    assert httpx2.get(f"{house.fhir}/Task", headers={"Authorization": handle}).status_code == 401


def test_each_read_is_in_the_audit_trail(house: House, reader: httpx2.Client) -> None:
    (task,) = found(reader.get("Task", params={"patient": "ada"}))
    reader.get(f"Claim/{task['id']}")
    with house.story.wiring.store.reading() as connection:
        rows = connection.execute(text("select who, what, about from audit order by id desc limit 2")).all()
    assert [tuple(row) for row in rows] == [
        ("app:reader", "read", f"Claim/{task['id']}"),
        ("app:reader", "search", f"Task/{task['id']}"),
    ]
    assert house.story.wiring.store.verify_audit() is None
