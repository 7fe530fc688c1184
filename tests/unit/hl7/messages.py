"""HL7 v2 messages of people and places that do not exist."""

from __future__ import annotations

MSH = r"MSH|^~\&|ADTSYS|EXAMPLEHOSP|BILLING|EXAMPLE|20260302101500-0500||{kind}|{control}|{mode}|2.5.1|||{accept}|{application}"
PID = "PID|1||MRN-7^^^EXAMPLEHOSP^MR||Zztest^Dee||19700101|F"


def adt(
    event: str = "A03",
    visit: str = "V-100",
    *,
    control: str = "C1",
    mode: str = "P",
    accept: str = "",
    application: str = "",
) -> bytes:
    """An ADT message about a visit."""
    head = MSH.format(kind=f"ADT^{event}", control=control, mode=mode, accept=accept, application=application)
    pv1 = f"PV1|1|O|||||||||||||||||{visit}^^^EXAMPLEHOSP^VN|||||||||||||||||||||||||20260302093000-0500|20260302100000-0500"
    return "\r".join([head.rstrip("|"), f"EVN|{event}|20260302101500", PID, pv1, ""]).encode()


def dft(*ft1: str, event: str = "P03", visit: str = "V-100", control: str = "D1", mode: str = "P") -> bytes:
    """A DFT message with these FT1 segments."""
    head = MSH.format(kind=f"DFT^{event}", control=control, mode=mode, accept="", application="").rstrip("|")
    pv1 = f"PV1|1|O|||||||||||||||||{visit}^^^EXAMPLEHOSP^VN"
    return "\r".join([head, f"EVN|{event}|20260302101500", PID, pv1, *ft1, ""]).encode()


def ft1(
    transaction: str = "T1",
    *,
    kind: str = "CG",
    code: str = "99214^^C4",
    quantity: str = "1",
    amount: str = "150.00",
    unit: str = "",
    day: str = "20260302",
    diagnoses: str = "I10^^I10C",
    procedure: str = "",
    modifiers: str = "",
) -> str:
    """One FT1."""
    fields = [""] * 27
    values = {1: "1", 2: transaction, 4: day, 6: kind, 7: code, 10: quantity, 11: amount, 12: unit, 19: diagnoses}
    values |= {20: "1234567893^Lin^Lou^^^^^^NPI", 25: procedure, 26: modifiers}
    for number, value in values.items():
        fields[number] = value
    return "|".join(["FT1", *fields[1:]]).rstrip("|")
