"""Visits are read ahead, a few at a time, and each is handed over once, as it was read."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from fhir_billing.cycle.ports import EhrReader
from fhir_billing.domain.errors import EhrUnavailable
from fhir_billing.worker.ahead import Ahead


class Reader:
    """An EHR that counts who asks at once."""

    def __init__(self, ill: str = "") -> None:
        self.ill = ill
        self.read: list[str] = []
        self.now = self.most = 0
        self._lock = threading.Lock()
        self.others = threading.Event()

    def gather(self, encounter: str) -> list[dict[str, Any]]:
        with self._lock:
            self.read.append(encounter)
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now > 1:
                self.others.set()
        self.others.wait(0.02)
        with self._lock:
            self.now -= 1
        if encounter == self.ill:
            raise EhrUnavailable("the EHR does not answer")
        return [{"id": encounter}]


def test_a_few_are_read_at_once_and_each_is_had_once() -> None:
    reader = Reader()
    ehr = cast("EhrReader", reader)
    visits = [f"Encounter/{n}" for n in range(20)]
    with Ahead(ehr, visits, 3) as ahead:
        assert [ahead.gather(ehr, visit)[0]["id"] for visit in visits] == visits
    assert sorted(reader.read) == sorted(visits)
    assert 1 < reader.most <= 3


def test_one_that_fails_fails_for_itself_alone() -> None:
    ehr = cast("EhrReader", Reader(ill="Encounter/1"))
    with Ahead(ehr, ["Encounter/0", "Encounter/1", "Encounter/2"], 4) as ahead:
        assert ahead.gather(ehr, "Encounter/0")
        with pytest.raises(EhrUnavailable):
            ahead.gather(ehr, "Encounter/1")
        assert ahead.gather(ehr, "Encounter/2")


def test_what_is_left_out_hinders_nobody_and_the_unexpected_is_read_now() -> None:
    reader = Reader()
    ehr = cast("EhrReader", reader)
    with Ahead(ehr, [f"Encounter/{n}" for n in range(9)], 2) as ahead:
        for n in range(8):
            ahead.leave(f"Encounter/{n}")
        assert ahead.gather(ehr, "Encounter/8")
        assert ahead.gather(ehr, "Encounter/another")
    assert reader.read == ["Encounter/8", "Encounter/another"]


@pytest.mark.parametrize("at_once", [0, 1])
def test_an_ehr_that_is_asked_one_by_one_is_asked_one_by_one(at_once: int) -> None:
    reader = Reader()
    ehr = cast("EhrReader", reader)
    with Ahead(ehr, ["Encounter/0", "Encounter/1"], at_once) as ahead:
        assert ahead.gather(ehr, "Encounter/0")
        assert reader.read == ["Encounter/0"]
