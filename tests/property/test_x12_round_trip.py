"""What is written is read back as the same thing; what is hostile is refused with its place, and quickly."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_billing.domain.claim import (
    Adjustment,
    Claim,
    ClaimKind,
    Diagnosis,
    Drug,
    Frequency,
    Insurance,
    Party,
    Payer,
    Person,
    PriorPayment,
    ServiceLine,
)
from fhir_billing.domain.codes import Group
from fhir_billing.domain.examples import (
    a_claim,
    a_clinician,
    a_group,
    a_hospital_claim,
    a_person,
    an_address,
    an_insurance,
)
from fhir_billing.domain.remittance import ClaimPayment, LinePayment, ProviderAdjustment, Remittance
from fhir_billing.x12 import check, describe, read_835, read_837, read_acks
from fhir_billing.x12.elements import clean, money, read_money
from fhir_billing.x12.envelope import Refused, read
from fhir_billing.x12.grammar import rebuilt
from fhir_billing.x12.partners import phone
from tests.unit.x12.samples import a_remittance, a_secondary, sent, written

DAY = date(2026, 1, 1)
days = st.integers(0, 300).map(lambda n: DAY + timedelta(days=n))
words = st.text(st.characters(categories=("L", "N", "P", "Z")), min_size=1, max_size=24).filter(
    lambda text: 0 < len(clean(text)) <= 25  # one letter may become three
)
cities = words.filter(lambda text: len(clean(text)) > 1)
codes = st.from_regex(r"[A-Z0-9]{1,12}", fullmatch=True)
ids = st.from_regex(r"[A-Z0-9]{2,12}", fullmatch=True)
names = words.map(clean)
cents = st.integers(0, 9_999_999)
quantities = st.integers(1, 99_999).map(lambda n: Decimal(n) / 10)


# ---- 837 ----------------------------------------------------------------------------------------------------------


def people() -> st.SearchStrategy[Person]:
    return st.builds(
        a_person, family=words, given=words, middle=st.one_of(st.just(""), words), sex=st.sampled_from("MFU"), birth_date=days,
        address=st.builds(an_address, lines=st.lists(words, min_size=1, max_size=2).map(tuple), city=cities),
    )  # fmt: skip


def drugs() -> st.SearchStrategy[Drug]:
    return st.builds(
        Drug,
        ndc=st.from_regex(r"[0-9]{11}", fullmatch=True),
        quantity=quantities,
        unit=st.sampled_from(["UN", "ML", "GR"]),
    )


@st.composite
def service_lines(draw: st.DrawFn, professional: bool, most: int) -> tuple[ServiceLine, ...]:
    lines = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        begin = draw(days)
        end = begin + timedelta(days=draw(st.integers(0, 3)))
        pointers = draw(st.lists(st.integers(1, most), min_size=1, max_size=4, unique=True)) if professional else []
        lines.append(
            ServiceLine(
                number=number, procedure=draw(st.from_regex(r"[A-Z0-9][0-9]{3}[A-Z0-9]", fullmatch=True)),
                modifiers=tuple(draw(st.lists(st.from_regex(r"[A-Z0-9]{2}", fullmatch=True), max_size=4))),
                revenue_code="" if professional else draw(st.from_regex(r"0[1-9][0-9]{2}", fullmatch=True)), charge=draw(cents),
                units=draw(quantities), unit=draw(st.sampled_from(["UN", "MJ"] if professional else ["UN", "DA"])),
                served_from=begin, served_to=end, pointers=tuple(pointers), drug=draw(st.none() | drugs()),
                authorization=draw(st.just("") | codes) if professional else "", note=draw(st.just("") | names),
                place=draw(st.sampled_from(["", "22"])) if professional else "",
            )
        )  # fmt: skip
    return tuple(lines)


@st.composite
def earlier(draw: st.DrawFn, lines: tuple[ServiceLine, ...]) -> Insurance:
    decided = []
    for line in lines:
        paid = draw(st.integers(0, line.charge))
        off = (
            Adjustment(
                group=draw(st.sampled_from(Group)),
                reason=draw(st.sampled_from(["45", "1", "97"])),
                amount=line.charge - paid,
            ),
        )
        adjustments = off if line.charge - paid else ()
        decided.append(
            PriorPayment(
                line=line.number,
                paid=paid,
                adjustments=adjustments,
                paid_on=draw(days),
                procedure=line.procedure,
                units=line.units,
            )
        )
    return an_insurance(
        rank="P", payer=Payer(id=draw(ids), name=draw(words)), prior=tuple(decided), prior_icn=draw(st.just("") | codes),
        remaining=draw(st.none() | cents), relationship=draw(st.sampled_from(["18", "19"])), subscriber=draw(people()),
    )  # fmt: skip


@st.composite
def bills(draw: st.DrawFn) -> Claim:
    professional = draw(st.booleans())
    whole = a_claim() if professional else a_hospital_claim()
    dx = whole.diagnoses
    if professional:
        found = draw(
            st.lists(st.from_regex(r"[A-T][0-9]{2}[0-9A-Z]{0,4}", fullmatch=True), min_size=1, max_size=12, unique=True)
        )
        dx = tuple(Diagnosis(sequence=n, code=code) for n, code in enumerate(found, 1))
    lines = draw(service_lines(professional, len(dx)))
    own = draw(st.booleans())
    first = an_insurance(
        member_id=draw(ids), group_number=draw(st.just("") | codes), relationship="18" if own else "19", subscriber=draw(people()),
        payer=Payer(id="EXC01", name=draw(words)), filing_indicator=draw(st.sampled_from(["CI", "MB", "MC"])),
    )  # fmt: skip
    others = (draw(earlier(lines)),) if draw(st.booleans()) else ()
    frequency = draw(st.sampled_from([Frequency.ORIGINAL, Frequency.REPLACEMENT, Frequency.VOID]))
    return replace(
        whole, id=draw(st.from_regex(r"C-[A-Z0-9]{1,14}", fullmatch=True)), frequency=frequency,
        payer_icn="" if frequency is Frequency.ORIGINAL else draw(codes), patient=draw(people()), insurance=(first, *others),
        diagnoses=dx, lines=lines, authorization=draw(st.just("") | codes), referral=draw(st.just("") | codes), note=draw(st.just("") | words),
        patient_paid=draw(cents) if professional else 0, facility=draw(st.none() | st.just(a_group(name="Example Annex"))),
        referring=draw(st.none() | st.builds(a_clinician, family=words)), assigned=draw(st.sampled_from("ABC")),
    )  # fmt: skip


def on_the_wire(claim: Claim) -> Claim:
    """The claim as far as an 837 carries it: no chart references, letters as X12 has them."""
    professional = claim.kind is ClaimKind.PROFESSIONAL
    lines = tuple(replace(line, ref="", note=clean(line.note, 80)) for line in claim.lines)
    ends = [one for line in lines for one in (line.served_from, line.served_to) if one]
    patient = _person(claim.patient)
    first = _insurance(claim.insurance[0], patient)
    if first.relationship != "18":
        first = replace(
            first, subscriber=replace(first.subscriber, birth_date=None, sex="U", address=type(patient.address)())
        )
    dx = claim.diagnoses
    if professional:
        dx = tuple(
            replace(one, sequence=n, kind="other" if n > 1 else "principal", ref="") for n, one in enumerate(dx, 1)
        )
    else:
        order = ["principal", "other", "admitting"]
        dx = tuple(
            replace(one, sequence=n, ref="") for n, one in enumerate(sorted(dx, key=lambda d: order.index(d.kind)), 1)
        )
    rendering = None if claim.rendering is None or claim.rendering.npi == claim.billing.npi else _party(claim.rendering)
    return replace(
        claim, encounter="", patient=patient, lines=lines, diagnoses=dx, note=clean(claim.note, 80), replaces="",
        insurance=(first, *(_other(one, patient) for one in claim.insurance[1:])),
        billing=_party(claim.billing), rendering=rendering, attending=claim.attending and _party(claim.attending),
        operating=claim.operating and replace(_party(claim.operating), taxonomy=""),
        referring=claim.referring and replace(_party(claim.referring), taxonomy=""),
        facility=claim.facility and replace(_party(claim.facility), taxonomy="", tax_id="", phone=""),
        served_from=min(ends) if professional else claim.served_from, served_to=max(ends) if professional else claim.served_to,
    )  # fmt: skip


def _person(who: Person) -> Person:
    lines = tuple(clean(line, 55) for line in who.address.lines)
    address = replace(who.address, lines=lines, city=clean(who.address.city, 30))
    return replace(
        who, ref="", family=clean(who.family), given=clean(who.given), middle=clean(who.middle), address=address
    )


def _party(party: Party) -> Party:
    address = replace(
        party.address, lines=tuple(clean(line) for line in party.address.lines), city=clean(party.address.city)
    )
    return replace(
        party, ref="", name=clean(party.name), family=clean(party.family), given=clean(party.given), address=address,
        phone=phone(party.phone),
    )  # fmt: skip


def _insurance(one: Insurance, patient: Person) -> Insurance:
    subscriber = patient if one.relationship == "18" else _person(one.subscriber)
    return replace(
        one, ref="", active_from=None, active_to=None, payer=replace(one.payer, name=clean(one.payer.name)), subscriber=subscriber,
    )  # fmt: skip


def _other(one: Insurance, patient: Person) -> Insurance:
    known = _insurance(one, patient)
    return replace(known, subscriber=replace(known.subscriber, birth_date=None, sex="U"))


@given(bills())
def test_a_bill_is_read_back_as_the_same_bill(claim: Claim) -> None:
    data = sent(claim)
    assert read_837.claims(data) == [on_the_wire(claim)]
    assert check.check(read(data)) == []
    assert rebuilt(data) == data


# ---- 835 ----------------------------------------------------------------------------------------------------------


adjustments = st.lists(
    st.builds(
        Adjustment,
        group=st.sampled_from(Group),
        reason=st.sampled_from(["45", "1", "2", "97"]),
        amount=st.integers(-99_999, 99_999),
    ),
    max_size=9,
).map(lambda found: tuple(sorted(found, key=lambda one: one.group)))


@st.composite
def payments(draw: st.DrawFn) -> ClaimPayment:
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        paid, off = draw(cents), draw(adjustments)
        lines.append(
            LinePayment(
                procedure=draw(codes), modifiers=tuple(draw(st.lists(st.sampled_from(["25", "59"]), max_size=4))), paid=paid,
                charge=paid + sum(one.amount for one in off), adjustments=off, control=draw(codes), served_on=draw(st.none() | days),
                units=draw(quantities), remarks=tuple(draw(st.lists(codes, max_size=3))), allowed=draw(st.none() | cents),
            )
        )  # fmt: skip
    off = draw(adjustments)
    paid = sum(line.paid for line in lines) if lines else draw(cents)
    charge = paid + sum(one.amount for one in off) + sum(one.amount for line in lines for one in line.adjustments)
    return ClaimPayment(
        claim=draw(codes), status=draw(st.sampled_from(["1", "2", "19", "22"])), charge=charge, paid=paid, adjustments=off,
        lines=tuple(lines), patient_family=draw(names), patient_given=draw(names), member_id=draw(codes), icn=draw(codes),
        patient_share=draw(cents), served_from=draw(st.none() | days), remarks=tuple(draw(st.lists(codes, max_size=5))),
        next_payer=draw(st.just("") | names), interest=draw(cents),
    )  # fmt: skip


@st.composite
def remittances(draw: st.DrawFn) -> Remittance:
    found = tuple(draw(st.lists(payments(), max_size=4)))
    taken = tuple(
        ProviderAdjustment(
            reason=reason, reference=draw(codes), amount=draw(st.integers(-9999, 9999)), provider="1234567893"
        )
        for reason in draw(st.lists(st.sampled_from(["WO", "FB", "L6"]), max_size=8))
    )
    paid = sum(one.paid for one in found) - sum(one.amount for one in taken)
    return replace(
        a_remittance(), claims=found, provider_adjustments=taken, paid=paid, trace=draw(codes), control="0001"
    )


def without_places(one: Remittance) -> Remittance:
    claims = tuple(
        replace(payment, position=0, lines=tuple(replace(line, position=0) for line in payment.lines))
        for payment in one.claims
    )
    taken = tuple(replace(each, position=0) for each in one.provider_adjustments)
    return replace(one, position=0, digest="", claims=claims, provider_adjustments=taken)


@given(remittances())
def test_a_remittance_is_read_back_as_the_same_remittance(one: Remittance) -> None:
    data = written(one)
    (found,) = read_835.remittances(data)
    assert without_places(found) == one
    (raw,) = read(data).sets
    assert read_835.imbalances(raw, found) == []


@given(st.integers(-(10**12), 10**12))
def test_an_amount_is_written_in_the_one_way_that_is_read(amount: int) -> None:
    assert read_money(money(amount)) == amount


# ---- hostile ------------------------------------------------------------------------------------------------------


def everything(data: bytes) -> None:
    """Every reader on these bytes: a value, or a refusal that names a place."""
    told, complaints = describe.tell("hostile", data)
    assert told["interchanges"] or complaints
    check.check(read(data))
    refusals = [
        str(refusal)
        for reader in (read_835.remittances, read_837.claims, read_acks.acknowledgments)
        if (refusal := refusal_of(reader, data))
    ]
    assert all("segment " in said for said in refusals)
    if told["interchanges"]:
        assert rebuilt(data) == data


def refusal_of(reader: Callable[[bytes], object], data: bytes) -> Refused | None:
    try:
        reader(data)
    except Refused as refusal:
        return refusal
    return None


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    everything(data)


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    whole = [sent(a_claim(), a_claim(id="C-2")), sent(a_secondary()), sent(a_hospital_claim()), written(a_remittance())]
    for _ in range(60):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            match chance.randint(0, 4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 200)]
                case 2:
                    data[at:at] = bytes(
                        chance.choice([b"*", b"~", b":", b"^", b"ISA*", b"\xff", b"~SE*1*1~", b"HL*1*1*22~"])
                    )
                case 3:
                    data[at:at] = data[max(0, at - 150) : at]
                case _:
                    data[at:at] = b"9" * chance.randint(1, 40)
            if not data:
                break
        everything(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"ISA*" * 100_000,
        written(a_remittance()).replace(b"CAS*CO*45*15", b"CAS*CO*" + b"9" * 1_000_000),
        written(a_remittance()).replace(b"TRACE-1", b"X" * 3_000_000),
        (written(a_remittance())[:106] + b"~" * 1_000_000),
        written(a_remittance())[:106] + b"GS*HP~ST*835~" * 20_000,
        sent(a_claim()).replace(b"HL*2*1*22*0~", b"HL*2*1*22*0~" * 20_000),
    ],
    ids=["many ISA", "long element", "long trace", "terminators", "never closed", "many levels"],
)
@pytest.mark.timeout(30)
def test_a_file_made_to_hurt_is_refused_in_time(data: bytes) -> None:
    everything(data)
