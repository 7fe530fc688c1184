"""Each word of a tenant file is one setting, read in one way; what cannot be read so is refused with the fix.

`docs/ehr-setup/tenant-file.md` explains each word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fhir_billing.domain.errors import SiteConfig
from fhir_billing.doors import DoorInvalid, checked_url
from fhir_billing.settings import checked_networks, checked_place


class TenantInvalid(SiteConfig):
    """A tenant file that cannot be used."""

    code = "tenant-invalid"


def _text(found: object, path: Path) -> object:
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise TenantInvalid("is no text", fix="write it on one line")
    return str(found).strip()


def _file(found: object, path: Path) -> object:
    """A file or folder, beside the tenant file or by its full path."""
    return (path.parent / Path(str(_text(found, path))).expanduser()).absolute()


def _files(found: object, path: Path) -> object:
    paths = [str(_file(one, path)) for one in (found if isinstance(found, list) else [found])]
    if any("," in one for one in paths):
        raise TenantInvalid("has a comma in a path", fix="give the file another name")
    return ",".join(paths)


def _list(found: object, path: Path) -> object:
    """A list, or one line with commas."""
    words = found if isinstance(found, list) else [found]
    return ",".join(str(_text(word, path)) for word in words)


def _words(found: object, path: Path) -> object:
    """A list, or one line with blanks."""
    words = found if isinstance(found, list) else [found]
    return " ".join(str(_text(word, path)) for word in words)


def _url(found: object, path: Path) -> object:
    try:
        return checked_url(str(_text(found, path)), "it").rstrip("/")
    except DoorInvalid as error:
        raise TenantInvalid(error.say.replace("it is", "is"), fix=error.fix) from None


def _database(found: object, path: Path) -> object:
    text = str(_text(found, path))
    return text if "://" in text else f"sqlite:///{_file(text, path)}"


def _count(found: object, path: Path) -> object:
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise TenantInvalid("is no number", fix="write a whole number, such as 4")
    return found


def _hour(found: object, path: Path) -> object:
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= 23:
        raise TenantInvalid("is no hour of the day", fix="write a whole number from 0 to 23")
    return found


def _place(found: object, path: Path) -> object:
    """Where something listens."""
    return _checked(checked_place, str(_text(found, path)), "write it as 127.0.0.1:2575")


def _networks(found: object, path: Path) -> object:
    return _checked(checked_networks, str(_list(found, path)), "write networks such as 10.1.2.0/24")


def _checked(check: Callable[[str], str], text: str, fix: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise TenantInvalid(f"cannot be so: {error}", fix=fix) from None


def _flag(found: object, path: Path) -> object:
    if not isinstance(found, bool):
        raise TenantInvalid("is neither true nor false", fix="write true or false")
    return found


Reading = Callable[[object, Path], object]
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _name_of_variable(found: object, path: Path) -> object:
    text = str(_text(found, path))
    if not VARIABLE.fullmatch(text):
        raise TenantInvalid(
            "is no name of an environment variable", fix="the secret itself does not stand in this file"
        )
    return text


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a tenant file: which setting it is, how it is read, and whether it names the variable that holds it."""

    setting: str
    read: Reading = _text
    held: bool = False


WORDS: Final[Mapping[str, Word]] = {
    "tenant": Word(""),
    "title": Word("title"),
    "public_url": Word("public_url", _url),
    "site": Word("site"),
    "database": Word("database", _database),
    "database_env": Word("database", _name_of_variable, held=True),
    "session_secret_env": Word("session_secret", _name_of_variable, held=True),
    "frame_ancestors": Word("frame_ancestors", _words),
    "channels": Word("channels", _file),
    "launches": Word("launches", _file),
    "apps": Word("apps", _file),
    "hl7_out": Word("hl7_out", _place),
    "reconcile_at": Word("reconcile_at", _hour),
    "ehr.url": Word("ehr_url", _url),
    "ehr.client_id": Word("ehr_client_id"),
    "ehr.key": Word("ehr_key", _file),
    "ehr.key_id": Word("ehr_key_id"),
    "ehr.more_keys": Word("ehr_more_keys", _files),
    "ehr.secret_env": Word("ehr_secret_env", _name_of_variable),
    "ehr.secret_file": Word("ehr_secret_file", _file),
    "ehr.token_url": Word("ehr_token_url", _url),
    "ehr.scopes": Word("ehr_scopes", _words),
    "ehr.quirks": Word("ehr_quirks"),
    "ehr.triggers": Word("ehr_triggers", _list),
    "ehr.rung": Word("ehr_rung"),
    "ehr.write_back": Word("ehr_write_back", _flag),
    "ehr.at_once": Word("ehr_at_once", _count),
    "ehr.per_second": Word("ehr_per_second", _count),
    "hooks.secret_env": Word("hook_secret", _name_of_variable, held=True),
    "hooks.allow": Word("hook_allow", _networks),
    "mllp.listen": Word("mllp_listen", _place),
    "mllp.allow": Word("mllp_allow", _networks),
    "sign_in.issuer": Word("oidc_issuer", _url),
    "sign_in.client_id": Word("oidc_client_id"),
    "sign_in.secret_env": Word("oidc_client_secret", _name_of_variable, held=True),
    "sign_in.allowed": Word("oidc_allowed", _list),
}
TABLES: Final = frozenset(word.partition(".")[0] for word in WORDS if "." in word)
