"""Launch files, tenant files and app files are written by people: what cannot be read is named with its place and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fhir_billing.domain.errors import SiteConfig


def files(folder: Path, wrong: type[SiteConfig], *, setting: str, what: str) -> list[Path]:
    """The YAML files of a folder, in their order. Raises `wrong` when it is no folder."""
    if not folder.is_dir():
        raise wrong(f"{folder} is not a folder", fix=f"set {setting} to the folder of {what} files")
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def parsed(path: Path, wrong: type[SiteConfig], *, see: str, text: str | None = None) -> dict[str, Any]:
    """What a file says, or would say with this text: a table of words. Raises `wrong` with the line."""
    try:
        found = yaml.safe_load(path.read_bytes() if text is None else text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise wrong(f"{place}: this is not YAML", fix="correct the line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(f"{path.name}: cannot be read: {type(error).__name__}", fix="check the file") from None
    if not isinstance(found, dict) or not found:
        raise wrong(f"{path.name}: it holds nothing", fix=f"see {see}")
    return found


def text(said: Mapping[str, Any], word: str, path: Path, wrong: type[SiteConfig], *, needed: str = "") -> str:
    """One word's text, empty when it is not there; `needed` names the page that explains it, and then it must be there."""
    found = said.get(word, "")
    if found is None or not isinstance(found, str | int) or isinstance(found, bool):
        raise wrong(f"{path.name}: {word} is no text", fix="write it on one line")
    if needed and not str(found).strip():
        raise wrong(f"{path.name}: {word} is missing", fix=f"see {needed}")
    return str(found).strip()
