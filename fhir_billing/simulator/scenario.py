"""Who gets which answer is a list of rules: the first that fits a claim decides it, and a claim that none fits is paid.

A scenario is handed in as plain mappings of text; `read_scenario` refuses what it does not understand, with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fhir_billing.domain.claim import Address, Claim
from fhir_billing.domain.money import Money, NotMoney, cents, show
from fhir_billing.simulator import behaviours
from fhir_billing.simulator.parameters import Parameters, wrong
from fhir_billing.simulator.pricing import ANY, Terms, read_terms
from fhir_billing.simulator.verdict import Decide, Delays
from fhir_billing.x12.elements import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A payer or clearinghouse as it signs its files. `number` stands in TRN03: 1 and nine digits."""

    id: str
    name: str
    number: str
    address: Address = field(
        default_factory=lambda: Address(lines=("1 Example Plaza",), city="Sampleton", state="MA", zip="999990001")
    )
    phone: str = "5555550199"


def face(payer: str, name: str = "") -> Face:
    """A payer of whom the scenario says nothing: its number is made from its id."""
    digits = int(sha256(payer.encode()).hexdigest()[:12], 16) % 10_000_000
    return Face(id=payer, name=name or payer, number=f"199{digits:07d}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a claim fits all of `tests`, `decide` decides it."""

    number: int
    name: str
    decide: Decide
    tests: tuple[Callable[[Claim, int], bool], ...] = ()
    by_attempt: bool = False
    """It speaks of a certain attempt: then a bill sent again is no duplicate."""

    def fits(self, claim: Claim, attempt: int) -> bool:
        """Whether this rule decides the claim."""
        return all(test(claim, attempt) for test in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How clearinghouse and payers answer."""

    name: str = "pays"
    delays: Delays = field(default_factory=Delays)
    clearinghouse: Face = field(default_factory=lambda: face("EXHUB", "Example Clearinghouse"))
    faces: Mapping[str, Face] = field(default_factory=dict)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    strict: bool = True
    """Bills are held against the guides as a clearinghouse does, before anybody decides them."""

    def rule(self, claim: Claim, attempt: int) -> Rule:
        """The first rule that fits; what no rule fits is paid."""
        return next((rule for rule in self.rules if rule.fits(claim, attempt)), _OTHERWISE)

    def face(self, payer: str, name: str = "") -> Face:
        """How a payer signs."""
        return self.faces.get(payer) or face(payer, name)

    def terms_of(self, payer: str) -> Terms:
        """A payer's schedule, else everybody's."""
        return self.terms.get(payer) or self.terms.get(ANY) or Terms()


_OTHERWISE = Rule(number=0, name="pays", decide=behaviours.prepared("pays", Parameters("rules", {}), "rules"))


def read_scenario(content: Mapping[str, Any]) -> Scenario:
    """A scenario from its file's content; raises `MappingInvalid` with the place of the first thing that is wrong."""
    top = Parameters("file", content)
    found = Scenario(
        name=top.text("scenario", "scenario"),
        delays=_delays(top.below("delays")),
        clearinghouse=_face(top.below("clearinghouse"), "EXHUB", "Example Clearinghouse"),
        faces=_faces(top.below("payers")),
        terms=_terms(top.below("terms")),
        rules=tuple(_rule(count, one) for count, one in enumerate(top.listed("rules"), 1)),
        strict=top.flag("strict", default=True),
    )
    top.text("about")
    top.done()
    return found


def _delays(given: Parameters) -> Delays:
    usual = Delays()
    found = Delays(
        acknowledged=given.after("acknowledged") or timedelta(0),
        received=_or(given.after("received"), usual.received),
        accepted=_or(given.after("accepted"), usual.accepted),
        decided=_or(given.after("decided"), usual.decided),
    )
    given.done()
    return found


def _or(found: timedelta | None, usual: timedelta) -> timedelta:
    return usual if found is None else found


def _face(given: Parameters, payer: str, name: str) -> Face:
    usual = face(given.text("id", payer), given.text("name", name))
    found = Face(
        id=usual.id, name=usual.name, number=given.text("number", usual.number), phone=given.text("phone", usual.phone)
    )
    given.done()
    if not (len(found.number) == 10 and found.number.isdigit()):
        raise wrong(given.place("number"), f"{found.number!r} is not 1 and a tax id's nine digits")
    return found


def _faces(given: Parameters) -> dict[str, Face]:
    return {str(payer): _face(given.below(str(payer)), str(payer), str(payer)) for payer in given.values}


def _terms(given: Parameters) -> dict[str, Terms]:
    """Everybody's terms stand under `*`; a payer's are laid over them."""
    payers = sorted((str(payer) for payer in given.values), key=lambda payer: payer != ANY)
    found: dict[str, Terms] = {}
    for payer in payers:
        one = given.below(payer)
        found[payer] = read_terms(one)(found.get(ANY) or Terms())
        one.done()
    return found


def _rule(number: int, given: Parameters) -> Rule:
    when = given.below("when")
    tests = tuple(_TESTS[name](when, name) for name in _TESTS if when.has(name))
    when.done()
    name = given.text("does", "pays")
    found = Rule(
        number=number,
        name=name,
        decide=behaviours.prepared(name, given.below("with"), given.place("does")),
        tests=tests,
        by_attempt=when.has("attempt"),
    )
    given.text("because")
    given.done()
    return found


# ---- what a rule may ask -------------------------------------------------------------------------------------------

Test = Callable[[Claim, int], bool]


def _any_of(words: Callable[[Claim], Sequence[str]]) -> Callable[[Parameters, str], Test]:
    """One of the words given is one of the claim's."""

    def make(when: Parameters, name: str) -> Test:
        wanted = {clean(text) for text in when.texts(name)}
        return lambda claim, attempt: any(clean(word) in wanted for word in words(claim) if word)

    return make


def _patient_words(claim: Claim) -> Sequence[str]:
    who = claim.patient
    return who.given, who.family, f"{who.given} {who.family}"


def _begins(when: Parameters, name: str) -> Test:
    starts = tuple(text.upper() for text in when.texts(name))
    return lambda claim, attempt: claim.id.upper().startswith(starts)


def _attempt(when: Parameters, name: str) -> Test:
    wanted = when.number(name, 1)
    return lambda claim, attempt: attempt == wanted


def _charge(when: Parameters, name: str) -> Test:
    """`155.00`, `> 1000` or `< 50`."""
    text = when.text(name)
    sign = text[0] if text[0] in "<>" else "="
    try:
        amount = cents(text.lstrip("<>= "))
    except NotMoney as fault:
        raise wrong(when.place(name), str(fault), f"write {show(15500)}, > 1000 or < 50") from fault
    return lambda claim, attempt: _compare(sign, claim.charge, amount)


def _compare(sign: str, charge: Money, amount: Money) -> bool:
    return charge > amount if sign == ">" else charge < amount if sign == "<" else charge == amount


_TESTS: dict[str, Callable[[Parameters, str], Test]] = {
    "payer": _any_of(lambda claim: (claim.payer.id, claim.payer.name)),
    "patient": _any_of(_patient_words),
    "family": _any_of(lambda claim: (claim.patient.family,)),
    "given": _any_of(lambda claim: (claim.patient.given,)),
    "member": _any_of(lambda claim: (claim.insurance[0].member_id,)),
    "procedure": _any_of(lambda claim: [word for line in claim.lines for word in (line.procedure, line.revenue_code)]),
    "diagnosis": _any_of(lambda claim: [one.code for one in claim.diagnoses]),
    "kind": _any_of(lambda claim: (claim.kind.value,)),
    "rank": _any_of(lambda claim: (claim.insurance[0].rank,)),
    "frequency": _any_of(lambda claim: (claim.frequency.value,)),
    "claim": _begins,
    "charge": _charge,
    "attempt": _attempt,
}
