"""Many charts are open side by side in one browser, tokens end and are renewed, and no page ever shows another's patient.

Seeded, so that a failure can be had again: CAMPAIGN_CHARTS says how many rounds (`make campaign`), three in an ordinary run.
"""

from __future__ import annotations

import copy
import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_billing.fhir.text import dumps, loads
from tests.e2e import charts

if TYPE_CHECKING:
    from tests.attacks.conftest import Between, Visitor
    from tests.attacks.other_ehr import OtherEhr

ROUNDS = int(os.environ.get("CAMPAIGN_CHARTS", "3"))
STEPS = 24
REPORT = Path(__file__).resolve().parents[2] / ".cache" / "campaign" / "charts.json"


def admit(ehr: OtherEhr, number: int) -> str:
    """One more patient of this EHR, under a launch id of their own; the name that only their pages may show."""
    own = copy.deepcopy(charts.bundle("ada.json"))
    text = dumps(own).decode()
    for resource in own:
        kind, name = resource["resourceType"], resource["id"]
        text = text.replace(f'"{kind}/{name}"', f'"{kind}/{name}-{number}"')
        text = text.replace(f'"id":"{name}"', f'"id":"{name}-{number}"')
    family = f"Zztest{number}q"
    for resource in loads(text.encode()):
        if resource["resourceType"] == "Patient":
            resource["name"][0]["family"] = family
        ehr.chart[f"{resource['resourceType']}/{resource['id']}"] = resource
    ehr.launches[f"launch-{number}"] = {"patient": f"ada-{number}", "encounter": f"ada-visit-{number}"}
    return family


def opened(visitor: Visitor, ehr: OtherEhr, number: int) -> str:
    """Open this patient's chart; its handle."""
    before = set(visitor.cookies)
    began = visitor.get(f"/launch?{ehr.launch(f'launch-{number}')}").headers["location"]
    visitor.arrived(visitor.get(f"/launch/back?{ehr.back(began)}"))
    (name,) = {name for name in set(visitor.cookies) - before if name.startswith("v-")}
    return name.removeprefix("v-")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_page_ever_shows_the_chart_of_another_tab(between: Between, seed: int) -> None:
    dice = random.Random(seed)
    ehr, visitor = between.honest, between.visitor()
    ehr.lives = (20, 3600)[seed % 2]  # a token that ends this soon is renewed at each reading
    names: dict[str, str] = {}
    did: Counter[str] = Counter()
    for step in range(STEPS):
        if len(names) < 2 or dice.random() < 0.15:
            number = seed * 1000 + step
            family = admit(ehr, number)
            names[opened(visitor, ehr, number)] = family
            did["opened"] += 1
            continue
        handle = dice.choice(list(names))
        view = dice.choice(["visit?again=1", "visit?again=1", "visit", "bills", "questions"])
        answer = visitor.get(f"/v/{handle}/{view}")
        others = [name for other, name in names.items() if other != handle and name in answer.text]
        assert others == [], f"seed {seed}, step {step}: {view} of {names[handle]} shows {others}"
        assert answer.status_code == 200, f"seed {seed}, step {step}: {view} {answer.status_code}"
        assert not view.startswith("visit") or names[handle] in answer.text
        did[view] += 1
    did["renewed"] = sum(form.get("grant_type") == "refresh_token" for form in ehr.forms)
    assert ehr.stolen == [], "a refresh token was used twice"
    assert (did["renewed"] > 0) is (ehr.lives < 3600)
    _report(seed, did)


def test_pages_that_renew_at_the_same_moment_use_one_refresh_token_once(between: Between) -> None:
    ehr, visitor = between.honest, between.visitor()
    ehr.lives = 31
    admit(ehr, 1)
    handle = opened(visitor, ehr, 1)
    time.sleep(1.5)
    ehr.lives = 3600
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(visitor.get(f"/v/{handle}/visit").status_code)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert ehr.stolen == []
    assert sum(form.get("grant_type") == "refresh_token" for form in ehr.forms) == 1


def test_an_ehr_that_ends_a_session_ends_it_here(between: Between) -> None:
    ehr, visitor = between.honest, between.visitor()
    ehr.lives = 31
    handle = visitor.launch(ehr)
    time.sleep(1.5)
    ehr._refresh.clear()
    answer = visitor.get(f"/v/{handle}/visit")
    assert 400 <= answer.status_code < 500
    assert "again from the chart" in answer.text
    assert "Zztest" not in answer.text


def test_a_session_ends_when_the_ehr_opens_another_chart(between: Between) -> None:
    ehr, visitor = between.honest, between.visitor()
    ehr.lives = 31
    admit(ehr, 1)
    admit(ehr, 2)
    handle = opened(visitor, ehr, 1)
    time.sleep(1.5)
    ehr.launches["launch-1"] = ehr.launches["launch-2"]
    answer = visitor.get(f"/v/{handle}/visit")
    assert 400 <= answer.status_code < 500
    assert "Zztest" not in answer.text


def _report(seed: int, did: Counter[str]) -> None:
    """What a campaign did, a line a round."""
    if "CAMPAIGN_CHARTS" not in os.environ:
        return
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    line: dict[str, Any] = {"seed": seed, **did}
    with REPORT.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
