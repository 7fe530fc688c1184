"""Writes the charts of the demo: one Bundle for the clinic, one for each patient. All of them are fictional.

usage: python examples/charts/make.py      (rewrites the JSON files beside it; the same input gives the same bytes)
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
R = dict[str, Any]
DAY = "2026-03-02"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
REVENUE = "https://www.nubc.org/CodeSystem/RevenueCodes"
OURS = "https://fhir-billing.example/fhir/StructureDefinition/"
NPI = "http://hl7.org/fhir/sid/us-npi"
TAX = "urn:oid:2.16.840.1.113883.4.4"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HL7 = "http://terminology.hl7.org/CodeSystem/"


def concept(system: str, code: str, text: str = "") -> R:
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def address(line: str, city: str = "Sampleton", zip_code: str = "99999-0100") -> list[R]:
    return [
        {"use": "home", "line": [line], "city": city, "state": "MA", **({"postalCode": zip_code} if zip_code else {})}
    ]


def at(day: str, hour: str) -> str:
    return f"{day}T{hour}:00-05:00"


def organization(name: str, title: str, kind: str, **more: Any) -> R:
    return {
        "resourceType": "Organization",
        "id": name,
        "active": True,
        "type": [concept(f"{HL7}organization-type", kind)],
        "name": title,
        **more,
    }


def practitioner(name: str, given: str, npi: str, taxonomy: str) -> list[R]:
    who: R = {
        "resourceType": "Practitioner",
        "id": name,
        "active": True,
        "name": [{"family": "Zzdoctor", "given": [given], "prefix": ["Dr."]}],
    }
    if npi:
        who["identifier"] = [{"system": NPI, "value": npi}]
    role = {
        "resourceType": "PractitionerRole",
        "id": f"{name}-role",
        "active": True,
        "practitioner": {"reference": f"Practitioner/{name}"},
        "organization": {"reference": "Organization/example-clinic"},
        "specialty": [concept("http://nucc.org/provider-taxonomy", taxonomy)],
    }
    return [who, role]


def clinic() -> list[R]:
    work = [
        {"use": "work", "line": ["1 Sample Square"], "city": "Sampleton", "state": "MA", "postalCode": "99999-0001"}
    ]
    hospital = [
        {
            "use": "work",
            "line": ["100 Sample Hospital Drive"],
            "city": "Sampleton",
            "state": "MA",
            "postalCode": "99999-0002",
        }
    ]
    phone = [{"system": "phone", "value": "555-555-0100"}]
    payers = [
        ("payer-exc01", "Example Commercial Health", "EXC01"),
        ("payer-exc02", "Example Mutual Benefit", "EXC02"),
        ("payer-exm", "Example Medicare", "EXM"),
        ("payer-exh", "Example Health Maintenance", "EXH"),
    ]
    return [
        organization(
            "example-clinic", "Example Family Clinic", "prov", telecom=phone, address=work,
            identifier=[{"system": NPI, "value": "1234567893"}, {"system": TAX, "value": "99-9999999"}],
        ),
        organization(
            "example-hospital", "Example General Hospital", "prov", telecom=phone, address=hospital,
            identifier=[{"system": NPI, "value": "1888888884"}, {"system": TAX, "value": "99-9999998"}],
        ),
        {"resourceType": "Location", "id": "clinic-room", "status": "active", "name": "Example Family Clinic", "address": work[0],
         "managingOrganization": {"reference": "Organization/example-clinic"}},
        {"resourceType": "Location", "id": "hospital-ward", "status": "active", "name": "Example General Hospital", "address": hospital[0],
         "managingOrganization": {"reference": "Organization/example-hospital"}},
        *practitioner("dr-lin", "Lin", "1999999992", "207Q00000X"),
        *practitioner("dr-moe", "Moe", "1999999984", "207P00000X"),
        *practitioner("dr-new", "Neo", "", "207Q00000X"),
        *(
            organization(name, title, "pay", identifier=[{"system": f"{OURS.replace('StructureDefinition/', 'NamingSystem/')}payer", "value": number}])
            for name, title, number in payers
        ),
    ]  # fmt: skip


def patient(
    name: str, given: str, birth: str, sex: str, *, family: str = "Zztest", zip_code: str = "99999-0100", line: str = ""
) -> R:
    return {
        "resourceType": "Patient",
        "id": name,
        "identifier": [
            {
                "type": concept(f"{HL7}v2-0203", "MR"),
                "system": "urn:oid:2.16.840.1.113883.19.5",
                "value": f"MR-{name.upper()}",
            }
        ],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": "555-555-0123", "use": "mobile"}],
        "gender": sex,
        "birthDate": birth,
        "address": address(line or f"{len(name) * 7} Sample Street", zip_code=zip_code),
    }


def coverage(
    name: str,
    who: str,
    payer: str,
    member: str,
    *,
    order: int = 1,
    start: str = "2026-01-01",
    end: str = "",
    **more: Any,
) -> R:
    return {
        "resourceType": "Coverage",
        "id": name,
        "status": "active",
        "subscriber": {"reference": f"Patient/{who}"},
        "subscriberId": member,
        "beneficiary": {"reference": f"Patient/{who}"},
        "relationship": concept(f"{HL7}subscriber-relationship", "self"),
        "period": {"start": start, **({"end": end} if end else {})},
        "payor": [{"reference": f"Organization/payer-{payer.lower()}"}],
        "order": order,
        **more,
    }


def encounter(name: str, who: str, *, act: str = "AMB", doctor: str = "dr-lin", org: str = "example-clinic", start: str = "", end: str = "",
              role: str = "PPRF", status: str = "in-progress", **more: Any) -> R:  # fmt: skip
    place = "clinic-room" if org == "example-clinic" else "hospital-ward"
    visit: R = {
        "resourceType": "Encounter",
        "id": name,
        "status": status,
        "class": {"system": ACT, "code": act},
        "subject": {"reference": f"Patient/{who}"},
        "participant": [
            {
                "type": [concept(f"{HL7}v3-ParticipationType", role)],
                "individual": {"reference": f"PractitionerRole/{doctor}-role"},
            }
        ],
        "period": {"start": start or at(DAY, "09:30"), "end": end or at(DAY, "10:00")},
        "serviceProvider": {"reference": f"Organization/{org}"},
        **more,
    }
    if act not in {"VR", "HH"}:
        visit["location"] = [{"location": {"reference": f"Location/{place}"}}]
    return visit


def condition(
    name: str, who: str, visit: str, code: str, *, truth: str = "confirmed", system: str = ICD10, **more: Any
) -> R:
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": concept(f"{HL7}condition-clinical", "active"),
        "verificationStatus": concept(f"{HL7}condition-ver-status", truth),
        "category": [concept(f"{HL7}condition-category", "encounter-diagnosis")],
        "code": concept(system, code),
        "subject": {"reference": f"Patient/{who}"},
        "encounter": {"reference": f"Encounter/{visit}"},
        "recordedDate": at(DAY, "09:45"),
        **more,
    }


def procedure(
    name: str,
    who: str,
    visit: str,
    code: str,
    *,
    status: str = "completed",
    system: str = CPT,
    reasons: tuple[str, ...] = (),
) -> R:
    return {
        "resourceType": "Procedure",
        "id": name,
        "status": status,
        "code": concept(system, code),
        "subject": {"reference": f"Patient/{who}"},
        "encounter": {"reference": f"Encounter/{visit}"},
        "performedDateTime": at(DAY, "09:50"),
        **({"reasonReference": [{"reference": f"Condition/{r}"} for r in reasons]} if reasons else {}),
    }


def charge(name: str, who: str, visit: str, code: str, price: str, *, system: str = CPT, quantity: int = 1, modifiers: tuple[str, ...] = (),
           revenue: str = "", reasons: tuple[str, ...] = (), service: str = "", day: str = DAY) -> R:  # fmt: skip
    extension: list[R] = [{"url": f"{OURS}modifier", "valueCode": m} for m in modifiers]
    extension += [{"url": f"{OURS}revenue-code", "valueCode": revenue}] if revenue else []
    return {
        "resourceType": "ChargeItem",
        "id": name,
        **({"extension": extension} if extension else {}),
        "status": "billable",
        "code": concept(system, code),
        "subject": {"reference": f"Patient/{who}"},
        "context": {"reference": f"Encounter/{visit}"},
        "occurrenceDateTime": at(day, "09:50"),
        "quantity": {"value": quantity},
        "priceOverride": {"value": float(price), "currency": "USD"},
        **({"service": [{"reference": service}]} if service else {}),
        **({"supportingInformation": [{"reference": f"Condition/{r}"} for r in reasons]} if reasons else {}),
    }


def office(
    given: str, birth: str, sex: str, payer: str, member: str, dx: list[str], lines: list[tuple[Any, ...]], **more: Any
) -> list[R]:
    """An ordinary visit: patient, coverage, encounter, conditions, charges. A line is (code, price, *modifiers)."""
    name = given.lower()
    visit = f"{name}-visit"
    who = {k: more.pop(k) for k in ("family", "zip_code", "line") if k in more}
    covered = more.pop("covered", {})
    made: list[R] = [patient(name, given, birth, sex, **who)]
    if payer:
        made.append(coverage(f"{name}-plan", name, payer, member, **covered))
    made.append(encounter(visit, name, **more))
    made += [condition(f"{name}-dx{n}", name, visit, code) for n, code in enumerate(dx, 1)]
    made += [
        charge(f"{name}-charge{n}", name, visit, line[0], line[1], modifiers=line[2:])
        for n, line in enumerate(lines, 1)
    ]
    return made


def fay() -> list[R]:
    name, visit = "fay", "fay-stay"
    stay = encounter(
        visit, name, act="IMP", org="example-hospital", doctor="dr-moe", role="ATND", start=at(DAY, "07:10"), end=at("2026-03-05", "11:30"),
        priority=concept(f"{HL7}v3-ActPriority", "EL"),
        hospitalization={
            "admitSource": concept(f"{HL7}admit-source", "gp"),
            "dischargeDisposition": concept("https://www.nubc.org/CodeSystem/PatDischargeStatus", "01"),
        },
        diagnosis=[
            {"condition": {"reference": "Condition/fay-dx1"}, "use": concept(f"{HL7}diagnosis-role", "AD"), "rank": 1},
            {"condition": {"reference": "Condition/fay-dx2"}, "use": concept(f"{HL7}diagnosis-role", "billing"), "rank": 2,
             "extension": [{"url": f"{OURS}present-on-admission", "valueCode": "Y"}]},
            {"condition": {"reference": "Condition/fay-dx3"}, "use": concept(f"{HL7}diagnosis-role", "CM"), "rank": 3,
             "extension": [{"url": f"{OURS}present-on-admission", "valueCode": "Y"}]},
        ],
        extension=[{"url": f"{OURS}drg", "valueCode": "470"}],
    )  # fmt: skip
    lines = [
        ("0120", "5400.00", 3),
        ("0250", "1245.50", 1),
        ("0300", "980.25", 1),
        ("0360", "4800.00", 1),
        ("0710", "650.00", 1),
    ]
    return [
        patient(name, "Fay", "1955-11-05", "female"),
        coverage("fay-plan", name, "EXC02", "EX200006"),
        stay,
        condition("fay-dx1", name, visit, "M25.562"),
        condition("fay-dx2", name, visit, "M17.12"),
        condition("fay-dx3", name, visit, "I10"),
        procedure("fay-operation", name, visit, "0SRD0J9", system=PCS, reasons=("fay-dx2",)),
        *(
            charge(f"fay-charge{n}", name, visit, revenue, price, system=REVENUE, quantity=quantity, revenue=revenue)
            for n, (revenue, price, quantity) in enumerate(lines, 1)
        ),
    ]


def ivy() -> list[R]:
    mother = patient("ivy-mother", "Mia", "1990-03-03", "female", line="12 Sample Lane")
    mother["telecom"] = [{"system": "phone", "value": "555-555-0144", "use": "mobile"}]
    made = office(
        "Ivy",
        "2019-06-15",
        "female",
        "",
        "",
        ["H66.91"],
        [("99213", "125.00"), ("87880", "30.00")],
        line="12 Sample Lane",
    )
    plan = coverage("ivy-plan", "ivy", "EXC01", "EX100009")
    plan["subscriber"] = {"reference": "Patient/ivy-mother"}
    plan["relationship"] = concept(f"{HL7}subscriber-relationship", "child")
    return [made[0], mother, plan, *made[1:]]


def nia() -> list[R]:
    made = office(
        "Nia",
        "2017-04-11",
        "female",
        "EXC02",
        "EX200014",
        ["Z00.129", "Z23"],
        [("99393", "165.00"), ("90686", "32.00"), ("90471", "38.00")],
    )
    made.append(
        {
            "resourceType": "Immunization",
            "id": "nia-vaccine",
            "status": "completed",
            "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "150"),
            "patient": {"reference": "Patient/nia"},
            "encounter": {"reference": "Encounter/nia-visit"},
            "occurrenceDateTime": at(DAY, "09:55"),
        }
    )
    return made


def val() -> list[R]:
    made = office("Val", "1979-09-09", "male", "EXC02", "EX200022", ["S61.411A", "W26.0XXA", "I10"], [])
    visit = "val-visit"
    made += [
        procedure("val-repair", "val", visit, "12001", reasons=("val-dx1",)),
        charge("val-charge1", "val", visit, "99213", "125.00", modifiers=("25",), reasons=("val-dx3",)),
        charge("val-charge2", "val", visit, "12001", "260.00", reasons=("val-dx1",), service="Procedure/val-repair"),
    ]
    return made


def xan() -> list[R]:
    made = office("Xan", "1966-12-24", "male", "EXC01", "EX100024", ["R05.9"], [("99213", "125.00")])
    made += [
        condition("xan-dx-refuted", "xan", "xan-visit", "J18.9", truth="refuted"),
        procedure("xan-xray", "xan", "xan-visit", "71046", status="not-done"),
    ]
    not_billable = charge("xan-charge-no", "xan", "xan-visit", "71046", "95.00")
    not_billable["status"] = "not-billable"
    return [*made, not_billable]


def dee() -> list[R]:
    made = office("Dee", "1949-05-02", "female", "EXM", "1EG4TE5MK73", ["I10", "E11.9"], [("99214", "150.00")])
    made.insert(2, coverage("dee-second", "dee", "EXC02", "EX200004", order=2))
    return made


def tess() -> list[R]:
    made = office("Tess", "1993-07-07", "female", "EXC02", "EX200020", ["L30.9"], [("99213", "125.00")])
    made.append(
        charge(
            "tess-charge2",
            "tess",
            "tess-visit",
            "WOUND-KIT",
            "18.00",
            system="https://ehr.example/CodeSystem/house-charges",
        )
    )
    return made


def problem(name: str, who: str, code: str, text: str, since: str) -> R:
    """An entry of the problem list: it belongs to no visit."""
    made = condition(name, who, "", code, category=[concept(f"{HL7}condition-category", "problem-list-item")])
    made["code"]["text"] = text
    return {k: v for k, v in made.items() if k != "encounter"} | {"onsetDateTime": since, "recordedDate": since}


def nell() -> list[R]:
    """Three visits that stay open: a visit that names no diagnosis, one with a knee and no side, one from afar."""
    name, plan = "nell", coverage("nell-plan", "nell", "EXC01", "EX100027")
    knee = [
        condition("nell-knee-dx1", name, "nell-knee", "M25.569"),
        condition("nell-knee-dx2", name, "nell-knee", "I10"),
    ]
    knee[0]["code"]["text"], knee[1]["code"]["text"] = "Knee pain", "High blood pressure"
    lines = [("73560", "95.00", "Knee x-ray"), ("72148", "1310.00", "Spine scan"), ("99406", "28.00", "Counselling")]
    charges = [
        charge(f"nell-knee-charge{n}", name, "nell-knee", code, price) for n, (code, price, _) in enumerate(lines, 1)
    ]
    for made, (_, _, text) in zip(charges, lines, strict=True):
        made["code"]["text"] = text
    office = [
        charge("nell-office-charge1", name, "nell-office", "99213", "125.00"),
        charge("nell-office-charge2", name, "nell-office", "20600", "140.00"),
    ]
    office[1]["code"]["text"] = "Finger injection"
    return [
        patient(name, "Nell", "1961-09-12", "female"),
        plan,
        problem("nell-problem1", name, "M19.041", "Arthritis of the right hand", "2025-11-03"),
        problem("nell-problem2", name, "E11.9", "Type 2 diabetes", "2019-05-20"),
        problem("nell-problem3", name, "J30.2", "Hay fever", "2025-06-01") | {
            "clinicalStatus": concept(f"{HL7}condition-clinical", "resolved")
        },
        encounter("nell-office", name),
        *office,
        encounter("nell-knee", name, start=at(DAY, "11:00"), end=at(DAY, "11:40")),
        *knee,
        *charges,
        encounter("nell-afar", name, start=at(DAY, "14:00"), end=at(DAY, "14:20")),
        condition("nell-afar-dx1", name, "nell-afar", "E11.9"),
        charge("nell-afar-charge1", name, "nell-afar", "99213", "125.00", modifiers=("95",)),
    ]  # fmt: skip


def open_charts() -> dict[str, list[R]]:
    """Charts whose visits stay open, in a folder of their own: a clinician is asked about them."""
    return {"nell": nell()}


def charts() -> dict[str, list[R]]:
    virtual = {"act": "VR"}
    return {
        "ada": office("Ada", "1980-02-29", "female", "EXC01", "EX100001", ["J02.9"], [("99213", "125.00"), ("87880", "30.00")]),
        "bo": office("Bo", "1971-10-10", "male", "EXC01", "EX100002", ["R53.83", "E78.5"],
                     [("99213", "125.00"), ("36415", "12.50"), ("80053", "50.00")]),
        "cy": office("Cy", "1988-01-19", "male", "EXC02", "EX200003", ["G43.909"], [("70551", "1240.00")]),
        "dee": dee(),
        "eli": office("Eli", "1962-08-08", "male", "EXC01", "EX100005", ["E11.9", "I10"], [("99215", "220.00")]),
        "fay": fay(),
        "gus": office("Gus", "1984-04-04", "male", "EXC01", "EX100007", ["F41.1"], [("99214", "190.00", "95")], **virtual),
        "hal": office("Hal", "1995-02-02", "male", "", "", ["S93.401A"], [("99203", "250.00"), ("73610", "180.00"), ("29540", "50.00")]),
        "ivy": ivy(),
        "jo": office("Jo", "1958-03-30", "female", "EXC01", "EX100010", ["M17.11", "I10"], [("99213", "125.00"), ("20610", "210.00")]),
        "kit": office("Kit", "1976-06-16", "male", "EXC01", "EX100011", ["E78.5"], [("80048", "40.00"), ("80076", "45.00")]),
        "lu": office("Lu", "1999-09-19", "female", "EXH", "EXH00012", ["J06.9"], [("99213", "125.00")]),
        "max": office("Max", "2001-01-21", "male", "EXC02", "EX200013", ["S52.501A", "V00.131A"], [("99284", "480.00", "25"), ("29125", "210.00")],
                      act="EMER", doctor="dr-moe", org="example-hospital"),
        "nia": nia(),
        "ona": office("Ona", "1969-11-11", "female", "EXC02", "EX200015", ["M54.50"], [("99214", "150.00")]),
        "oz": office("Oz", "1990-12-12", "male", "EXC01", "EX100016", [], [("99213", "125.00")]),
        "pat": office("Pat", "1987-07-17", "female", "EXC01", "EX100017", ["K21.9"], [("99214", "150.00")]),
        "quinn": office("Quinn", "1973-03-13", "female", "EXC02", "EX200018", ["N39.0"], [("99213", "125.00"), ("81002", "15.00")], zip_code=""),
        "ray": office("Ray", "1981-01-11", "male", "EXC01", "EX100019", ["J20.9"], [("99213", "125.00")], covered={"start": "2025-01-01", "end": "2026-02-15"}),
        "sol": office("Sol", "1992-05-25", "female", "EXC02", "EX200021", ["J01.90"], [("99213", "125.00")], doctor="dr-new"),
        "tess": tess(),
        "uma": office("Uma", "1985-08-15", "female", "EXC01", "EX100023", ["H10.9"], [("99213", "125.00")], family="Muñoz-Zztest",
                      line="3 Calle de la Piña"),
        "val": val(),
        "wes": office("Wes", "1947-02-17", "male", "EXM", "1EG4TE5MK74", ["E11.65", "I10"], [("80053", "42.00"), ("83036", "35.00"), ("85025", "28.00")]),
        "xan": xan(),
        "yul": office("Yul", "1978-10-28", "male", "EXC01", "EX100025", ["R51.9"], [("99213", "125.00")]),
        "zoe": office("Zoe", "1997-07-27", "female", "EXC01", "EX100026", ["R10.9"], [("99213", "125.00")], status="entered-in-error"),
    }  # fmt: skip


def dump(resources: list[R]) -> str:
    entries = [
        {"fullUrl": f"https://ehr.example/fhir/{r['resourceType']}/{r['id']}", "resource": r,
         "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in resources
    ]  # fmt: skip
    text = json.dumps(
        {"resourceType": "Bundle", "type": "batch", "entry": entries}, ensure_ascii=False, indent=1, default=str
    )
    text = re.sub(
        r'"value": (\d+)\.(\d)(\d?)(?=,\s+"currency")', lambda m: f'"value": {m[1]}.{m[2]}{m[3] or "0"}', text
    )
    return text + "\n"


def main() -> None:
    (HERE / "clinic.json").write_text(dump(clinic()), encoding="utf-8")
    for name, resources in charts().items():
        (HERE / f"{name}.json").write_text(dump(resources), encoding="utf-8")
    for name, resources in open_charts().items():
        (HERE / "open" / f"{name}.json").write_text(dump(resources), encoding="utf-8")


if __name__ == "__main__":
    main()
