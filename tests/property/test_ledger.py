"""Money neither appears nor vanishes: whatever a payer sends, in whatever order and however often, every book sums to zero."""

from __future__ import annotations

from datetime import date
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain import ledger, posting
from fhir_billing.domain.claim import Adjustment
from fhir_billing.domain.codes import Group
from fhir_billing.domain.ledger import Ledger
from fhir_billing.domain.money import allocate, cents, show
from fhir_billing.domain.posting import Bucket, CarcTable
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, ProviderAdjustment, Remittance, out_of_balance

ON = date(2026, 3, 16)
AMOUNTS = st.integers(min_value=0, max_value=5_000_000)
TABLE = CarcTable(
    rows={
        ("CO", "45"): Bucket.CONTRACTUAL,
        ("CO", "197"): Bucket.DISPUTED,
        ("PR", "1"): Bucket.PATIENT,
        ("PR", "3"): Bucket.PATIENT,
        ("OA", "23"): Bucket.PRIOR_PAYER,
    }
)
REASONS = st.sampled_from(
    [("CO", "45"), ("CO", "197"), ("PR", "1"), ("PR", "3"), ("OA", "23"), ("PI", "999"), ("CR", "7")]
)


@st.composite
def adjustments(draw: st.DrawFn) -> tuple[Adjustment, ...]:
    rows = draw(st.lists(st.tuples(REASONS, AMOUNTS), max_size=4))
    return tuple(Adjustment(group=Group(group), reason=reason, amount=amount) for (group, reason), amount in rows)


@st.composite
def decisions(draw: st.DrawFn, name: str) -> ClaimPayment:
    """A CLP that balances at line and at claim level."""
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        off, paid = draw(adjustments()), draw(AMOUNTS)
        lines.append(
            LinePayment(procedure="99213", charge=paid + sum(a.amount for a in off), paid=paid, adjustments=off)
        )
    off, more = draw(adjustments()), 0 if lines else draw(AMOUNTS)
    paid = sum(line.paid for line in lines) + more - (sum(a.amount for a in off) if lines else 0)
    charge = paid + sum(a.amount for a in off) + sum(a.amount for line in lines for a in line.adjustments)
    return ClaimPayment(claim=name, status="1", charge=charge, paid=paid, adjustments=off, lines=tuple(lines))


@st.composite
def remittances(draw: st.DrawFn) -> Remittance:
    payments = tuple(draw(decisions(f"C-{number}")) for number in range(draw(st.integers(1, 4))))
    taken = tuple(
        ProviderAdjustment(reason=reason, reference="ref", amount=amount)
        for reason, amount in draw(
            st.lists(st.tuples(st.sampled_from(["L6", "WO", "CT", "XX"]), st.integers(-100_000, 100_000)), max_size=3)
        )
    )
    paid = sum(p.paid for p in payments) - sum(t.amount for t in taken)
    return Remittance(
        payer_id="EXC01", payer_name="Example", trace=str(draw(st.integers(1, 9))), paid=paid, claims=payments,
        provider_adjustments=taken, digest=f"{draw(st.integers(0, 2**63)):016x}" * 4,
    )  # fmt: skip


def journals(remittance: Remittance) -> list[ledger.Journal]:
    """Everything that a remittance posts."""
    found = [
        posting.payment_decided(remittance, n, table=TABLE, claim=p.claim, payer="EXC01", patient="Patient/x", on=ON)
        for n, p in enumerate(remittance.claims)
    ]
    found += [posting.provider_adjusted(remittance, n, on=ON) for n in range(len(remittance.provider_adjustments))]
    return [journal for journal in found if journal]


@given(remittances())
def test_a_remittance_that_balances_posts_journals_that_sum_to_zero(remittance: Remittance) -> None:
    assert out_of_balance(remittance) == []
    for journal in journals(remittance):
        assert sum(p.amount for p in journal.postings) == 0


@given(remittances(), st.integers(1, 99_999))
def test_a_cent_too_much_anywhere_is_found(remittance: Remittance, cent: int) -> None:
    from dataclasses import replace

    assert out_of_balance(replace(remittance, paid=remittance.paid + cent))
    first = replace(remittance.claims[0], paid=remittance.claims[0].paid + cent)
    assert out_of_balance(replace(remittance, claims=(first, *remittance.claims[1:])))


@given(st.lists(remittances(), max_size=3, unique_by=lambda r: r.digest), st.randoms(use_true_random=False))
def test_any_order_with_any_repetition_gives_the_same_balances(some: list[Remittance], chance: Random) -> None:
    once = [journal for remittance in some for journal in journals(remittance)]
    again = once + [journal for journal in once if chance.random() < 0.5]
    chance.shuffle(again)
    assert Ledger(once).balances() == Ledger(again).balances()
    assert sum(Ledger(again).balances().values()) == 0


@given(remittances())
def test_what_is_posted_and_taken_back_leaves_nothing(remittance: Remittance) -> None:
    from dataclasses import replace

    def negated(found: tuple[Adjustment, ...]) -> tuple[Adjustment, ...]:
        return tuple(replace(a, amount=-a.amount) for a in found)

    taken = replace(
        remittance,
        digest="f" * 64,
        paid=-sum(p.paid for p in remittance.claims),
        provider_adjustments=(),
        claims=tuple(
            replace(
                p, status="22", charge=-p.charge, paid=-p.paid, adjustments=negated(p.adjustments),
                lines=tuple(replace(x, charge=-x.charge, paid=-x.paid, adjustments=negated(x.adjustments)) for x in p.lines),
            )
            for p in remittance.claims
        ),
    )  # fmt: skip
    first = replace(remittance, provider_adjustments=(), paid=sum(p.paid for p in remittance.claims))
    assert out_of_balance(taken) == []
    assert Ledger([*journals(first), *journals(taken)]).balances() == {}


@given(st.integers(-10_000_000, 10_000_000), st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any))
def test_shares_of_an_amount_add_up_to_it(amount: int, weights: list[int]) -> None:
    shares = allocate(amount, weights)
    assert sum(shares) == amount
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if not weight)


@given(st.integers(-(10**12), 10**12))
def test_an_amount_is_read_as_it_is_shown(amount: int) -> None:
    assert cents(show(amount)) == amount
