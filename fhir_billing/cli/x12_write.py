"""`x12 write`: the ready Claims of a draft as 837 files, one interchange for each payer and kind.

The date of an interchange is the newest `created` of its claims, so the same draft gives the same bytes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_billing import mapping_files
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import BillingError, SiteConfig
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.site import Site
from fhir_billing.settings import Settings
from fhir_billing.tenants import site_of
from fhir_billing.x12.missing import missing
from fhir_billing.x12.write_837 import Controls, Receiver
from fhir_billing.x12.write_837 import write as write_interchange

_NUMBERED = re.compile(r"-(\d{9})\.x12$")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")
Ready = tuple[str, dict[str, Any], Claim]
"""Where it was read, the resource, the claim."""


def write(args: argparse.Namespace) -> int:
    """Write what is ready, name what is not, and count the rest."""
    settings = Settings()
    try:
        site = mapping_files.load(args.site or site_of(settings), settings.mappings)
    except BillingError as error:
        print(f"fhir-billing: {error}", file=sys.stderr)
        return 2 if isinstance(error, SiteConfig) else 1
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{out}: {error.strerror}; give a folder", file=sys.stderr)
        return 1
    batches, rest, refused = _ready(args.claims)
    written = 0
    try:
        numbers = list(islice(_numbers(out, args.first_control), len(batches)))
        if len(numbers) < len(batches):
            print(
                f"--first-control {args.first_control}: {len(batches)} files need as many numbers up to 999999999,"
                f" and {len(numbers)} are free; give a smaller one",
                file=sys.stderr,
            )
            return 2
        for number, ((payer, kind), ready) in zip(numbers, sorted(batches.items()), strict=True):
            written += _batch(out, site, payer, kind, [one[2] for one in ready], _newest(ready), number, test=args.test)
    except FileExistsError as error:
        print(
            f"{error.filename}: somebody else wrote it just now, after {written} claims; write again", file=sys.stderr
        )
        return 1
    except OSError as error:
        place = error.filename or out
        print(
            f"{place}: cannot be written: {error.strerror}, after {written} claims; give another folder",
            file=sys.stderr,
        )
        return 1
    waiting = "".join(f", {count} {status} left" for status, count in sorted(rest.items()))
    print(f"{written} claims in {len(batches)} files{waiting}, {refused} refused", file=sys.stderr)
    return 1 if refused else 0


def _ready(names: list[str]) -> tuple[dict[tuple[str, str], list[Ready]], dict[str, int], int]:
    batches: dict[tuple[str, str], list[Ready]] = defaultdict(list)
    rest: dict[str, int] = defaultdict(int)
    refused = 0
    seen: set[str] = set()
    for place, resource in _resources(names):
        if resource is None:
            refused += 1
            continue
        status = str(resource.get("status", "unknown"))
        if status != "active":
            rest[status] += 1
            continue
        at = f"{place}: Claim/{_name(resource)}"
        try:
            claim = read_claim(resource)
        except BillingError as error:
            print(f"{at} {error}", file=sys.stderr)
            refused += 1
            continue
        lacking = missing(claim)
        if claim.id in seen:
            print(f"{at} Claim.identifier: the number {claim.id} stands twice; number one anew", file=sys.stderr)
            refused += 1
        elif lacking:
            for found in lacking:
                print(f"{at} {found.at}: {found.say}; {found.fix}", file=sys.stderr)
            refused += 1
        else:
            seen.add(claim.id)
            batches[claim.payer.id, claim.kind.value].append((place, resource, claim))
    return batches, rest, refused


def _name(resource: dict[str, Any]) -> str:
    """The Claim's id, else its number."""
    identifiers = resource.get("identifier")
    first = identifiers[0] if isinstance(identifiers, list) and identifiers and isinstance(identifiers[0], dict) else {}
    return str(resource.get("id") or first.get("value") or "?")


def _resources(names: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each line as (file, Claim); None where a line or a file cannot be read, after the complaint."""
    for name in names:
        try:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            print(f"{name}: {error.strerror or 'cannot be read'}; give the file that `draft` wrote", file=sys.stderr)
            yield name, None
            continue
        for count, line in enumerate(data.splitlines(), 1):
            if not line.strip():
                continue
            try:
                resource = loads(line)
            except BillingError as error:
                print(f"{name}: line {count}: {error}", file=sys.stderr)
                yield name, None
                continue
            if not isinstance(resource, dict) or resource.get("resourceType") != "Claim":
                print(f"{name}: line {count}: this is no Claim; give the file that `draft` wrote", file=sys.stderr)
                yield name, None
                continue
            yield name, resource


def _numbers(out: Path, first: int) -> Iterator[int]:
    """Control numbers from `first` on that no file of the folder bears."""
    used = {int(found[1]) for one in out.iterdir() if (found := _NUMBERED.search(one.name))}
    for number in range(first, 1_000_000_000):
        if number not in used:
            yield number


def _newest(ready: list[Ready]) -> datetime:
    """The newest `created`; a Claim without one counts by its last day of service."""
    days = []
    for _, resource, claim in ready:
        created = str(resource.get("created", ""))[:10]
        try:
            days.append(date.fromisoformat(created))
        except ValueError:
            if claim.last_service_date is not None:
                days.append(claim.last_service_date)
    return datetime.combine(max(days, default=date(2000, 1, 1)), time(0, 0))


def _batch(
    out: Path,
    site: Site,
    payer: str,
    kind: str,
    claims: list[Claim],
    at: datetime,
    number: int,
    *,
    test: bool,
) -> int:
    profile = site.payer(payer)
    body = write_interchange(
        claims,
        sender=site.sender,
        receiver=Receiver(id=profile.receiver or profile.id, name=profile.name or claims[0].payer.name),
        controls=Controls(interchange=number, group=number, set_start=number),
        at=at,
        test=test,
    )
    path = out / f"{_UNSAFE.sub('_', payer)}-{kind}-{number:09d}.x12"
    with path.open("xb") as file:
        file.write(body)
    print(path)
    return len(claims)
