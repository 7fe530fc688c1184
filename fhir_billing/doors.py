"""One chart may have several doors: each launch file tells how one EHR opens our pages, and who we are to it.

A tenant has one chart and one book. Several files are doors to that same chart (production sign-in and a portal's,
two client registrations, two addresses of one server), never two charts in one book: a second EHR is a second tenant.
Secrets are named here, by environment variable or file, and never written here.
Spec: SMART App Launch 2.2 (client kinds, scopes, `iss`); CDS Hooks 2.0 (clients and their keys); CSP 3 frame-ancestors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from fhir_billing import word_files
from fhir_billing.cycle.ports import ChartReader
from fhir_billing.domain.errors import NotAllowed, SecretMissing, SiteConfig

PUBLIC: Final = "public"
SECRET: Final = "secret"  # noqa: S105 - the kind of client
KEY: Final = "key"
CLIENTS: Final = (PUBLIC, SECRET, KEY)
SCOPES: Final = (
    "openid fhirUser launch launch/patient launch/encounter online_access "
    "patient/Patient.rs patient/Encounter.rs patient/Condition.rs patient/Procedure.rs patient/Coverage.rs "
    "patient/ChargeItem.rs patient/Immunization.rs patient/Account.rs patient/RelatedPerson.rs "
    "user/Practitioner.rs user/PractitionerRole.rs user/Organization.rs user/Location.rs"
)
"""The least that the clinician's pages need; answers are written by the billing service, not with the clinician's rights."""
WORDS: Final = frozenset(
    {
        "door", "title", "iss", "aud", "client_id", "client", "secret_env", "secret_file", "key", "key_id", "scopes",
        "frame_ancestors", "prompt", "issuer", "jwks_url", "quirks", "cds",
    }
)  # fmt: skip
CDS_WORDS: Final = frozenset({"iss", "jwks", "jwks_url", "tenant"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_ANCESTOR = re.compile(
    r"'self'|'none'|https?://(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::(?:[0-9]{1,5}|\*))?"
)


class DoorInvalid(SiteConfig):
    """A launch file that cannot be used."""

    code = "door-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class CdsClient:
    """An EHR that may call our CDS services: its issuer, and the keys that are pinned for it."""

    iss: str
    jwks: Path | None = None
    jwks_url: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One EHR that may open our pages, and who we are to it."""

    name: str
    iss: str
    """The FHIR base as the EHR writes it."""
    client_id: str
    client: str = PUBLIC
    title: str = ""
    aud: str = ""
    """What `aud` must be where the EHR wants another spelling than its own `iss`."""
    secret_env: str = ""
    secret_file: Path | None = None
    key: Path | None = None
    key_id: str = ""
    scopes: str = SCOPES
    frame_ancestors: tuple[str, ...] = ()
    prompt: str = "consent"
    """Sent as `prompt`, empty for none: an EHR with a session of its own in this browser may else answer a second launch with
    the first one's grant, and its patient; and OpenID Connect asks for it with offline_access."""
    issuer: str = ""
    """The id_token's issuer, where smart-configuration does not say it."""
    jwks_url: str = ""
    """The id_token's keys, where smart-configuration does not say it."""
    quirks: str = "plain"
    cds: tuple[CdsClient, ...] = ()

    def secret(self) -> str:
        """The client secret, read where the file says it lies. Raises SecretMissing."""
        if self.secret_file is not None:
            try:
                return self.secret_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SecretMissing(
                    f"the client secret of door {self.name} cannot be read ({type(error).__name__})",
                    fix="correct secret_file",
                ) from None
        found = os.environ.get(self.secret_env, "")
        if not found:
            raise SecretMissing(f"{self.secret_env} is not set", fix=f"door {self.name} finds its client secret there")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """A sign-in on its way: what must be remembered until the EHR sends the browser back."""

    door: str
    url: str
    state: str
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    aud: str
    launch: str = ""
    tried: tuple[str, ...] = ()
    """Spellings of `aud` that the EHR refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the EHR gave: a token, the context, and who holds it."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    ends: float = 0.0
    """When the token ends, in seconds since 1970."""
    scopes: frozenset[str] = frozenset()
    patient: str = ""
    encounter: str = ""
    practitioner: str = ""
    user: str = ""
    """Who signed in as the EHR names it: `Type/id`, or the subject."""
    who: str = ""
    banner: bool = True
    intent: str = ""
    style: str = ""


class Smart(Protocol):
    """The SMART sign-in, as the launch pages need it."""

    def begin(self, door: Door, *, back: str, launch: str = "", sent: str = "", tried: tuple[str, ...] = ()) -> Going:
        """Where to send the browser, and what to remember. `sent` is the `iss` as the EHR sent it."""
        ...

    def finish(self, door: Door, going: Going, *, code: str, back: str, iss: str = "") -> Granted:
        """Exchange the code and check who it is. Raises NotAllowed, NotNow, TheirContract."""
        ...

    def refresh(self, door: Door, granted: Granted) -> Granted:
        """A fresh token; the context as it is now. Raises NotAllowed when the EHR ends it."""
        ...

    def end(self, door: Door, granted: Granted) -> None:
        """Tell the EHR that the tokens are not needed any more; its silence is no error."""
        ...


class UserChart(ChartReader, Protocol):
    """The chart as one signed-in user may see it."""

    def read(self, reference: str) -> dict[str, Any]:
        """One resource by `Type/id`. Raises NotThere, ScopeMissing."""
        ...

    def search(self, kind: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every match. Raises ScopeMissing, Unsupported."""
        ...


def read_doors(folder: Path | None) -> dict[str, Door]:
    """Every launch file of a folder, by name. Raises DoorInvalid with the file and the fix."""
    if folder is None:
        return {}
    doors: dict[str, Door] = {}
    for path in word_files.files(folder, DoorInvalid, setting="FHIR_BILLING_LAUNCHES", what="launch"):
        door = _door(path)
        if door.name in doors:
            raise DoorInvalid(f"{path.name}: another file is door {door.name} too", fix="give it another name")
        if twin := find(doors.values(), door.iss):
            raise DoorInvalid(f"{path.name}: {twin.name} has this iss too", fix="one door for one iss")
        doors[door.name] = door
    return doors


def find(doors: Iterable[Door], iss: str) -> Door | None:
    """The door of an `iss`, with or without its last slash; nobody else is spoken to."""
    return next((door for door in doors if same(door.iss, iss)), None)


def same(one: str, other: str) -> bool:
    """Whether two addresses are the same but for a last slash.

    >>> (
    ...     same("https://ehr.example/fhir/", "https://ehr.example/fhir"),
    ...     same("https://ehr.example", "https://ehr.example.evil"),
    ... )
    (True, False)
    """
    return bool(one) and one.removesuffix("/") == other.removesuffix("/")


def ancestors(doors: Iterable[Door]) -> str:
    """Who may frame the launched pages, as CSP says it."""
    found = dict.fromkeys(entry for door in doors for entry in door.frame_ancestors if entry != "'none'")
    return " ".join(found) or "'none'"


def checked_url(url: str, what: str) -> str:
    """An address that may be asked: http(s) without fragment or user, https unless it is this machine. Raises DoorInvalid.

    >>> checked_url("https://ehr.example/fhir", "iss")
    'https://ehr.example/fhir'
    """
    parts = urlsplit(url)
    try:
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.fragment or parts.username or url.endswith("#") or re.search(r"[\s\\]", url):
        raise DoorInvalid(f"{what} is no address", fix="it begins with https:// and has no # in it")
    if parts.scheme != "https" and not is_here(parts.hostname or ""):
        raise DoorInvalid(f"{what} is not https", fix="tokens and charts travel encrypted")
    return url


def is_here(host: str) -> bool:
    """Whether a host is this machine: localhost and what lies below it (RFC 6761), 127.0.0.0/8, ::1.

    >>> [is_here(host) for host in ("south.localhost", "127.0.0.2", "::1", "localhost.example", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _door(path: Path) -> Door:
    said = word_files.parsed(path, DoorInvalid, see="docs/ehr-setup")
    name = str(said.get("door") or path.stem)
    if not _NAME.fullmatch(name):
        raise DoorInvalid(f"{path.name}: {name!r} is no name for a door", fix="use a-z, 0-9 and -")
    _known(said, WORDS, path.name)
    try:
        door = Door(
            name=name,
            title=_text(said, "title", path) or name,
            iss=checked_url(_text(said, "iss", path, needed=True), "iss"),
            aud=checked_url(aud, "aud") if (aud := _text(said, "aud", path)) else "",
            client_id=_text(said, "client_id", path, needed=True),
            client=_text(said, "client", path) or PUBLIC,
            secret_env=_text(said, "secret_env", path),
            secret_file=_file(said, "secret_file", path),
            key=_file(said, "key", path),
            key_id=_text(said, "key_id", path),
            scopes=_scopes(said.get("scopes"), path),
            frame_ancestors=tuple(_framed(said.get("frame_ancestors"), path)),
            prompt=_text(said, "prompt", path) if "prompt" in said else "consent",
            issuer=_text(said, "issuer", path),
            jwks_url=checked_url(url, "jwks_url") if (url := _text(said, "jwks_url", path)) else "",
            quirks=_text(said, "quirks", path) or "plain",
            cds=tuple(_cds(entry, path) for entry in _list(said.get("cds"), "cds", path)),
        )
    except DoorInvalid as error:
        say = error.say if error.say.startswith(path.name) else f"{path.name}: {error.say}"
        raise DoorInvalid(say, fix=error.fix) from None
    _client(door, path.name)
    return door


def _client(door: Door, where: str) -> None:
    """Each kind of client has what it needs and nothing else."""
    wants = {
        PUBLIC: not (door.secret_env or door.secret_file or door.key),
        SECRET: bool(door.secret_env) != bool(door.secret_file) and not door.key,
        KEY: bool(door.key) and not (door.secret_env or door.secret_file),
    }
    fixes = {
        PUBLIC: "a public client has no secret and no key",
        SECRET: "name the secret by secret_env or secret_file",
        KEY: "name the private key's file by key",
    }
    if door.client not in wants:
        raise DoorInvalid(f"{where}: client is {door.client!r}", fix=f"use one of {', '.join(CLIENTS)}")
    if not wants[door.client]:
        raise DoorInvalid(f"{where}: a {door.client} client is not told like this", fix=fixes[door.client])


def _known(said: Mapping[str, Any], words: frozenset[str], where: str) -> None:
    for word in said:
        if word in {"secret", "client_secret"}:
            raise DoorInvalid(
                f"{where}: a secret does not stand in this file", fix="name it by secret_env or secret_file"
            )
        if word not in words:
            raise DoorInvalid(f"{where}: {word!r} is no word of a launch file", fix=f"use {', '.join(sorted(words))}")


def _text(said: Mapping[str, Any], word: str, path: Path, *, needed: bool = False) -> str:
    return word_files.text(said, word, path, DoorInvalid, needed="docs/ehr-setup" if needed else "")


def _file(said: Mapping[str, Any], word: str, path: Path) -> Path | None:
    """A file named in a launch file, beside it or by its full path."""
    text = _text(said, word, path)
    return (path.parent / Path(text).expanduser()).absolute() if text else None


def _list(found: Any, word: str, path: Path) -> Sequence[Any]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise DoorInvalid(f"{path.name}: {word} is no list", fix="begin each entry with -")
    return found


def _scopes(found: Any, path: Path) -> str:
    if found is None:
        return SCOPES
    words = found.split() if isinstance(found, str) else [str(word) for word in _list(found, "scopes", path)]
    if not words or any(re.search(r"[\s\"\\]", word) for word in words):
        raise DoorInvalid(f"{path.name}: scopes are no list of words", fix="one scope a line, or one line with blanks")
    return " ".join(words)


def _framed(found: Any, path: Path) -> Iterable[str]:
    """Who may frame us; a word that could open the policy further is refused."""
    entries = found.split() if isinstance(found, str) else _list(found, "frame_ancestors", path)
    for entry in entries:
        if not _ANCESTOR.fullmatch(str(entry)):
            raise DoorInvalid(
                f"{path.name}: frame_ancestors has {str(entry)!r}", fix="use origins such as https://ehr.example"
            )
        yield str(entry)


def _cds(entry: Any, path: Path) -> CdsClient:
    if not isinstance(entry, dict):
        raise DoorInvalid(f"{path.name}: an entry of cds is no table", fix="give it iss and jwks or jwks_url")
    _known(entry, CDS_WORDS, f"{path.name}: cds")
    jwks, url = _file(entry, "jwks", path), _text(entry, "jwks_url", path)
    if bool(jwks) == bool(url):
        raise DoorInvalid(f"{path.name}: a cds client has either jwks or jwks_url", fix="pin its keys by one of them")
    return CdsClient(
        iss=_text(entry, "iss", path, needed=True),
        jwks=jwks,
        jwks_url=checked_url(url, "jwks_url") if url else "",
        tenant=_text(entry, "tenant", path),
    )


def entered(doors: Mapping[str, Door], iss: str) -> Door:
    """The door that an EHR named. Raises NotAllowed for any other, and asks it nothing."""
    door = find(doors.values(), iss)
    if door is None:
        raise NotAllowed("This EHR is not known here", fix="ask whoever runs this page to add its launch file")
    return door
