"""A payer's file may be larger than a row likes: big bodies lie beside the book, each named by its hash, and nobody notices.

With SQLite they lie next to the database file; `FHIR_BILLING_FILES` names another folder, and for Postgres the folder that
all processes share (without it Postgres keeps them itself).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from fhir_billing.domain.errors import ImpossibleState

LARGEST_IN_A_ROW = 1_000_000
FOLDER = "FHIR_BILLING_FILES"


@dataclass(frozen=True, slots=True)
class Bodies:
    """The folder of one store; `None` when everything fits into rows."""

    folder: Path | None

    def put(self, body: bytes) -> tuple[bytes | None, str]:
        """What goes into the row (None when it lies beside it), and the hash. Putting the same bytes twice is harmless."""
        sha256 = hashlib.sha256(body).hexdigest()
        if self.folder is None or len(body) <= LARGEST_IN_A_ROW:
            return body, sha256
        path = self._path(sha256)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(path, body)
        return None, sha256

    def get(self, body: bytes | None, sha256: str) -> bytes:
        """The bytes of a row. Raises ImpossibleState when the file beside it is gone."""
        if body is not None:
            return bytes(body)
        path = self._path(sha256)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ImpossibleState(
                f"the bytes {sha256[:12]}… are not beside the book",
                fix=f"restore {path.name} from the backup, or set {FOLDER}",
            ) from error

    def _path(self, sha256: str) -> Path:
        return (self.folder or Path()).joinpath(sha256[:2], sha256)

    @staticmethod
    def _write(path: Path, body: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def bodies_of(url: URL) -> Bodies:
    """Where this store keeps big bodies."""
    if wanted := os.environ.get(FOLDER):
        return Bodies(Path(wanted).expanduser())
    if url.get_backend_name() == "sqlite" and url.database:
        return Bodies(Path(f"{url.database}.files"))
    return Bodies(None)
