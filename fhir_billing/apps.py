"""Another app may read and follow claims here: one file says who it is, how it proves it, what it may see, and where it may be told.

A secret or key is named by such a file and never stands in it. An app may be notified only at hosts that its file lists, and
at an address inside the house only where the file says that this is meant.
Spec: SMART App Launch 2.2 (Backend Services, scopes v1 and v2); RFC 6749 §4.4; RFC 7523.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fhir_billing import word_files
from fhir_billing.domain.errors import NotAllowed, SecretMissing, SiteConfig
from fhir_billing.doors import DoorInvalid, checked_url

TYPES: Final = (
    "Claim", "ClaimResponse", "ExplanationOfBenefit", "Task", "Coverage", "Account", "PaymentReconciliation", "ConceptMap",
    "Subscription",
)  # fmt: skip
"""What an app can have a right to: what is published here, and its own subscriptions."""
ANY: Final = "*"
WORDS: Final = frozenset(
    {"app", "title", "client_id", "jwks", "jwks_url", "secret_env", "scopes", "hosts", "private_hosts"}
)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"system/([A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_CLIENT = re.compile(r"[\x21-\x7e]{1,120}")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class AppInvalid(SiteConfig):
    """An app file that cannot be used."""

    code = "app-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What may be done with one type: some of c, r, u, d and s; `*` is every type."""

    kind: str
    letters: frozenset[str]

    def __str__(self) -> str:
        return f"system/{self.kind}.{''.join(letter for letter in 'cruds' if letter in self.letters)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app, as its file tells."""

    name: str
    client_id: str
    title: str = ""
    jwks: Path | None = None
    jwks_url: str = ""
    secret_env: str = field(default="", repr=False)
    rights: tuple[Right, ...] = ()
    hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()

    def secret(self) -> str:
        """The client secret. Raises SecretMissing."""
        found = os.environ.get(self.secret_env, "")
        if not found:
            raise SecretMissing(f"{self.secret_env} is not set", fix=f"app {self.name} finds its client secret there")
        return found

    def endpoint(self, url: str) -> tuple[str, bool]:
        """Host of an address where this app may be told, and whether it may lie inside the house. Raises NotAllowed."""
        try:
            parts = urlsplit(checked_url(url, "the endpoint"))
            port = parts.port
        except (DoorInvalid, ValueError):
            raise NotAllowed("this endpoint is no https address", fix="use https://host/path") from None
        host = (parts.hostname or "").lower()
        spelled = f"[{host}]" if ":" in host else host
        names = {spelled, f"{spelled}:{port or (443 if parts.scheme == 'https' else 80)}"}
        if names & set(self.private_hosts):
            return host, True
        if names & set(self.hosts) and parts.scheme == "https":
            return host, False
        raise NotAllowed("this app is not told at that host", fix="add the host to its app file")


def parse_right(scope: str) -> Right | None:
    """A scope of version 1 or 2; None when it is none that is understood here.

    >>> str(parse_right("system/Claim.read")), str(parse_right("system/*.rs")), parse_right("patient/Claim.rs")
    ('system/Claim.rs', 'system/*.rs', None)
    """
    found = _SCOPE.fullmatch(scope)
    if not found or not found[2]:
        return None
    return Right(kind=found[1], letters=frozenset(_VERSION_1.get(found[2], found[2])))


def granted(asked: Iterable[str], allowed: Iterable[Right]) -> tuple[Right, ...]:
    """What was asked for, as far as it is allowed.

    >>> [str(r) for r in granted(["system/*.read"], [parse_right("system/Claim.r"), parse_right("system/Task.cruds")])]
    ['system/Claim.r', 'system/Task.rs']
    """
    mine = tuple(allowed)
    found: dict[str, frozenset[str]] = {}
    for right in filter(None, map(parse_right, asked)):
        for own in mine:
            if ANY not in {right.kind, own.kind} and right.kind != own.kind:
                continue
            kind = own.kind if right.kind == ANY else right.kind
            if letters := right.letters & own.letters:
                found[kind] = found.get(kind, frozenset()) | letters
    return tuple(Right(kind=kind, letters=letters) for kind, letters in found.items())


def may(rights: Iterable[Right], kind: str, letter: str) -> bool:
    """Whether this may be done with this type."""
    return any(right.kind in {kind, ANY} and letter in right.letters for right in rights)


def read_apps(folder: Path | None) -> dict[str, App]:
    """Every app file of a folder, by name. Raises AppInvalid with the file and the fix."""
    if folder is None:
        return {}
    apps: dict[str, App] = {}
    for path in word_files.files(folder, AppInvalid, setting="FHIR_BILLING_APPS", what="app"):
        app = _app(path)
        if app.name in apps:
            raise AppInvalid(f"{path.name}: another file is app {app.name} too", fix="give it another name")
        if any(other.client_id == app.client_id for other in apps.values()):
            raise AppInvalid(f"{path.name}: another app has this client_id too", fix="one client_id for one app")
        apps[app.name] = app
    return apps


def of_client(apps: Mapping[str, App], client_id: str) -> App | None:
    """The app that has this client_id."""
    return next((app for app in apps.values() if app.client_id == client_id), None)


def _app(path: Path) -> App:
    said = _parsed(path)
    name = str(said.get("app") or path.stem)
    if not _NAME.fullmatch(name):
        raise AppInvalid(f"{path.name}: {name!r} is no name for an app", fix="use a-z, 0-9 and -")
    client_id = _text(said, "client_id", path)
    if not _CLIENT.fullmatch(client_id):
        raise AppInvalid(f"{path.name}: client_id is missing or has blanks", fix="write it as the app sends it")
    jwks, url, secret = (_text(said, word, path) for word in ("jwks", "jwks_url", "secret_env"))
    if [bool(jwks), bool(url), bool(secret)].count(True) != 1:
        raise AppInvalid(f"{path.name}: an app proves itself in one way", fix="name one of jwks, jwks_url, secret_env")
    try:
        pinned = checked_url(url, "jwks_url") if url else ""
    except DoorInvalid as error:
        raise AppInvalid(f"{path.name}: {error.say}", fix=error.fix) from None
    return App(
        name=name,
        title=_text(said, "title", path) or name,
        client_id=client_id,
        jwks=(path.parent / Path(jwks).expanduser()).absolute() if jwks else None,
        jwks_url=pinned,
        secret_env=secret,
        rights=_rights(_words(said, "scopes", path), path),
        hosts=_hosts(said, "hosts", path),
        private_hosts=_hosts(said, "private_hosts", path),
    )


def _rights(scopes: list[str], path: Path) -> tuple[Right, ...]:
    if not scopes:
        raise AppInvalid(f"{path.name}: scopes are missing", fix="such as system/Claim.rs, one a line")
    found = []
    for scope in scopes:
        right = parse_right(scope)
        if right is None or right.kind not in {*TYPES, ANY}:
            raise AppInvalid(
                f"{path.name}: {scope!r} is no scope here", fix=f"use system/TYPE.rs with {', '.join(TYPES)} or *"
            )
        found.append(right)
    return tuple(found)


def _hosts(said: Mapping[str, Any], word: str, path: Path) -> tuple[str, ...]:
    found = tuple(host.lower() for host in _words(said, word, path))
    for host in found:
        if not _HOST.fullmatch(host):
            raise AppInvalid(
                f"{path.name}: {word} has {host!r}", fix="write host or host:port, without https:// and without *"
            )
    return found


def _parsed(path: Path) -> dict[str, Any]:
    found = word_files.parsed(path, AppInvalid, see="docs/api-fhir.md")
    for word in found:
        if word in {"secret", "client_secret"}:
            raise AppInvalid(f"{path.name}: a secret does not stand in this file", fix="name it by secret_env")
        if word not in WORDS:
            raise AppInvalid(f"{path.name}: {word!r} is no word of an app file", fix=f"use {', '.join(sorted(WORDS))}")
    return found


def _text(said: Mapping[str, Any], word: str, path: Path) -> str:
    return word_files.text(said, word, path, AppInvalid)


def _words(said: Mapping[str, Any], word: str, path: Path) -> list[str]:
    found = said.get(word)
    if found is None:
        return []
    if isinstance(found, str):
        return found.split()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise AppInvalid(f"{path.name}: {word} is no list of words", fix="begin each entry with -")
    return [one.strip() for one in found]
