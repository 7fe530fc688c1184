"""Reading an 835 to posted-ready values, against the three libraries that also read one.

Ours opens the envelopes, reads every claim, line and adjustment into domain values, checks dates and amounts, and adds up
lines, claims and the check. oxedi (Rust) stops at its own columns; x12sdk builds models; pyx12 validates.
"""

from __future__ import annotations

import io
import logging
from datetime import date, datetime, time
from typing import Any

import oxedi
import pyx12.params
from pyx12.x12n_document import x12n_document
from x12sdk.io import X12ModelReader

from bench.timing import median
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.examples import a_group, an_address
from fhir_billing.domain.money import show
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, Remittance
from fhir_billing.x12 import read_835, write_835
from fhir_billing.x12.envelope import read
from fhir_billing.x12.partners import Controls, Receiver, Sender

PROMISED = 5_000_000
"""Bytes a second."""


def a_file(claims: int) -> bytes:
    """An 835 that balances: two lines a claim, three adjustments a line, every amount another."""
    paid = date(2026, 2, 1)
    decided = tuple(_claim(number) for number in range(claims))
    group = a_group()
    one = Remittance(
        payer_id="1999999999", payer_name="EXAMPLE COMMERCIAL HEALTH", trace="TRACE-1", paid=sum(each.paid for each in decided),
        method="CHK", paid_on=paid, payee_npi=group.npi, payee_name=group.name, claims=decided,
    )  # fmt: skip
    return write_835.write(
        [one],
        sender=Sender(id="EXC01", name="Example Commercial Health", contact_phone="5555550111"),
        receiver=Receiver(id="EXAMPLE", name=group.name),
        controls=Controls(interchange=1, group=1),
        at=datetime.combine(paid, time(8)),
        payer_address=an_address(),
    )


def _claim(number: int) -> ClaimPayment:
    lines = tuple(_line(number, count) for count in (1, 2))
    return ClaimPayment(
        claim=f"C-{number:012d}", status="1", charge=sum(line.charge for line in lines), paid=sum(line.paid for line in lines),
        patient_share=4000, filing_indicator="12", icn=f"ICN{number:09d}", facility="11", frequency="1", lines=lines,
        patient_family=f"ZZTEST{number % 977}", patient_given="ANA", member_id=f"ZZT{number:07d}",
        served_from=date(2026, 1, 10), served_to=date(2026, 1, 10),
    )  # fmt: skip


def _line(number: int, count: int) -> LinePayment:
    paid = 5000 + number % 9973
    write_off = 1000 + number % 89
    reasons = ((Group.CO, "45", write_off), (Group.PR, "1", 1500), (Group.PR, "2", 500))
    return LinePayment(
        procedure="99213" if count == 1 else "36415", charge=paid + write_off + 2000, paid=paid, control=str(count),
        served_on=date(2026, 1, 10), allowed=paid + 2000,
        adjustments=tuple(Adjustment(group=group, reason=reason, amount=amount) for group, reason, amount in reasons),
    )  # fmt: skip


def ours(data: bytes) -> list[Remittance]:
    """All that happens before an 835 may post."""
    reading = read(data)
    assert reading.is_sound, reading.findings
    found = []
    for one in reading.sets:
        remittance, wrong = read_835.decode(one)
        assert not wrong
        assert not read_835.imbalances(one, remittance)
        found.append(remittance)
    return found


def by_oxedi(data: bytes) -> Any:
    """Its own columns, no Python value for a row."""
    return oxedi.parse(data)


def by_x12sdk(data: bytes) -> Any:
    """Its models."""
    with X12ModelReader(data.decode()) as reader:
        return list(reader.models())


def by_pyx12(data: bytes) -> bool:
    """Its verdict."""
    return bool(x12n_document(pyx12.params.params(), io.StringIO(data.decode()), io.StringIO(), None))


def measure() -> list[dict[str, Any]]:
    """Equal sums first, then medians."""
    small, large = a_file(100), a_file(28_500)
    logging.disable(logging.CRITICAL)  # pyx12 tells its troubles with its own 999
    try:
        _equal(small)
        _equal_to_oxedi(large)
        mine, mine_large = median(lambda: ours(small)), median(lambda: ours(large))
        rows = [
            _row("835 read, checked and balanced", mine_large / (len(large) / PROMISED), "5 MB/s", large, 28_500),
            _row(
                "835 to values",
                mine_large / median(lambda: by_oxedi(large)),
                "oxedi 0.6, to its own columns",
                large,
                28_500,
            ),
            _row("835 to values", mine / median(lambda: by_oxedi(small)), "oxedi 0.6, to its own columns", small, 100),
            _row("835 to values", mine / median(lambda: by_x12sdk(small), runs=3), "x12sdk 2.2 models", small, 100),
            _row(
                "835 read and checked", mine / median(lambda: by_pyx12(small), runs=3), "pyx12 4.0 verdict", small, 100
            ),
        ]
    finally:
        logging.disable(logging.NOTSET)
    return rows


def _row(name: str, ratio: float, against: str, data: bytes, claims: int) -> dict[str, Any]:
    sizes = f"{len(data) / 1_000_000:.2f} MB, {claims:,} claims"
    return {"name": name, "ratio": round(ratio, 4), "against": against, "sizes": sizes}


def _equal(data: bytes) -> None:
    (mine,) = ours(data)
    _equal_to_oxedi(data)
    (model,) = by_x12sdk(data)
    theirs = [claim.clp_segment for loop in model.loop_2000 for claim in loop.loop_2100]
    assert [one.patient_control_number for one in theirs] == [one.claim for one in mine.claims]
    assert [int(one.claim_payment_amount * 100) for one in theirs] == [one.paid for one in mine.claims]
    assert [int(one.total_claim_charge_amount * 100) for one in theirs] == [one.charge for one in mine.claims]
    assert by_pyx12(data), "pyx12 refuses what we read"
    broken = data.replace(b"SE*", b"SE*1", 1)
    assert not by_pyx12(broken)
    assert not read(broken).is_sound


def _equal_to_oxedi(data: bytes) -> None:
    (mine,) = ours(data)
    theirs = by_oxedi(data)
    assert not list(theirs.diagnostics), list(theirs.diagnostics)[:3]
    assert theirs.count_claims() == len(mine.claims)
    assert f"{theirs.sum_payments():.2f}" == show(mine.paid)
