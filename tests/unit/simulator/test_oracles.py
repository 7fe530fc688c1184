"""Two strangers read what the simulator writes: pyx12 validates against its maps, x12sdk builds its models."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
import pyx12.params
from pyx12.x12n_document import x12n_document
from x12sdk.io import X12ModelReader

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_hospital_claim
from fhir_billing.simulator import Answer, SimState, answer, behaviours
from tests.unit.simulator.bills import AT, bill, one_rule, visit

MAPPED = ("TA1", "999", "277CA", "835")
"""Kinds for which pyx12 has a map."""
MODELLED = ("277", "835")
"""Kinds for which x12sdk has models."""
BILLS: dict[str, tuple[Claim, ...]] = {
    "office": (visit("Ada", ("99213", "125.00"), ("87880", "30.00")), visit("Bo")),
    "stay": (a_hospital_claim(),),
}


def everything(name: str, claims: tuple[Claim, ...]) -> list[Answer]:
    """All that a behaviour writes, a later file included."""
    first, state = answer(bill(*claims), one_rule(name), AT, SimState())
    second, _ = answer(bill(visit("Cy"), number=2), one_rule(name), AT, state)
    return [*first, *second]


def pyx12_says(data: bytes) -> bool:
    logging.disable(logging.CRITICAL)
    try:
        return bool(x12n_document(pyx12.params.params(), io.StringIO(data.decode()), io.StringIO(), None))
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", BILLS)
@pytest.mark.parametrize("name", behaviours.names())
def test_both_strangers_read_every_answer(name: str, kind: str, tmp_path: Path) -> None:
    for one in everything(name, BILLS[kind]):
        kind_of_answer = one.name.split("-")[1]
        assert kind_of_answer in {*MAPPED, *MODELLED}
        if kind_of_answer in MAPPED:
            assert pyx12_says(one.body), f"{one.name}\n{one.body.decode()}"
        if kind_of_answer in MODELLED:
            path = tmp_path / one.name
            path.write_bytes(one.body)
            with X12ModelReader(str(path)) as reader:
                assert len(list(reader.models())) == 1


def test_pyx12_reads_a_999_that_names_places() -> None:
    broken = bill(visit("Ada")).replace(b"CLM*C-ADA*125", b"CLM*C-ADA*124").replace(b"D8*20260302", b"D8*20260230")
    (found,) = answer(broken, one_rule("pays"), AT, SimState())[0]
    assert pyx12_says(found.body), found.body.decode()


def test_pyx12_reads_interest_and_a_forwarded_balance() -> None:
    rule = one_rule("takes-back", later="0", against="same-file", interest="1.50")
    first, state = answer(bill(visit("Eli")), rule, AT, SimState())
    second, _ = answer(bill(visit("Ada"), number=2), rule, AT, state)
    for one in (*first, *second):
        assert pyx12_says(one.body), one.body.decode()
