"""Several EHRs live in one installation, each in a house of its own: one tenant file, one chart, one book, one address.

A file is read strictly: a misspelt word stops the start and says which word was meant. What belongs to one tenant is never
taken from the environment that all share; secrets are named here, by environment variable or file, and never written here.
Two tenants that would share a book, an address, a port or a key are refused.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from fhir_billing import word_files
from fhir_billing.domain.errors import SecretMissing
from fhir_billing.settings import Settings
from fhir_billing.tenants.words import TABLES, WORDS, TenantInvalid

__all__ = ["Tenant", "TenantInvalid", "accept", "read_each", "read_tenants", "site_of", "written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One tenant file as it was read."""

    name: str
    title: str
    where: str
    """The file's name, for people."""
    public_url: str
    said: Mapping[str, object] = field(default_factory=dict)
    """Settings that the file says."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Settings that lie in a variable that the file names."""

    @property
    def host(self) -> str:
        """The host at which this tenant is found; its port may be another in front of us."""
        return urlsplit(self.public_url).hostname or ""

    def settings(self, shared: Settings) -> Settings:
        """This tenant's settings. Raises SecretMissing for a variable that is not set."""
        found = {word: _variable(name, self.where) for word, name in self.named.items()}
        own = {
            "channels": shared.channels / self.name,
            "files": shared.files / self.name if shared.files else None,
            "session_secret": _derived(shared.session_secret, self.name),
        }
        alone = {"tenant": self.name, "tenants": None}
        return shared.model_copy(update={**_blank(), **own, **self.said, **found, **alone})


def read_tenants(folder: Path) -> dict[str, Tenant]:
    """Every tenant file of a folder, by name. Raises TenantInvalid with the file and the fix."""
    tenants, faults = read_each(folder)
    if faults:
        raise faults[0]
    if not tenants:
        raise TenantInvalid(f"{folder} holds no tenant file", fix="write one with `fhir-billing ehr add`")
    return tenants


def read_each(folder: Path) -> tuple[dict[str, Tenant], list[TenantInvalid]]:
    """The tenants whose files can be used, and what is wrong with each other file. Raises TenantInvalid for no folder."""
    tenants: dict[str, Tenant] = {}
    faults: list[TenantInvalid] = []
    owners: Owners = {}
    for path in word_files.files(folder, TenantInvalid, setting="FHIR_BILLING_TENANTS", what="tenant"):
        try:
            _joined(_tenant(path), tenants, owners)
        except TenantInvalid as error:
            faults.append(error)
    return tenants, faults


def accept(path: Path, text: str) -> None:
    """Read a tenant file before it is written, beside those that are there. Raises TenantInvalid."""
    tenants = read_tenants(path.parent) if any(path.parent.glob("*.y*ml")) else {}
    owners: Owners = {}
    for tenant in tenants.values():
        _apart(tenant, owners)
    _joined(_tenant(path, text), tenants, owners)


def site_of(settings: Settings) -> str:
    """The site of the tenant that is chosen; where none is, the one that is set."""
    if not (settings.tenants and settings.tenant):
        return settings.site
    tenant = read_tenants(settings.tenants).get(settings.tenant)
    if tenant is None:
        raise TenantInvalid(f"there is no tenant {settings.tenant!r}", fix="look into the folder of tenant files")
    return str(tenant.said["site"])


def written(
    name: str,
    *,
    public_url: str,
    site: str,
    database: str,
    ehr: Mapping[str, object],
    **more: object,
) -> str:
    """A tenant file as text; what is left empty is left out. Secrets are named in it, never written. `more`: its other words."""
    said = {"tenant": name, "public_url": public_url, "site": site, "database": database, "ehr": ehr, **more}
    return yaml.safe_dump(_full(said), sort_keys=False, allow_unicode=True)


def _full(said: Mapping[str, object]) -> dict[str, object]:
    kept = {word: _full(value) if isinstance(value, Mapping) else value for word, value in said.items()}
    return {word: value for word, value in kept.items() if value is False or value not in (None, "", [], {}, ())}


Owners = dict[tuple[str, str], tuple["Tenant", str]]
"""What is somebody's own: what it is and which one, whose tenant's, and in whose name."""
SEE: Final = "docs/ehr-setup/tenant-file.md"
SECRETS: Final = frozenset({"secret", "client_secret", "session_secret", "password"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def _tenant(path: Path, text: str | None = None) -> Tenant:
    said: dict[str, object] = {}
    named: dict[str, str] = {}
    flat = _flat(word_files.parsed(path, TenantInvalid, see=SEE, text=text), path)
    for word, found in flat.items():
        known = WORDS[word]
        try:
            value = known.read(found, path)
        except TenantInvalid as error:
            raise TenantInvalid(f"{path.name}: {word} {error.say}", fix=error.fix) from None
        if known.held:
            named[known.setting] = str(value)
        elif known.setting:
            said[known.setting] = value
    name = str(flat.get("tenant") or path.stem)
    if not _NAME.fullmatch(name):
        raise TenantInvalid(f"{path.name}: {name!r} is no name for a tenant", fix="use a-z, 0-9 and -")
    if ("database" in flat) == ("database_env" in flat):
        raise TenantInvalid(f"{path.name}: it needs a book of its own", fix="write database, or database_env")
    for word in ("public_url", "site"):
        if word not in flat:
            raise TenantInvalid(f"{path.name}: {word} is missing", fix=f"see {SEE}")
    return Tenant(
        name=name,
        title=str(flat.get("title") or name),
        where=path.name,
        public_url=str(said["public_url"]),
        said=said,
        named=named,
    )


def _flat(said: Mapping[str, Any], path: Path) -> dict[str, object]:
    """`ehr: {url: …}` as `ehr.url: …`; a word that is not known is refused with the one that was meant."""
    flat: dict[str, object] = {}
    for word, value in said.items():
        if word in TABLES:
            if not isinstance(value, dict):
                raise TenantInvalid(
                    f"{path.name}: {word} is no table", fix=f"write its words beneath {word}:, indented"
                )
            flat |= {f"{word}.{inner}": found for inner, found in value.items()}
        else:
            flat[str(word)] = value
    for word in flat:
        if word not in WORDS:
            raise _unknown(word, path)
    return {word: value for word, value in flat.items() if value is not None}


def _unknown(word: str, path: Path) -> TenantInvalid:
    if word.rpartition(".")[2] in SECRETS:
        return TenantInvalid(f"{path.name}: {word}: a secret does not stand in this file", fix="name it by secret_env")
    near = difflib.get_close_matches(word, [*WORDS, *TABLES], n=1, cutoff=0.0)[0]
    return TenantInvalid(f"{path.name}: {word!r} is no word of a tenant file", fix=f"{near!r} is the nearest")


# apart


def _joined(tenant: Tenant, tenants: dict[str, Tenant], owners: Owners) -> None:
    """One more of them. Raises TenantInvalid for one that cannot live beside the others."""
    if tenant.name in tenants:
        raise TenantInvalid(f"{tenant.where}: another file is tenant {tenant.name} too", fix="give it another name")
    _apart(tenant, owners)
    tenants[tenant.name] = tenant


def _apart(tenant: Tenant, owners: Owners) -> None:
    """It shares nothing that must be one's own. Raises TenantInvalid."""
    client = f"{tenant.said.get('ehr_url', '')} {tenant.said.get('ehr_client_id', '')}"
    for what, which, whose in (
        ("host", tenant.host, tenant.name),
        ("database", _book(tenant), tenant.name),
        ("HL7 v2 port", str(tenant.said.get("mllp_listen", "")), tenant.name),
        *(("key", key, client) for key in _keys(tenant)),
    ):
        other, who = owners.setdefault((what, which), (tenant, whose))
        if which and who != whose:
            raise TenantInvalid(
                f"{tenant.where} and {other.where} have the same {what}", fix=f"give each a {what} of its own"
            )


def _book(tenant: Tenant) -> str:
    """Which book it is, however it is written: the file, or server and name."""
    said = str(tenant.said.get("database") or os.environ.get(tenant.named.get("database", ""), ""))
    parts = urlsplit(said)
    if parts.scheme.startswith("sqlite"):
        return str(Path(said.partition(":///")[2].partition("?")[0]).resolve())
    kind = parts.scheme.partition("+")[0].replace("postgresql", "postgres")
    return f"{kind}://{parts.hostname}:{parts.port or 5432}{parts.path}" if said else ""


def _keys(tenant: Tenant) -> list[str]:
    """Which keys it signs with: by what is in the files, or by where they lie."""
    own = str(tenant.said.get("ehr_key") or "")
    more = str(tenant.said.get("ehr_more_keys") or "").split(",")
    return [_digest(Path(path.partition("#")[0])) for path in (own, *more) if path]


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return str(path.resolve())


def _variable(name: str, where: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        raise SecretMissing(f"{where}: {name} is not set", fix="the tenant file names it")
    return found


def _blank() -> dict[str, object]:
    """What belongs to one tenant as it is when its file does not say it."""
    fields = {word.setting: Settings.model_fields[word.setting] for word in WORDS.values() if word.setting}
    return {name: found.default for name, found in fields.items() if not found.default_factory}


def _derived(secret: str, name: str) -> str:
    """A secret of the tenant's own, made from the installation's: what one sealed or signed means nothing to another."""
    return hmac.new(secret.encode(), b"tenant " + name.encode(), hashlib.sha256).hexdigest() if secret else ""
