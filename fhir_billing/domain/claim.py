"""A claim is one bill to one payer for one visit; the secondary's bill and a replacement are new claims.

What an 837 needs and nothing else, in the trade's words: no FHIR, no X12. Dates are local to the site.
Spec: 005010X222A1 and 005010X223A2 loops 2000A to 2430 (by the public maps named in docs/x12.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from fhir_billing.domain.codes import Group
from fhir_billing.domain.money import Money


class ClaimKind(StrEnum):
    """Which bill it is: a professional's, or an institution's."""

    PROFESSIONAL = "837P"
    INSTITUTIONAL = "837I"


class Frequency(StrEnum):
    """CLM05-3: 1 original, 7 replaces the whole claim, 8 voids it; 2 to 4 bill a stay in parts (hospitals only)."""

    ORIGINAL = "1"
    FIRST_PART = "2"
    NEXT_PART = "3"
    LAST_PART = "4"
    REPLACEMENT = "7"
    VOID = "8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A place in the world. `zip` is five or nine digits, or empty when the chart has none."""

    lines: tuple[str, ...] = ()
    city: str = ""
    state: str = ""
    zip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or an organization named on a claim. A person has a `family`; an organization has a `name`."""

    ref: str = ""
    """The chart's reference, such as `Organization/123`."""
    name: str = ""
    family: str = ""
    given: str = ""
    middle: str = ""
    suffix: str = ""
    npi: str = ""
    tax_id: str = ""
    tax_id_kind: str = "EI"
    """EI employer, SY social security (REF01)."""
    taxonomy: str = ""
    address: Address = Address()
    phone: str = ""

    @property
    def is_person(self) -> bool:
        """NM102: 1 a person, 2 not."""
        return bool(self.family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient or a subscriber."""

    ref: str = ""
    family: str = ""
    given: str = ""
    middle: str = ""
    suffix: str = ""
    birth_date: date | None = None
    sex: str = "U"
    """M, F or U (DMG03)."""
    address: Address = Address()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who is asked to pay. `id` is the payer's id at the clearinghouse (NM1*PR NM109) and names its file in mappings/payers."""

    id: str
    name: str
    address: Address = Address()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Why money was not paid: group, reason (CARC), amount, and the quantity if one was given. Spec: CAS."""

    group: Group
    reason: str
    amount: Money
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorPayment:
    """What an earlier payer said of this claim or line (2320 CAS/AMT, 2430 SVD/CAS). `line` 0 is the whole claim."""

    line: int = 0
    paid: Money = 0
    adjustments: tuple[Adjustment, ...] = ()
    paid_on: date | None = None
    procedure: str = ""
    units: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insurance:
    """One coverage as billed. `rank` is P, S or T (SBR01); `relationship` is 18 when the patient is the subscriber."""

    ref: str = ""
    rank: str = "P"
    payer: Payer
    filing_indicator: str = "CI"
    """SBR09, from the table claim-filing-indicator."""
    member_id: str = ""
    group_number: str = ""
    group_name: str = ""
    insurance_type: str = ""
    """SBR05 when Medicare is not primary."""
    relationship: str = "18"
    """PAT01 of the patient to the subscriber: 18 self, 01 spouse, 19 child, G8 other."""
    subscriber: Person = Person()
    active_from: date | None = None
    active_to: date | None = None
    prior: tuple[PriorPayment, ...] = ()
    """What this payer has already said, when it is not the one asked now."""
    prior_icn: str = ""
    remaining: Money | None = None
    """AMT*EAF: what the patient still owed after this payer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A diagnosis in billing order. `code` is ICD-10-CM without dot; `kind` principal, other, admitting, reason or external."""

    sequence: int
    code: str
    kind: str = "other"
    present_on_admission: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InpatientProcedure:
    """An ICD-10-PCS procedure with its date (HI*BBR, BBQ)."""

    code: str
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Drug:
    """LIN and CTP: an 11-digit NDC with its quantity and unit (UN, ML, GR, ME, F2)."""

    ndc: str
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLine:
    """One service as billed. `pointers` index the claim's diagnoses from 1; `units` count in `unit` (UN units, MJ minutes, DA days)."""

    number: int
    procedure: str = ""
    modifiers: tuple[str, ...] = ()
    revenue_code: str = ""
    charge: Money = 0
    units: Decimal = Decimal(1)
    unit: str = "UN"
    served_from: date | None = None
    served_to: date | None = None
    pointers: tuple[int, ...] = ()
    place: str = ""
    """Only when it differs from the claim's."""
    drug: Drug | None = None
    authorization: str = ""
    note: str = ""
    ref: str = ""
    """The chart's resource this line was billed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accident:
    """CLM11 and DTP*439: AA auto (with state), EM employment, OA other."""

    cause: str
    on: date
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What a hospital bill says of the stay (CL1, DTP*435, DTP*096, HI*DR and friends)."""

    admission_type: str = ""
    admission_source: str = ""
    patient_status: str = ""
    admitted_at: datetime | None = None
    discharged_at: datetime | None = None
    drg: str = ""
    procedures: tuple[InpatientProcedure, ...] = ()
    occurrences: tuple[tuple[str, date], ...] = ()
    values: tuple[tuple[str, Money], ...] = ()
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One bill to one payer. `place` is the two-digit place of service (837P) or the two-digit facility type (837I, `11` of bill type 111).

    `insurance[0]` is always the payer asked now; the others follow in their order.
    """

    id: str
    """CLM01, at most 20 characters of A-Z 0-9 -."""
    kind: ClaimKind
    frequency: Frequency = Frequency.ORIGINAL
    payer_icn: str = ""
    """The payer's number of the claim that a 7 or 8 replaces (REF*F8)."""
    replaces: str = ""
    """Our number of that claim."""
    encounter: str = ""
    """`Encounter/ID` in the chart."""
    patient: Person
    insurance: tuple[Insurance, ...]
    billing: Party
    pay_to: Address | None = None
    rendering: Party | None = None
    attending: Party | None = None
    operating: Party | None = None
    referring: Party | None = None
    supervising: Party | None = None
    facility: Party | None = None
    place: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    served_from: date | None = None
    served_to: date | None = None
    authorization: str = ""
    referral: str = ""
    clia: str = ""
    accident: Accident | None = None
    stay: Stay | None = None
    signature_on_file: bool = True
    assigned: str = "A"
    """CLM07: A assigned, B laboratory only, C not assigned."""
    benefits_assigned: str = "Y"
    release: str = "Y"
    patient_paid: Money = 0
    note: str = ""

    @property
    def charge(self) -> Money:
        """CLM02: the sum of the lines."""
        return sum(line.charge for line in self.lines)

    @property
    def payer(self) -> Payer:
        """The payer asked now."""
        return self.insurance[0].payer

    @property
    def last_service_date(self) -> date | None:
        """The day the filing window starts: last service, discharge for a stay."""
        days = [d for line in self.lines for d in (line.served_to or line.served_from,) if d]
        return max([*days, *([self.served_to] if self.served_to else [])], default=self.served_from)
