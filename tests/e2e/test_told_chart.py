"""A chart that was edited, emptied or told by two programs at once ends as the book says, and `sync` says what differed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_billing.cli import main
from fhir_billing.domain.lifecycle import State
from fhir_billing.ehr.connect import Ehr, EhrSettings, connect
from fhir_billing.ehr.rungs import ladder
from fhir_billing.ehr.sync import strays, sync
from fhir_billing.ehr.teller import Teller
from fhir_billing.ehr.write import find, proof
from fhir_billing.fhir.ours import CLAIM_NUMBER, TAG
from fhir_billing.worker import beat
from tests.contract.test_rungs import a_number
from tests.contract.test_rungs import told as example
from tests.e2e import charts
from tests.e2e.servers import settings_of
from tests.e2e.story import Story

KINDS = ("Claim", "ClaimResponse", "ExplanationOfBenefit", "Task")


@pytest.fixture(params=["sekmet", "sekmet_smart", "ci_ehr"])
def connection(request: pytest.FixtureRequest) -> EhrSettings:
    found: Any = request.getfixturevalue(request.param)
    return settings_of(found)


@pytest.fixture
def ehr(connection: EhrSettings) -> Iterator[Ehr]:
    made = connect(connection)[0]
    clean(made)
    for name in ("clinic", "ada"):
        made.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    yield made
    clean(made)
    for name in ("clinic", "ada"):
        made.client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})


def clean(ehr: Ehr) -> None:
    """The chart forgets what we wrote: a server restored to an older day."""
    for kind in (*KINDS, "Communication", "DocumentReference"):
        for one in list(ehr.client.search(kind, {"_count": "200"})):
            if any(row.get("system") == CLAIM_NUMBER for row in one.get("identifier") or []):
                ehr.client.request("DELETE", f"{kind}/{one['id']}")


@pytest.fixture
def story(tmp_path: Path, ehr: Ehr) -> Story:
    """Ada's visit has closed; her claim is paid in the book; the chart has been told by the first rung."""
    made = Story(
        folder=tmp_path, database=f"sqlite:///{tmp_path / 'book.db'}", scenario="story-s1", day="2026-03-02", ehr=(ehr, ehr)
    )  # fmt: skip
    visit = ehr.client.read("Encounter/ada-visit")
    ehr.client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    made.rang("Encounter/ada-visit")
    return made


def to_the_end(story: Story) -> None:
    """The claim leaves and is paid."""
    story.send()
    story.collect()
    story.clock.to("2026-03-16", 15)
    story.collect()
    beat.relay(story.wiring)


def teller(story: Story) -> Teller:
    found = story.wiring.teller
    assert found is not None
    return found


def changes(story: Story, **more: Any) -> list[tuple[str, str]]:
    return [(line.kind, line.what) for line in sync(teller(story), **more)]


def test_a_chart_that_forgot_everything_is_told_again_and_a_second_time_nothing_differs(story: Story, ehr: Ehr) -> None:
    to_the_end(story)
    number = story.only_claim().number
    assert set(proof(ehr.client, number)) == set(KINDS)
    assert changes(story) == [], "what the chart was told is what the book says"
    clean(ehr)
    assert {kind for kind, what in changes(story, check=True) if what == "created"} >= set(KINDS)
    assert proof(ehr.client, number) == {}, "a check writes nothing"
    assert {kind for kind, what in changes(story) if what == "created"} >= set(KINDS)
    again = proof(ehr.client, number)
    assert set(again) == set(KINDS)
    assert again["Task"]["focus"]["reference"] == f"Claim/{again['Claim']['id']}"
    assert changes(story) == []
    assert changes(story, check=True) == []


def test_an_edited_task_is_found_out_and_put_right(story: Story, ehr: Ehr) -> None:
    to_the_end(story)
    number = story.only_claim().number
    living = proof(ehr.client, number)["Task"]
    ehr.client.update({**living, "status": "failed"}, version=living["meta"]["versionId"])
    assert changes(story, claim=number, check=True) == [("Task", "updated")]
    assert changes(story, encounter="Encounter/ada-visit") == [("Task", "updated")]
    assert proof(ehr.client, number)["Task"]["status"] == "completed"
    assert changes(story) == []


def test_what_the_book_does_not_know_is_a_stray_and_cancelled_only_when_asked(story: Story, ehr: Ehr) -> None:
    beat.relay(story.wiring)
    number = a_number()
    ladder()[0].write(ehr.client, example(number, State.SENT), {})

    def mine() -> list[tuple[str, str]]:
        return [(line.kind, line.what) for line in strays(teller(story)) if line.claim == number]

    assert sorted(mine()) == [("Claim", "stray"), ("Task", "stray")]
    assert sorted(mine()) == [("Claim", "stray"), ("Task", "stray")]
    list(strays(teller(story), clean=True))
    found = find(ehr.client, "Task", number)
    assert found is not None and found["status"] == "cancelled"
    assert mine() == []


def test_a_living_document_is_one_after_the_whole_story_and_another_rung_takes_back_what_was_told_before(
    story: Story, ehr: Ehr
) -> None:
    beat.relay(story.wiring)
    number = story.only_claim().number
    story.wiring.settings.ehr_rung = "document"
    to_the_end(story)
    (one,) = [
        d for d in ehr.client.search("DocumentReference", {"identifier": f"{CLAIM_NUMBER}|{number}"}) if d.get("id")
    ]
    page = base64.b64decode(one["content"][0]["attachment"]["data"]).decode()
    assert "Paid" in page and "86.00" in page and "20.00" in page
    assert ("Task", "cancelled") in changes(story)
    assert changes(story) == []
    story.wiring.settings.ehr_rung = "claim-and-response"
    assert ("Task", "updated") in changes(story)
    assert proof(ehr.client, number)["Task"]["status"] == "completed"


WORKER = """
import sys
from fhir_billing.wiring import wire
from fhir_billing.worker import beat
wiring = wire()
wiring.store
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    beat.relay(wiring)
"""


def test_two_workers_tell_one_chart_once(story: Story, ehr: Ehr, connection: EhrSettings) -> None:
    number = story.only_claim().number
    env = {
        "FHIR_BILLING_DATABASE": story.database,
        "FHIR_BILLING_CHANNELS": str(story.folder / "channels"),
        "FHIR_BILLING_EHR_URL": connection.url,
        "FHIR_BILLING_EHR_CLIENT_ID": connection.client_id,
        "FHIR_BILLING_EHR_KEY_ID": connection.key_id,
        "FHIR_BILLING_EHR_TOKEN_URL": connection.token_url,
        "FHIR_BILLING_EHR_SCOPES": connection.scopes,
        **({"FHIR_BILLING_EHR_KEY": str(connection.key)} if connection.key else {}),
    }
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "REDIS_URL": "", **env},
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    (task,) = ehr.client.search("Task", {"identifier": f"{CLAIM_NUMBER}|{number}"})
    past = ehr.client.request("GET", f"Task/{task['id']}/_history").json()
    assert len(past["entry"]) == 1, "made once, and never written again"
    assert story.wiring.store.due(story.clock.now()) == []


def test_the_command_says_what_it_changed_one_line_each(
    story: Story, ehr: Ehr, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to_the_end(story)
    monkeypatch.setattr("fhir_billing.cli.opening.wire", lambda: story.wiring)
    assert main(["sync", "--check"]) == 0
    clean(ehr)
    number = story.only_claim().number
    assert main(["sync", "--claim", number, "--check"]) == 1
    capsys.readouterr()
    assert main(["sync", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(row["claim"], row["kind"], row["what"]) for row in rows} >= {(number, kind, "created") for kind in KINDS}
    assert main(["sync", "--check"]) == 0
    assert main(["sync", "--claim", "C-NOTHERE"]) == 1


def test_the_claims_page_knows_by_which_rung_the_chart_was_told_and_when_or_why_not(story: Story, ehr: Ehr) -> None:
    number = story.only_claim().number
    page = story.wiring.views.claim(number)
    assert page is not None and page.charted is not None
    assert page.charted.at is None and page.charted.say == "it waits to leave"
    beat.relay(story.wiring)
    page = story.wiring.views.claim(number)
    assert page is not None and page.charted is not None
    assert page.charted.say.startswith("claim-and-response: Task created")
    assert page.charted.at is not None


def signatures(ehr: Ehr) -> list[str]:
    """What each Provenance of ours is about, last."""
    rows = ehr.client.search("Provenance", {"_tag": f"{TAG['system']}|{TAG['code']}"})
    return [one["target"][-1]["reference"] for one in rows if one.get("resourceType") == "Provenance"]


def test_a_task_that_is_made_anew_leaves_no_signature_of_the_old_one(story: Story, ehr: Ehr) -> None:
    to_the_end(story)
    number = story.only_claim().number
    old = proof(ehr.client, number)["Task"]["id"]
    before = signatures(ehr)
    assert f"Task/{old}" in before
    ehr.client.request("DELETE", f"Task/{old}")
    assert ("Task", "created") in changes(story)
    new = proof(ehr.client, number)["Task"]["id"]
    after = signatures(ehr)
    assert f"Task/{new}" in after
    assert f"Task/{old}" not in after
    assert len(after) == len(before)


def test_the_command_says_what_it_would_do_and_a_stray_that_stays_is_no_success(
    story: Story, ehr: Ehr, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to_the_end(story)
    monkeypatch.setattr("fhir_billing.cli.opening.wire", lambda: story.wiring)
    task = proof(ehr.client, story.only_claim().number)["Task"]
    ehr.client.update({**task, "status": "failed"}, version=task["meta"]["versionId"])
    assert main(["sync", "--check"]) == 1
    said = capsys.readouterr()
    assert "would update" in said.out
    assert "1 differs: 1 would change" in said.err
    assert main(["sync"]) == 0
    assert "1 changed" in capsys.readouterr().err
    ladder()[0].write(ehr.client, example(a_number(), State.SENT), {})
    assert main(["sync"]) == 1
    assert "2 strays left" in capsys.readouterr().err
    assert main(["sync", "--clean"]) == 0
    assert "2 changed" in capsys.readouterr().err
    assert main(["sync", "--check"]) == 0
    assert "nothing differs" in capsys.readouterr().err
