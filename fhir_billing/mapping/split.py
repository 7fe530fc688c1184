"""One 837P claim holds twelve diagnoses and fifty lines; a longer visit becomes several, and each line is billed once.

Spec: 005010X222A1 2300 HI and 2400 LX; 005010X223A2 holds 25 and 999.
"""

from __future__ import annotations

from typing import Any

from fhir_billing.mapping.found import Found

LIMITS = {"professional": (12, 50), "institutional": (25, 999)}
_MOST_POINTERS = 4

Part = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def split(diagnoses: list[dict[str, Any]], lines: list[dict[str, Any]], kind: str, found: Found) -> list[Part]:
    """Diagnoses and lines for each claim, renumbered; one part when everything fits."""
    most_diagnoses, most_lines = LIMITS[kind]
    parts = _in_parts(diagnoses, most_diagnoses)
    if len(parts) == 1 and len(lines) <= most_lines:
        return [(diagnoses, lines)]
    shared = _share(parts, lines, most_lines)
    if any(not some for _, some in shared):
        found.add(
            "diagnoses-without-line", f"The visit has more than {most_diagnoses} diagnoses and too few services to bill them with",
            at="Claim.diagnosis", fix="choose the twelve that matter, or add the service that the others belong to",
        )  # fmt: skip
    return [_renumbered(some, of_them) for some, of_them in shared]


def _in_parts(diagnoses: list[dict[str, Any]], most: int) -> list[list[dict[str, Any]]]:
    """Slices with at most so many different codes; the same code twice counts once."""
    parts: list[list[dict[str, Any]]] = [[]]
    codes: set[str] = set()
    for one in diagnoses:
        code = one["code"] or one["reference"]
        if code not in codes and len(codes) == most:
            parts.append([])
            codes = set()
        codes.add(code)
        parts[-1].append(one)
    return parts


def _share(parts: list[list[dict[str, Any]]], lines: list[dict[str, Any]], most: int) -> list[Part]:
    """Each line goes where its first diagnosis is, as far as there is room; no part stays without a line if it can be helped."""
    count = max(len(parts), -(-len(lines) // most))
    wanted = [*parts, *([parts[0]] * (count - len(parts)))]
    buckets: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for line in lines:
        home = next(
            (
                p
                for p, some in enumerate(parts)
                if line["pointers"] and line["pointers"][0] in {d["sequence"] for d in some}
            ),
            0,
        )
        place = home if len(buckets[home]) < most else min(range(count), key=lambda p: len(buckets[p]))
        buckets[place].append(line)
    for bucket in buckets:
        if not bucket:
            fullest = max(buckets, key=len)
            if len(fullest) > 1:
                bucket.append(fullest.pop())
    return list(zip(wanted, buckets, strict=True))


def _renumbered(diagnoses: list[dict[str, Any]], lines: list[dict[str, Any]]) -> Part:
    places = {one["sequence"]: number for number, one in enumerate(diagnoses, 1)}
    some = [{**one, "sequence": number} for number, one in enumerate(diagnoses, 1)]
    first = some and some[0]["type"] == "other"
    if first:
        some[0] = {**some[0], "type": "principal"}
    fallback = [one["sequence"] for one in some][:_MOST_POINTERS]
    return some, [
        {**line, "sequence": number, "pointers": [places[p] for p in line["pointers"] if p in places] or fallback}
        for number, line in enumerate(lines, 1)
    ]
