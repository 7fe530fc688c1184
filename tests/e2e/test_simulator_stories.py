"""The payer's side of the stories, by their own scenario files: bills lie in a folder, days pass, answers come with their sums.

What the other side of each story does with them is told in the stories' own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_billing import payers
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.remittance import out_of_balance
from fhir_billing.payers import ChannelSettings
from fhir_billing.simulator import Answer
from tests.unit.simulator.bills import bill, checks, kinds, lines, said, sets, statuses, visit

SCENARIOS = Path(__file__).resolve().parents[2] / "examples" / "scenarios"


class HandClock:
    """The time is what the test says it is."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def to(self, day: str) -> None:
        self.time = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)


class Payer:
    """A loopback channel with one scenario."""

    def __init__(self, root: Path, scenario: str) -> None:
        self.clock = HandClock()
        settings = ChannelSettings(root=root, clock=self.clock, scenario=SCENARIOS / f"{scenario}.yaml")
        self.channel = payers.channel("loopback", settings)
        self.sent = 0

    def send(self, day: str, *claims: Claim) -> None:
        self.clock.to(day)
        self.sent += 1
        self.channel.send(f"EXC01-837P-{self.sent:09d}.x12", bill(*claims, number=self.sent, at=self.clock.now()))

    def on(self, day: str) -> list[Answer]:
        """What comes on that day."""
        self.clock.to(day)
        return list(self._taken())

    def _taken(self) -> Iterator[Answer]:
        for one in self.channel.fetch():
            self.channel.took(one.token)
            yield Answer(name=one.name, body=one.body, after=self.clock.time - self.clock.time, why="")


@pytest.mark.parametrize("scenario", ["story-s1", "story-s13"])
def test_s1_a_clean_claim(scenario: str, tmp_path: Path) -> None:
    payer = Payer(tmp_path, scenario)
    ada = visit("Ada", ("99213", "125.00"), ("87880", "30.00"), member="EX100001")
    payer.send("2026-03-02", ada)
    at_once = payer.on("2026-03-02")
    assert kinds(at_once) == ["999", "277CA"]
    assert sets(at_once)[0].code == "A"
    assert statuses(at_once)[0].codes[0].category == "A1"
    assert statuses(payer.on("2026-03-03"))[0].codes[0].category == "A2"
    assert payer.on("2026-03-15") == []
    (check,) = checks(payer.on("2026-03-16"))
    assert lines(check.claims[0]) == [
        "99213 125.00 = 68.00 + CO-45 37.00 + PR-3 20.00",
        "87880 30.00 = 18.00 + CO-45 12.00",
    ]
    assert check.paid == 8600 and out_of_balance(check) == []


def test_s2_rejected_and_fixed(tmp_path: Path) -> None:
    payer = Payer(tmp_path, "story-s2")
    bo = visit("Bo", ("99213", "125.00"), ("36415", "12.50"), ("87880", "50.00"))
    payer.send("2026-03-02", bo, visit("Gus"))
    first = payer.on("2026-03-02")
    assert kinds(first) == ["999"] and sets(first)[0].code == "R"
    payer.send("2026-03-07", bo)
    second = payer.on("2026-03-07")
    assert kinds(second) == ["999", "277CA"] and sets(second)[0].code == "A"
    (turned,) = statuses(second)
    assert (turned.codes[0].category, turned.codes[0].status, turned.codes[0].entity) == ("A7", "562", "85")
    assert turned.action == "U"
    payer.send("2026-03-14", bo)
    assert [one.codes[0].category for one in statuses(payer.on("2026-03-14"))] == ["A1", "A2"]
    (check,) = checks(payer.on("2026-03-28"))
    assert said(check.claims[0]) == "1 187.50 paid 150.00 CO-45 37.50"


def test_s3_an_appeal_that_is_won(tmp_path: Path) -> None:
    payer = Payer(tmp_path, "story-s3")
    payer.send("2026-03-02", visit("Cy", ("70551", "1240.00"), payer="EXC02"))
    (denial,) = checks(payer.on("2026-03-16"))
    assert [said(one) for one in denial.claims] == ["1 1240.00 paid 0.00 CO-197 1240.00"]
    assert payer.on("2026-04-14") == []
    (won,) = checks(payer.on("2026-04-15"))
    assert [said(one) for one in won.claims] == [
        "22 -1240.00 paid 0.00 CO-197 -1240.00",
        "1 1240.00 paid 488.00 CO-45 630.00 PR-2 122.00",
    ]
    assert won.paid == 48800 and out_of_balance(won) == []


def test_s5_a_take_back_after_close(tmp_path: Path) -> None:
    payer = Payer(tmp_path, "story-s5")
    payer.send("2026-03-02", visit("Eli", ("99215", "220.00")))
    (paid,) = checks(payer.on("2026-03-16"))
    assert [said(one) for one in paid.claims] == ["1 220.00 paid 117.00 CO-45 78.00 PR-3 25.00"]
    assert payer.on("2026-07-01") == []
    payer.send("2026-07-02", visit("Oda", ("99215", "410.00")))
    (back,) = checks(payer.on("2026-07-16"))
    assert [said(one) for one in back.claims] == [
        "1 410.00 paid 300.00 CO-45 110.00",
        "22 -220.00 paid -117.00 CO-45 -78.00 PR-3 -25.00",
        "1 220.00 paid 0.00 PR-27 220.00",
    ]
    assert back.paid == 18300 and out_of_balance(back) == []
    payer.send("2026-07-20", visit("Eli", ("99215", "220.00"), payer="EXC02", number="C-ELI-2"))
    (found,) = checks(payer.on("2026-08-03"))
    assert [said(one) for one in found.claims] == ["1 220.00 paid 105.00 CO-45 90.00 PR-3 25.00"]


def test_the_demo_scenario_answers_everything_at_once(tmp_path: Path) -> None:
    payer = Payer(tmp_path, "demo")
    names = ("Ada", "Bo", "Cy", "Eli", "Zoe")
    payer.send("2026-03-02", *(visit(name, ("99213", "125.00"), ("87880", "30.00")) for name in names))
    found = payer.on("2026-03-02")
    assert found
    assert kinds(found)[0] == "999"
    assert payer.on("2026-12-31") == []
