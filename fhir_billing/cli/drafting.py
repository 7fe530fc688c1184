"""Charts come as files of several forms; each is read whole, and what is wrong in one never stops the others."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

from fhir_billing import mapping_files
from fhir_billing.cycle.draft import DraftedVisit, drafted
from fhir_billing.domain.errors import BillingError, SiteConfig
from fhir_billing.domain.finding import Finding, Owner, Severity
from fhir_billing.fhir.outcome import operation_outcome
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.mapping.chart import Chart, Complaint
from fhir_billing.settings import Settings
from fhir_billing.tenants import site_of

_KINDS = (".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz")
MOST_BYTES = 256 * 1024 * 1024
"""One packed chart file, unpacked: a few kilobytes may unpack to more than a machine has."""
_PIECE = 1024 * 1024


def draft_charts(paths: list[Path], *, site: str | None, as_of: date | None, findings: Path | None) -> int:
    """Read, draft, scrub, print. 1 when an input was refused, 2 when the site or an option is wrong."""
    settings = Settings()
    try:
        loaded = mapping_files.load(site or site_of(settings), settings.mappings)
    except SiteConfig as error:
        print(f"{error}", file=sys.stderr)
        return 2
    chart = Chart()
    read_charts(paths, chart)
    chart.index()
    for complaint in chart.complaints:
        print(complaint, file=sys.stderr)
    try:
        out = findings.open("wb") if findings else None
    except OSError as error:
        print(f"{findings}: cannot be written: {error.strerror}; choose another file", file=sys.stderr)
        return 2
    counts, reasons = Counter[str](), Counter[str]()
    refused = bool(chart.complaints)
    said: set[str] = set()
    try:
        for encounter in chart.finished():
            try:
                visit = drafted(chart, encounter, loaded, today=as_of)
            except Exception as error:  # the other visits go on
                complaint = _not_drafted(chart, encounter, error)
                print(complaint, file=sys.stderr)
                refused = True
                counts["held"] += 1
                reasons["not-drafted"] += 1
                if out is not None:
                    out.write(
                        dumps(operation_outcome([_as_finding(complaint, "not-drafted")], encounter=complaint.encounter))
                        + b"\n"
                    )
                continue
            refused = _complain(chart, visit, said) or refused
            _count(visit, counts, reasons)
            for claim in visit.claims:
                sys.stdout.buffer.write(dumps(claim.resource) + b"\n")
            if out is not None and visit.outcome == "claims" and not visit.is_ready:
                out.write(dumps(operation_outcome(visit.findings, encounter=visit.encounter)) + b"\n")
        counted: set[str] = set()
        for complaint in chart.complaints:
            if (
                complaint.encounter
                and complaint.encounter not in counted
                and ("Encounter", complaint.encounter.rpartition("/")[2]) not in chart.resources
            ):
                if "/" in complaint.encounter:  # without an id, each is another visit
                    counted.add(complaint.encounter)
                counts["held"] += 1
                reasons["malformed-resource"] += 1
                if out is not None:
                    out.write(dumps(operation_outcome([_as_finding(complaint)], encounter=complaint.encounter)) + b"\n")
        sys.stdout.buffer.flush()
    finally:
        if out is not None:
            out.close()
    print(summary(counts, reasons), file=sys.stderr)
    return 1 if refused else 0


def _count(visit: DraftedVisit, counts: Counter[str], reasons: Counter[str]) -> None:
    if visit.outcome != "claims":
        counts[visit.outcome] += 1
    elif visit.is_ready:
        counts["ready"] += 1
    else:
        counts["held"] += 1
        reasons[next(f.key for f in visit.findings if f.is_blocking)] += 1


def summary(counts: Counter[str], reasons: Counter[str]) -> str:
    """The last line: every visit is in it, each held one under its most blocking reason."""
    why = ", ".join(f"{key} {count}" for key, count in sorted(reasons.items(), key=lambda r: (-r[1], r[0])))
    held = f"{counts['held']} held ({why})" if why else f"{counts['held']} held"
    return f"{counts.total()} read = {counts['ready']} ready + {held} + {counts['self-pay']} self-pay + {counts['not billable']} not billable"


def _complain(chart: Chart, visit: DraftedVisit, said: set[str]) -> bool:
    """Say each reference that leads nowhere; whether one of them holds a visit."""
    for finding, holder in visit.dangling:
        kind, _, identity = holder.partition("/")
        file = chart.files.get((kind, identity), "")
        path = finding.at.partition(".")[2] if finding.at.startswith(f"{kind}.") else finding.at
        line = f"{file}: {holder} {path}: {finding.say}; {finding.fix}"
        if line not in said:
            said.add(line)
            print(line, file=sys.stderr)
    return any(finding.is_blocking for finding, _ in visit.dangling)


def _not_drafted(chart: Chart, encounter: dict[str, Any], error: Exception) -> Complaint:
    name = f"Encounter/{encounter['id']}"
    say = (
        error.say
        if isinstance(error, BillingError)
        else "could not be drafted: it holds something that we did not foresee"
    )
    fix = "look at the visit in the chart, and report it to us"
    return Complaint(file=chart.file(encounter), where=name, say=say, fix=fix, encounter=name)


def _as_finding(complaint: Complaint, key: str = "malformed-resource") -> Finding:
    return Finding(
        key=key,
        severity=Severity.BLOCKING,
        say=complaint.say,
        at=complaint.where,
        fix=complaint.fix,
        fix_by=Owner.SITE,
        source="mapping",
        resource=complaint.encounter,
    )


# ---- files -------------------------------------------------------------------------------------


def read_charts(paths: Iterable[Path], chart: Chart) -> None:
    """Everything in these files and folders; what cannot be read is a complaint of the chart."""
    for path in paths:
        for file in _files(path, chart):
            try:
                _read(file, chart)
            except (OSError, EOFError, zlib.error) as error:
                _unreadable(file, error, chart)


def _unreadable(path: Path | str, error: Exception, chart: Chart) -> None:
    say = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    chart.complaints.append(Complaint(file=str(path), where="", say=say, fix="check the path, or export it again"))


def _files(path: Path, chart: Chart) -> list[Path]:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        chart.complaints.append(Complaint(file=str(path), where="", say="there is no such file", fix="check the path"))
        return []
    except (OSError, ValueError) as error:
        _unreadable(path, error, chart)
        return []
    return _in_folder(path, chart) if path.is_dir() else [path]


def _in_folder(path: Path, chart: Chart) -> list[Path]:
    found: list[Path] = []
    before = len(chart.complaints)
    for folder, _, names in os.walk(path, onerror=lambda error: _unreadable(error.filename or path, error, chart)):
        for file in (Path(folder) / name for name in names if name.lower().endswith(_KINDS)):
            try:
                if file.is_file():
                    found.append(file)
            except OSError as error:
                _unreadable(file, error, chart)
    if not found and len(chart.complaints) == before:
        say, fix = "the folder holds no charts", "give a folder with .json or .ndjson files"
        chart.complaints.append(Complaint(file=str(path), where="", say=say, fix=fix))
    return sorted(found)


def _read(file: Path, chart: Chart) -> None:
    body = file.read_bytes()
    if body[:2] == b"\x1f\x8b":
        unpacked = _unpacked(body)
        if unpacked is None:
            say, fix = f"unpacks to more than {MOST_BYTES // 1024**2} MiB", "export it as several files"
            chart.complaints.append(Complaint(file=str(file), where="", say=say, fix=fix))
            return
        body = unpacked
    body = body.removeprefix(b"\xef\xbb\xbf")
    name = str(file)
    is_lines = file.name.lower().removesuffix(".gz").endswith((".ndjson", ".jsonl"))
    if not is_lines:
        try:
            _take(loads(body), chart, name, "")
            return
        except BillingError as error:
            if not _looks_like_lines(body):
                place, say = _split(error.say)
                chart.complaints.append(Complaint(file=name, where=place, say=say, fix=error.fix))
                return
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                _take(loads(line), chart, name, f"line {number}")
            except BillingError as error:
                chart.complaints.append(
                    Complaint(file=name, where=f"line {number}", say=_split(error.say)[1], fix=error.fix)
                )


def _unpacked(body: bytes) -> bytes | None:
    """Unpacked piece by piece; None as soon as it is too much."""
    found = bytearray()
    with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
        while piece := packed.read(_PIECE):
            found += piece
            if len(found) > MOST_BYTES:
                return None
    return bytes(found)


def _looks_like_lines(body: bytes) -> bool:
    """Several JSON objects, one a line."""
    first, _, rest = body.strip().partition(b"\n")
    if not rest.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(loads(first), dict)
    except BillingError:
        return False


def _split(say: str) -> tuple[str, str]:
    place, _, rest = say.rpartition(": ")
    return (place, rest) if place.startswith("line ") else ("", say)


def _take(found: Any, chart: Chart, file: str, where: str) -> None:
    if isinstance(found, dict) and found.get("resourceType") == "Bundle":
        _bundle(found, chart, file, where)
    elif isinstance(found, list):
        for position, each in enumerate(found):
            _take(each, chart, file, f"{where} [{position}]".strip())
    else:
        chart.add(found, file=file, where=where)


def _bundle(bundle: dict[str, Any], chart: Chart, file: str, where: str) -> None:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        chart.complaints.append(
            Complaint(
                file=file,
                where=f"{where} Bundle.entry".strip(),
                say="entry is not a list",
                fix="export the bundle again",
            )
        )
        return
    for position, entry in enumerate(entries):
        place = f"{where} Bundle.entry[{position}]".strip()
        if not isinstance(entry, dict):
            chart.complaints.append(
                Complaint(file=file, where=place, say="the entry is not an object", fix="export the bundle again")
            )
            continue
        resource = entry.get("resource")
        if resource is None:
            if not isinstance(entry.get("request"), dict) and not isinstance(entry.get("response"), dict):
                chart.complaints.append(
                    Complaint(file=file, where=place, say="the entry has no resource", fix="export the bundle again")
                )
            continue
        url = entry.get("fullUrl")
        if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
            _bundle(resource, chart, file, place)
        else:
            chart.add(resource, file=file, url=url if isinstance(url, str) else "", where=place)
