"""An app may take everything that it may read in one go: files of NDJSON, made aside, kept for an hour, and for that app only.

All files of one job show the book at one moment. A job that was cut off says so; it is begun again.
Spec: FHIR Bulk Data Access 2.0: kick-off, status, manifest, delete.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from fhir_billing.api.fhir.answers import Refused, address, wiring_of
from fhir_billing.api.fhir.routes import audited
from fhir_billing.api.fhir.search import first_moment
from fhir_billing.api.fhir.tokens import Access, bearer
from fhir_billing.api.guard import body_of
from fhir_billing.apps import may
from fhir_billing.cycle.published import OF_A_PATIENT, PARAMS, Published
from fhir_billing.domain.errors import BillingError
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.logs import log
from fhir_billing.settings import home
from fhir_billing.wiring import Wiring

router = APIRouter(prefix="/fhir")
LIVES: Final = 3600
MOST_BYTES: Final = 65_536
SILENT: Final = 120
"""Seconds without progress after which a job counts as cut off."""
PIECE: Final = 500
FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_log = log("export")
Asker = Annotated[Access, Depends(bearer)]


@router.api_route("/$export", methods=["GET", "POST"])
async def system(request: Request, access: Asker) -> Response:
    """Begin: every type that the app may read."""
    said = await _said(request)
    return await run_in_threadpool(_begun, request, access, tuple(PARAMS), said)


@router.api_route("/Patient/$export", methods=["GET", "POST"])
async def patients(request: Request, access: Asker) -> Response:
    """Begin: what belongs to patients."""
    said = await _said(request)
    return await run_in_threadpool(_begun, request, access, tuple(k for k in PARAMS if k in OF_A_PATIENT), said)


@router.get("/export/{job}")
def status(request: Request, job: str, access: Asker) -> Response:
    """How far it is; the list of files when it is done."""
    wiring = wiring_of(request)
    said = _job(wiring, job, access)
    now = int(wiring.clock.now().timestamp())
    if said["status"] == "running" and now - int(said["touched"]) < SILENT:
        headers = {"x-progress": f"{said['count']} resources", "retry-after": "2"}
        return Response(status_code=202, headers=headers)
    if said["status"] != "done":
        raise Refused(500, "exception", "this export was cut off; begin it again")
    place = f"{address(request)}/export/{job}"
    manifest = {
        "transactionTime": said["at"],
        "request": said["request"],
        "requiresAccessToken": True,
        "output": [
            {"type": kind, "url": f"{place}/{kind}.ndjson", "count": count} for kind, count in said["files"].items()
        ],
        "error": [],
    }
    return JSONResponse(manifest, headers={"expires": formatdate(int(said["ends"]), usegmt=True)})


@router.get("/export/{job}/{kind}.ndjson")
def file(request: Request, job: str, kind: str, access: Asker) -> Response:
    """One file, as a stream."""
    wiring = wiring_of(request)
    said = _job(wiring, job, access)
    path = _folder(wiring) / _hidden(job) / f"{kind}.ndjson"
    if said["status"] != "done" or kind not in said["files"] or not path.is_file():
        raise _nothing()
    access.needs(kind, "r")
    audited(wiring, access, "export", [kind], why=f"{said['files'][kind]} resources")
    return FileResponse(path, media_type="application/fhir+ndjson")


@router.delete("/export/{job}")
def end(request: Request, job: str, access: Asker) -> Response:
    """Stop it, or forget its files."""
    wiring = wiring_of(request)
    _job(wiring, job, access)
    wiring.vault.drop(f"app-export:{job}")
    wiring.vault.drop(f"app-exporting:{access.app.name}")
    _removed(wiring, job)
    return Response(status_code=202)


async def _said(request: Request) -> list[tuple[str, str]]:
    """The parameters of a kick-off: in the address, and by POST in Parameters too."""
    said = list(request.query_params.multi_items())
    body = await body_of(request, MOST_BYTES) if request.method == "POST" else b""
    if not body.strip():
        return said
    try:
        rows = loads(body)["parameter"]
        return said + [(str(row["name"]), str(next(v for k, v in row.items() if k != "name"))) for row in rows]
    except (BillingError, KeyError, TypeError, AttributeError, StopIteration):
        raise Refused(400, "structure", "the body of a kick-off is Parameters, or empty") from None


def _begun(request: Request, access: Access, offered: tuple[str, ...], pairs: list[tuple[str, str]]) -> Response:
    wiring = wiring_of(request)
    kinds, since = _asked(request, access, offered, pairs)
    _sweep(_folder(wiring))
    if not wiring.vault.first(f"app-exporting:{access.app.name}", seconds=600):
        raise Refused(429, "throttled", "an export of this app is being made", {"retry-after": "30"})
    job, now = secrets.token_urlsafe(24), wiring.clock.now()
    said = {
        "app": access.app.name,
        "at": now.isoformat(timespec="milliseconds"),
        "request": str(request.url.replace(scheme="", netloc="")),
        "status": "running",
        "touched": int(now.timestamp()),
        "count": 0,
        "files": {},
    }
    said["request"] = f"{wiring.settings.public_url.rstrip('/')}{said['request']}"
    _keep(wiring, job, said)
    audited(wiring, access, "export", kinds, why="begun")
    threading.Thread(target=_made, args=(wiring, job, said, kinds, since), name="export", daemon=True).start()
    return Response(status_code=202, headers={"content-location": f"{address(request)}/export/{job}"})


def _asked(
    request: Request, access: Access, offered: tuple[str, ...], pairs: list[tuple[str, str]]
) -> tuple[tuple[str, ...], datetime | None]:
    """Types and moment of a kick-off. Raises Refused."""
    said = dict(pairs)
    if "respond-async" not in request.headers.get("prefer", "").lower():
        raise Refused(400, "invalid", "an export is made aside; send Prefer: respond-async")
    if set(said) - {"_type", "_since", "_outputFormat"}:
        raise Refused(400, "not-supported", "$export has _type, _since and _outputFormat")
    if said.get("_outputFormat", "ndjson").replace(" ", "+") not in FORMATS:
        raise Refused(400, "not-supported", "_outputFormat is application/fhir+ndjson")
    since = None
    if "_since" in said and (since := first_moment(said["_since"])) is None:
        raise Refused(400, "invalid", "_since is a moment, such as 2026-03-02T09:30:00Z")
    wanted = tuple(dict.fromkeys(word for name, text in pairs if name == "_type" for word in text.split(",") if word))
    if any(kind not in offered for kind in wanted):
        raise Refused(400, "not-supported", f"_type is among {', '.join(offered)}")
    for kind in wanted:
        access.needs(kind, "r")
        access.needs(kind, "s")
    allowed = tuple(kind for kind in offered if may(access.rights, kind, "r") and may(access.rights, kind, "s"))
    if not allowed:
        access.needs("*", "r")
    return wanted or allowed, since


def _made(wiring: Wiring, job: str, said: dict[str, Any], kinds: tuple[str, ...], since: datetime | None) -> None:
    """Write the files; a fault ends the job and is said."""
    try:
        folder = _folder(wiring) / _hidden(job)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        with wiring.store.looking() as book:
            published = Published(book, wiring.site, wiring.settings.ehr_url)
            for kind in kinds:
                if not _written(wiring, job, said, published, folder / f"{kind}.ndjson", kind, since):
                    _removed(wiring, job)
                    return
        said |= {"status": "done", "ends": int(wiring.clock.now().timestamp()) + LIVES}
    except Exception as error:
        _log.error("an export failed", error=type(error).__name__)
        said |= {"status": "failed"}
    if _job_bytes(wiring, job) is None:
        _removed(wiring, job)
        return
    _keep(wiring, job, said)
    wiring.vault.drop(f"app-exporting:{said['app']}")
    timer = threading.Timer(LIVES, _removed, args=(wiring, job))
    timer.daemon = True
    timer.start()


def _written(
    wiring: Wiring, job: str, said: dict[str, Any], published: Published, path: Path, kind: str, since: datetime | None
) -> bool:
    """Write one type; False when the job was ended meanwhile."""
    count = 0
    with _private(path) as out:
        for entry in published.entries(kind):
            if since is not None and entry.updated is not None and entry.updated <= since:
                continue
            out.write(dumps(published.resource(entry)) + b"\n")
            count += 1
            if count % PIECE == 0 and not _progress(wiring, job, said, count):
                return False
    if count:
        said["files"] = {**said["files"], kind: count}
    else:
        path.unlink()
    return _progress(wiring, job, said, 0)


def _progress(wiring: Wiring, job: str, said: dict[str, Any], more: int) -> bool:
    if _job_bytes(wiring, job) is None:
        return False
    said |= {"touched": int(wiring.clock.now().timestamp()), "count": sum(said["files"].values()) + more}
    _keep(wiring, job, said)
    return True


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file that only this program reads."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        yield out


def _keep(wiring: Wiring, job: str, said: Mapping[str, Any]) -> None:
    wiring.vault.put(f"app-export:{job}", json.dumps(said).encode(), seconds=LIVES)


def _job_bytes(wiring: Wiring, job: str) -> bytes | None:
    return wiring.vault.get(f"app-export:{job}")


def _job(wiring: Wiring, job: str, access: Access) -> dict[str, Any]:
    """The app's own job. Raises Refused 404 for any other."""
    found = _job_bytes(wiring, job) if len(job) <= 64 else None
    said: dict[str, Any] = json.loads(found) if found else {}
    if said.get("app") != access.app.name:
        raise _nothing()
    return said


def _folder(wiring: Wiring) -> Path:
    """Where files of exports lie: with the other files of this book."""
    settings = wiring.settings
    if settings.files is not None:
        return settings.files.expanduser() / "exports"
    url = settings.database_url
    if url.startswith("sqlite:///"):
        return Path(f"{url.removeprefix('sqlite:///')}.files") / "exports"
    return home() / "exports" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _hidden(job: str) -> str:
    """The folder's name tells nobody the job's."""
    return hashlib.sha256(f"export:{job}".encode()).hexdigest()[:32]


def _removed(wiring: Wiring, job: str) -> None:
    shutil.rmtree(_folder(wiring) / _hidden(job), ignore_errors=True)


def _sweep(folder: Path) -> None:
    """What an earlier process left behind for longer than an hour."""
    with suppress(OSError):
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > LIVES * 2:
                shutil.rmtree(old, ignore_errors=True)


def _nothing() -> Refused:
    return Refused(404, "not-found", "there is nothing of that id")
