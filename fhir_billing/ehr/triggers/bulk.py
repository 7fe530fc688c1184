"""An EHR may hand out all its visits as files; it takes its time, so the export is asked for, waited for, read and put away.

Where it stands is in the cursor (the job's address, the file and the line): whoever is killed goes on there. A line that cannot
be read is kept and shown, and takes nothing else with it. Files at another server are fetched only where the site names that
server, and then without our token. `bulk`: the whole EHR; `bulk=GROUP`: one group; `bulk=GROUP@HOST`: its files lie at HOST.
Spec: FHIR Bulk Data Access 2, `$export`, Group and system level, `_since`, `_type`, `deleted`, Retry-After.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from fhir_billing.cycle.looking import Remembered
from fhir_billing.cycle.ports import Looked, Sighting
from fhir_billing.domain.errors import BillingError, EhrBrokeContract, MalformedResource, NotNow, NotThere, RateLimited
from fhir_billing.ehr import addresses
from fhir_billing.ehr.answers import issues, seconds
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.ndjson import lines
from fhir_billing.ehr.sightings import OVERLAP, believed, seen
from fhir_billing.fhir.text import loads

MOST_LINES: Final = 5_000
"""What one look reads; the next goes on behind it."""
AGAIN: Final = timedelta(days=1)
"""From one export to the next."""
PATIENCE: Final = timedelta(minutes=1)
"""After a failure, longer with each."""
MOST_FAILED: Final = 10
"""A job that fails so often in a row is given up, and another is begun."""
KEPT_OF_A_LINE: Final = 10_000
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(slots=True)
class _Job:
    """Where an export stands."""

    since: str = ""
    """The time up to which everything was exported, as the EHR wrote it."""
    begun: str = ""
    """When the job was asked for, by our clock: the next export begins there where the EHR's own time is none."""
    status: str = ""
    """The job's address; empty: none runs."""
    after: str = ""
    """Not to be asked before this."""
    file: int = 0
    line: int = 0
    failed: int = 0
    whole: bool = True
    """Whether every file could be fetched: otherwise the next export begins where this one did."""
    over: bool = False
    """Whether every line was given on; the job is put away at the next look, when all of them ring."""
    upto: str = ""
    """The time that the next export begins at."""


@dataclass(slots=True)
class _Haul:
    sightings: list[Sighting] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)

    def looked(self, job: _Job) -> Looked:
        return Looked(
            sightings=tuple(dict.fromkeys(self.sightings)), cursor=json.dumps(asdict(job)), findings=tuple(self.findings)
        )  # fmt: skip

    def unread(self, key: str, say: str, body: bytes = b"", fix: str = "") -> None:
        text = body[:KEPT_OF_A_LINE].decode(errors="replace")
        self.findings.append({"key": key, "say": say, "fix": fix, "at": "", "body": text})


@dataclass(frozen=True, slots=True)
class Bulk:
    """Exports one EHR's visits, or those of a group."""

    client: FhirClient
    group: str = ""
    host: str = ""
    name: str = "bulk"

    def look(self, cursor: str, now: datetime) -> Looked:
        """Begin an export, see how far it is, or read on in it."""
        job, haul = _Job(**json.loads(cursor)) if cursor else _Job(), _Haul()
        if job.after and now < datetime.fromisoformat(job.after):
            return haul.looked(job)
        try:
            if job.over:
                job = self._put_away(job, now)
            elif not job.status:
                self._begin(job, now)
            elif (manifest := self._manifest(job, now)) is not None:
                self._read(job, manifest, haul, now)
        except RateLimited as error:
            job.after = (now + timedelta(seconds=error.retry_after)).isoformat()
        except NotThere:
            if not job.status:
                raise
            job = _Job(since=job.since)  # the EHR has forgotten the job: another one is begun
        except NotNow:
            if not job.status:
                raise
            job.failed += 1
            job.after = (now + job.failed * PATIENCE).isoformat()
            if job.failed >= MOST_FAILED:
                haul.unread("bulk-failed", "the EHR's export failed again and again; another one is begun")
                job = _Job(since=job.since, after=(now + AGAIN).isoformat())
        return haul.looked(job)

    def _begin(self, job: _Job, now: datetime) -> None:
        job.since = job.since if believed(job.since, now) else ""
        path = f"Group/{self.group}/$export" if self.group else "$export"
        query = {"_type": "Encounter", "_outputFormat": "application/fhir+ndjson"}
        query |= {"_since": job.since} if job.since else {}
        answer = self.client.request("GET", path, params=query, headers={"Prefer": "respond-async"})
        place = answer.headers.get("content-location", "")
        if answer.status_code != 202 or not place:
            raise EhrBrokeContract("the EHR does not say where its export is", fix="find its visits in another way")
        job.status, job.after, job.begun = addresses.ours(self.client.base, place), "", (now - OVERLAP).isoformat()

    def _manifest(self, job: _Job, now: datetime) -> Resource | None:
        answer = self.client.request("GET", job.status, headers={"Accept": "application/json"})
        if answer.status_code == 202:
            wait = seconds(answer.headers.get("retry-after", ""))
            job.after, job.failed = (now + timedelta(seconds=wait)).isoformat(), 0
            return None
        found = loads(answer.content)
        if not isinstance(found, dict) or not isinstance(found.get("output"), list):
            raise EhrBrokeContract(
                "the EHR's list of exported files cannot be read", fix="find its visits in another way"
            )
        return found

    def _read(self, job: _Job, manifest: Resource, haul: _Haul, now: datetime) -> None:
        """Read on, `MOST_LINES` at most; at the end the job is put away."""
        count = 0
        for number, (part, url) in enumerate(_files(manifest)):
            if number < job.file:
                continue
            for place, line in self._lines(url, number, manifest, job, haul):
                if place <= job.line:
                    continue
                _take(part, f"line {place} of file {number + 1}", line, haul)
                job.line, job.failed, count = place, 0, count + 1
                if count >= MOST_LINES:
                    return
            job.file, job.line = number + 1, 0
        said = manifest.get("transactionTime")
        upto = str(said) if believed(said, now) else job.begun
        job.over, job.upto = True, upto if job.whole else ""

    def _put_away(self, job: _Job, now: datetime) -> _Job:
        """Every line rings by now: the files may go. What follows begins where this one ended."""
        with suppress(BillingError):
            self.client.request("DELETE", job.status)
        return _Job(since=job.upto or job.since, after=(now + AGAIN).isoformat())

    def _lines(
        self, url: str, number: int, manifest: Resource, job: _Job, haul: _Haul
    ) -> Iterator[tuple[int, bytes | None]]:
        needs_token = manifest.get("requiresAccessToken") is not False
        try:
            there, bare = addresses.ours(self.client.base, url), not needs_token
        except EhrBrokeContract:
            if needs_token or not self.host or urlsplit(url).netloc.lower() != self.host.lower():
                job.whole = False
                haul.unread(
                    "bulk-elsewhere", f"file {number + 1} of the export lies at another server and was not fetched",
                    fix="name that server: FHIR_BILLING_EHR_TRIGGERS=bulk=GROUP@HOST",
                )  # fmt: skip
                return
            there, bare = url, True
        yield from lines(self.client.pieces(there, bare=bare))


def _files(manifest: Resource) -> list[tuple[str, str]]:
    """Every file that is ours to read, with what it holds."""
    found: list[tuple[str, str]] = []
    for part in ("output", "deleted", "error"):
        rows = manifest.get(part)
        for row in rows if isinstance(rows, list) else []:
            if not isinstance(row, dict) or not isinstance(row.get("url"), str):
                continue
            if part != "output" or row.get("type") == "Encounter":
                found.append((part, row["url"]))
    return found


def _take(part: str, where: str, line: bytes | None, haul: _Haul) -> None:
    resource = _resource(line)
    kind = resource.get("resourceType")
    if part == "deleted" and kind == "Bundle":
        haul.sightings.extend(_deleted(resource))
    elif part == "error" and kind == "OperationOutcome":
        rows = resource.get("issue")
        if any(i.get("severity") != "information" for i in rows or () if isinstance(i, dict)):
            haul.unread("bulk-error", f"the EHR could not export something: {issues(line or b'')}", line or b"")
    elif part == "output" and kind == "Encounter" and _ID.fullmatch(str(resource.get("id", ""))):
        haul.sightings.append(seen(resource))
    else:
        haul.unread("bulk-line", f"{where} of the export cannot be read", line or b"", "look at what the EHR exports")


def _resource(line: bytes | None) -> Resource:
    """A line as a resource; an empty one when it is none."""
    try:
        found = loads(line) if line is not None else None
    except MalformedResource:
        return {}
    return found if isinstance(found, dict) else {}


def _deleted(bundle: Resource) -> Iterator[Sighting]:
    rows: Any = bundle.get("entry")
    for row in rows if isinstance(rows, list) else []:
        request = row.get("request") if isinstance(row, dict) else None
        kind, _, name = str(request.get("url", "")).partition("/") if isinstance(request, dict) else ("", "", "")
        if kind == "Encounter" and _ID.fullmatch(name):
            yield Sighting(encounter=f"Encounter/{name}", version="deleted", status="deleted")


def make(client: FhirClient, remembered: Remembered, word: str) -> Bulk:
    """The export of one EHR."""
    group, _, host = word.partition("@")
    return Bulk(client, group, host)
