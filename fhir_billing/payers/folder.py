"""Two folders are the oldest channel: what lies in one leaves, what lies in the other has come.

Somebody else's program carries the files (a clearinghouse's agent, a synchronized share), so ours are complete the moment
they have a name, and theirs are taken only when they have lain unchanged for a while.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_billing.cycle.ports import Channel, Waiting
from fhir_billing.domain.errors import ChannelUnavailable, ControlNumberReused
from fhir_billing.payers import ChannelSettings

_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload")


def open_channel(settings: ChannelSettings) -> Channel:
    """The folder `folder` below the channels' root: `out` leaves, `in` has come, `taken` is done with."""
    return FolderChannel(root=settings.root / "folder", quiet_seconds=settings.quiet_seconds)


class FolderChannel:
    """A pair of watched folders."""

    name = "folder"

    def __init__(self, root: Path, quiet_seconds: int = 2) -> None:
        self.outgoing, self.incoming, self.taken = root / "out", root / "in", root / "taken"
        self.quiet_seconds = quiet_seconds

    def send(self, name: str, body: bytes) -> str:
        """Lay the file into `out`, whole or not at all; the same again is harmless, other bytes under its name are refused."""
        with _reachable("out"):
            self._ready()
            target = self.outgoing / _plain(name)
            unfinished = self.outgoing / f".{uuid.uuid4().hex}.tmp"
            try:
                with unfinished.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    os.link(unfinished, target)
                except FileExistsError:
                    _same(target, body)
            finally:
                unfinished.unlink(missing_ok=True)
        return f"{target.name} sha256 {hashlib.sha256(body).hexdigest()[:16]}"

    def fetch(self) -> list[Waiting]:
        """What lies in `in` and is complete, oldest first."""
        found: list[tuple[int, Waiting]] = []
        with _reachable("in"):
            self._ready()
            newest = time.time() - self.quiet_seconds
            for path in self.incoming.iterdir():
                if path.name.startswith(".") or path.name.lower().endswith(_UNFINISHED) or not path.is_file():
                    continue
                facts = path.stat()
                if facts.st_mtime > newest:
                    continue
                body = path.read_bytes()
                if path.stat().st_mtime_ns == facts.st_mtime_ns and len(body) == facts.st_size:
                    found.append((facts.st_mtime_ns, Waiting(name=path.name, body=body, token=_token(path))))
        return [waiting for _, waiting in sorted(found, key=lambda one: (one[0], one[1].name))]

    def took(self, token: str) -> None:
        """Put a file away that is kept elsewhere; one that was replaced since then stays."""
        with _reachable("in"):
            path = self.incoming / _plain(token.rpartition("|")[0])
            try:
                if _token(path) == token:
                    path.rename(_free(self.taken / path.name))
            except FileNotFoundError:
                return

    def _ready(self) -> None:
        for folder in (self.outgoing, self.incoming, self.taken):
            folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _reachable(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise ChannelUnavailable(
            f"the folder {folder!r} cannot be used: {fault.strerror or fault}", fix="look at its rights and its disk"
        ) from fault


def _plain(name: str) -> str:
    """A name that stays in its folder."""
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\x00" in name:
        raise ValueError(f"{name!r} is not the name of a file")
    return name


def _same(target: Path, body: bytes) -> None:
    if target.read_bytes() != body:
        raise ControlNumberReused(f"{target.name} has left with other content", fix="number the envelope anew")


def _token(path: Path) -> str:
    facts = path.stat()
    return f"{path.name}|{facts.st_ino}-{facts.st_mtime_ns}-{facts.st_size}"


def _free(path: Path) -> Path:
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{path.name.removesuffix(f'.{count - 1}')}.{count}")
    return path
