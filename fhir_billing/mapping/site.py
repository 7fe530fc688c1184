"""A site is what a hospital decides: who bills, by which tables, at what prices, to which payers.

Built once from the parsed files of /mappings, then only read. A word that is not known here is refused, because a
typing error in a site file is a wrong bill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fhir_billing.domain.claim import Address
from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.money import Money, NotMoney, cents
from fhir_billing.domain.partner import Sender
from fhir_billing.domain.payer import AppealLevel, PayerProfile
from fhir_billing.domain.posting import Bucket, CarcTable
from fhir_billing.domain.visit_level import VisitLevels
from fhir_billing.mapping.dates import LocalDays
from fhir_billing.mapping.terminology import Terminology

if TYPE_CHECKING:
    from fhir_billing.mapping.engine import Mapper

CHARGES = ("chart", "chargeitem", "both")
_DAYS = re.compile(r"(\d+) days?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a service costs here, and under which revenue code a hospital bills it."""

    amount: Money | None
    revenue: str = ""


@dataclass(slots=True, kw_only=True)
class Chargemaster:
    """Prices by billing code, with modifiers after a hyphen where they matter."""

    rows: dict[str, Price] = field(default_factory=dict)
    revenue_otherwise: str = ""

    def find(self, code: str, modifiers: tuple[str, ...] = ()) -> Price | None:
        """The price of a code with its modifiers, else of the code."""
        if modifiers and (found := self.rows.get("-".join((code, *modifiers)))):
            return found
        return self.rows.get(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Biller:
    """An organization as it stands on a bill."""

    name: str
    npi: str
    tax_id: str
    taxonomy: str
    address: Address
    phone: str = ""
    pay_to: Address | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How this site reads its charts."""

    charges: str = "both"
    """chart: what was done is billed. chargeitem: only ChargeItems. both: what was done, priced by ChargeItems, which may add lines."""
    practitioners_without_npi: str = "hold"
    """hold: named as they are, and the claim is held. leave-out: a rendering practitioner without a right NPI is not named."""
    service_facility: str = "when-different"
    """when-different or never."""
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where this EHR keeps what FHIR has no element for: modifier, revenue, price, unit-price, procedure, drg, poa … → URLs."""
    filing: Mapping[str, str] = field(default_factory=dict)
    """signature_on_file, assigned, benefits_assigned, release: what patients of this site have signed."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What to write where the chart is silent: admission_type, admission_source, patient_status, present_on_admission, state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinicians:
    """What clinicians of this site see, and what they are asked beyond what holds a bill anyway."""

    see_charges: bool = False
    """Whether their pages show amounts."""
    minutes: Mapping[str, int] = field(default_factory=dict)
    """Services that are billed by time, and the least minutes of each: their time must be in the chart."""
    reasons: tuple[str, ...] = ()
    """Services that need a diagnosis of their own where a visit has several; a `*` at the end stands for the rest."""


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything that a site decides."""

    name: str
    version: str
    title: str = ""
    days: LocalDays
    sender: Sender
    test: bool = False
    billing: Biller
    organizations: Mapping[str, Biller] = field(default_factory=dict)
    """Those that bill under an identity of their own, by the chart's reference or identifier."""
    options: Options
    terminology: Terminology
    chargemaster: Chargemaster
    payers: Mapping[str, PayerProfile]
    payer_names: Mapping[str, str] = field(default_factory=dict)
    """Names, identifiers and references that charts use, in lower case → payer id."""
    edits: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    findings: Mapping[str, str] = field(default_factory=dict)
    """Severity by key, for findings of the mapping."""
    carcs: CarcTable = field(default_factory=CarcTable)
    clinicians: Clinicians = field(default_factory=Clinicians)
    icd10_valid: frozenset[str] | None = None
    code_words: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """`diagnosis` or `charge` → rows of what people say and what the table says for it."""
    charge_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What this site calls what it charges for, by billing code."""
    visit_levels: VisitLevels | None = None
    mapper: Mapper = field(init=False)

    def payer(self, payer_id: str) -> PayerProfile:
        """The payer's profile; one without a file gets the defaults."""
        return self.payers.get(payer_id) or PayerProfile(id=payer_id)

    def local(self, moment: datetime) -> date:
        """The site's date at a moment."""
        return self.days.of(moment).date()

    def wall(self, moment: datetime) -> datetime:
        """The site's wall time at a moment."""
        return self.days.of(moment)

    def edit_settings(self, key: str, payer: PayerProfile) -> dict[str, object]:
        """An edit's settings: the site's, then the payer's, which win."""
        found = dict(self.edits.get(key, {}))
        found.update(payer.edits.get(key, {}))
        return found

    def payer_of(self, *names: str) -> str:
        """The payer id behind one of the chart's names for it; empty when none is known."""
        for name in names:
            if name and (found := self.payer_names.get(name.casefold())):
                return found
        return ""


# ---- reading the parsed files ------------------------------------------------------------------


def known(document: Mapping[str, Any], words: set[str], where: str) -> None:
    """Refuse a word that nobody reads."""
    unknown = sorted(set(map(str, document)) - words)
    if unknown:
        raise MappingInvalid(
            f"{where}: nobody reads {', '.join(unknown)}", fix=f"known here are {', '.join(sorted(words))}"
        )


def _span(value: Any, where: str) -> timedelta:
    match = _DAYS.fullmatch(str(value))
    if match is None:
        raise MappingInvalid(f"{where}: {value!r} is no number of days", fix="write it as `120 days`")
    return timedelta(days=int(match[1]))


_PAYER_WORDS = {
    "payer", "name", "known_as", "filing_indicator", "channel", "receiver", "filing_window", "acknowledgment_due", "answer_due",
    "takes_replacement", "appeals", "edits", "about",
}  # fmt: skip


def read_payer(document: Mapping[str, Any], where: str) -> tuple[PayerProfile, list[str]]:
    """A payer's file: its profile, and the names that charts use for it."""
    known(document, _PAYER_WORDS, where)
    payer_id = str(document["payer"])
    profile = PayerProfile(
        id=payer_id,
        name=str(document.get("name", payer_id)),
        channel=str(document.get("channel", "")),
        receiver=str(document.get("receiver", "")),
        filing_window=_span(document.get("filing_window", "365 days"), where),
        acknowledgment_due=_span(document.get("acknowledgment_due", "2 days"), where),
        answer_due=_span(document.get("answer_due", "30 days"), where),
        appeals=tuple(
            AppealLevel(level=int(str(a["level"])), within=_span(a["within"], where))
            for a in document.get("appeals") or ({"level": 1, "within": "180 days"},)
        ),
        edits=document.get("edits") or {},
        filing_indicator=str(document.get("filing_indicator", "")),
        takes_replacement=bool(document.get("takes_replacement", True)),
    )
    aliases = document.get("known_as") or {}
    known(aliases, {"names", "identifiers", "references"}, where)
    names = [payer_id, profile.name, *(n for found in aliases.values() for n in found)]
    return profile, [str(name).casefold() for name in names]


def read_chargemaster(document: Mapping[str, Any], where: str, into: Chargemaster) -> None:
    """A price list."""
    known(document, {"chargemaster", "version", "about", "rows", "revenue_otherwise"}, where)
    into.revenue_otherwise = str(document.get("revenue_otherwise", into.revenue_otherwise))
    for row in document.get("rows") or ():
        if not isinstance(row, list) or not 2 <= len(row) <= 3 or not all(isinstance(cell, str) for cell in row):
            raise MappingInvalid(
                f"{where}: the row {row!r} is not two or three quoted strings", fix='write ["99213", "125.00"]'
            )
        try:
            amount = cents(row[1]) if row[1] else None
        except NotMoney as error:
            raise MappingInvalid(f"{where}: {row[0]}: {error}", fix="write dollars and cents") from error
        into.rows[row[0]] = Price(amount=amount, revenue=row[2] if len(row) > 2 else "")


def read_address(document: Any, where: str) -> Address:
    """An address in a site file."""
    if not isinstance(document, Mapping):
        raise MappingInvalid(f"{where}: an address has lines, city, state and zip", fix="see sites/_example")
    known(document, {"lines", "city", "state", "zip"}, where)
    return Address(
        lines=tuple(str(line) for line in document.get("lines") or ()),
        city=str(document.get("city", "")),
        state=str(document.get("state", "")),
        zip=re.sub(r"\D", "", str(document.get("zip", ""))),
    )


_BILLER_WORDS = {"name", "npi", "tax_id", "taxonomy", "address", "phone", "pay_to", "known_as"}


def read_biller(document: Mapping[str, Any], where: str) -> Biller:
    """Who bills."""
    known(document, _BILLER_WORDS, where)
    return Biller(
        name=str(document["name"]),
        npi=str(document["npi"]),
        tax_id=re.sub(r"\D", "", str(document["tax_id"])),
        taxonomy=str(document.get("taxonomy", "")),
        address=read_address(document.get("address"), where),
        phone=re.sub(r"\D", "", str(document.get("phone", ""))),
        pay_to=read_address(document["pay_to"], where) if document.get("pay_to") else None,
    )


_SITE_WORDS = {
    "site", "version", "title", "about", "timezone", "sender", "test", "billing", "organizations", "charges", "edits", "findings",
    "practitioners_without_npi", "service_facility", "extensions", "filing", "defaults", "icd10", "clinicians",
}  # fmt: skip
_DEFAULTS = {"admission_type", "admission_source", "patient_status", "present_on_admission"}
_FILING = {"signature_on_file": "Y", "assigned": "A", "benefits_assigned": "Y", "release": "Y"}


def read_options(document: Mapping[str, Any], where: str) -> Options:
    """How the site reads its charts."""
    charges = str(document.get("charges", "both"))
    if charges not in CHARGES:
        raise MappingInvalid(f"{where}: charges is {charges!r}", fix=f"use one of {', '.join(CHARGES)}")
    without = str(document.get("practitioners_without_npi", "hold"))
    if without not in {"hold", "leave-out"}:
        raise MappingInvalid(f"{where}: practitioners_without_npi is {without!r}", fix="use hold or leave-out")
    facility = str(document.get("service_facility", "when-different"))
    if facility not in {"when-different", "never"}:
        raise MappingInvalid(f"{where}: service_facility is {facility!r}", fix="use when-different or never")
    filing, defaults = document.get("filing") or {}, document.get("defaults") or {}
    known(filing, set(_FILING), f"{where} filing")
    known(defaults, _DEFAULTS, f"{where} defaults")
    return Options(
        charges=charges,
        practitioners_without_npi=without,
        service_facility=facility,
        extensions={str(k): tuple(map(str, v)) for k, v in (document.get("extensions") or {}).items()},
        filing={**_FILING, **{str(k): str(v) for k, v in filing.items()}},
        defaults={str(k): str(v) for k, v in defaults.items()},
    )


def read_clinicians(document: Any, where: str) -> Clinicians:
    """What clinicians see and are asked."""
    if not isinstance(document, Mapping) or not isinstance(document.get("minutes") or {}, Mapping):
        raise MappingInvalid(f"{where}: this is no table", fix="write `clinicians: {see_charges: false}`")
    known(document, {"see_charges", "minutes", "reasons"}, where)
    see, minutes = document.get("see_charges", False), document.get("minutes") or {}
    if not isinstance(see, bool):
        raise MappingInvalid(f"{where}: see_charges is {see!r}", fix="write true or false")
    if not all(
        isinstance(least, int) and not isinstance(least, bool) and 0 < least < 1440 for least in minutes.values()
    ):
        raise MappingInvalid(f"{where}: minutes are whole numbers from 1 to 1439", fix='write "99406": 3')
    return Clinicians(
        see_charges=see,
        minutes={str(code): int(least) for code, least in minutes.items()},
        reasons=tuple(map(str, document.get("reasons") or ())),
    )


def read_sender(document: Any, where: str) -> Sender:
    """Who sends files to payers."""
    if not isinstance(document, Mapping):
        raise MappingInvalid(f"{where}: sender is missing", fix="give it an id and a name")
    known(document, {"id", "name", "qualifier", "contact_name", "contact_phone"}, f"{where} sender")
    return Sender(**{str(k): str(v) for k, v in document.items()})


def read_carcs(documents: Sequence[tuple[Mapping[str, Any], str]]) -> CarcTable:
    """The tables that say where an 835's adjustments go: rows of group (or *), reason, account."""
    rows: dict[tuple[str, str], Bucket] = {}
    for document, where in documents:
        for row in document.get("rows") or ():
            try:
                group, reason, bucket, *_ = row
                rows[group, reason] = Bucket(bucket)
            except ValueError as error:
                raise MappingInvalid(
                    f"{where}: the row {row!r} is not group, reason, account", fix='write ["CO", "45", "contractual"]'
                ) from error
    return CarcTable(rows=rows)


def read_site(document: Mapping[str, Any], where: str, **parts: Any) -> Site:
    """The site's own file, with what the loader has already read."""
    known(document, _SITE_WORDS, where)
    try:
        billing = read_biller(document["billing"], f"{where} billing")
        days = LocalDays(str(document.get("timezone", "America/New_York")))
    except KeyError as error:
        raise MappingInvalid(f"{where}: {error} is missing or not known", fix="see sites/_example/site.yaml") from error
    organizations: dict[str, Biller] = {}
    for entry in document.get("organizations") or ():
        biller = read_biller({**_flat(document["billing"]), **entry}, f"{where} organizations")
        for name in entry.get("known_as") or ():
            organizations[str(name)] = biller
    return Site(
        name=str(document["site"]),
        version=str(document.get("version", "1")),
        title=str(document.get("title", document["site"])),
        days=days,
        sender=read_sender(document.get("sender"), where),
        test=bool(document.get("test", False)),
        billing=billing,
        organizations=organizations,
        options=read_options(document, where),
        clinicians=read_clinicians(document.get("clinicians") or {}, f"{where} clinicians"),
        edits=document.get("edits") or {},
        findings={str(k): str(v["severity"]) for k, v in (document.get("findings") or {}).items()},
        **parts,
    )


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: v for k, v in document.items() if k in {"tax_id", "taxonomy", "phone", "pay_to", "address", "name", "npi"}
    }
