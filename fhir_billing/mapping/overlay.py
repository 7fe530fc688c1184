"""A site changes little, and the rest stays the base's: base and overlay become one flat mapping with a hash.

Slots are the ordinary holes. A patch is the way out: it says what stood there, so that a new base cannot be changed
unseen, why, and until when.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.mapping.document import Path, Source

_WORDS = {"overlay", "site", "extends", "version", "about", "slots", "patch"}
_PATCH = {"at", "was", "now", "because", "until"}
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Base and overlay as one."""

    source: Source
    label: str
    """`claim-professional@2.1.0+demo.1#` and the hash."""
    until: str = ""
    """The day after which a patch of this overlay should be looked at again."""


def flatten(base: Source, overlays: Sequence[Source], *, site: str, tables: str) -> Flat:
    """Lay the overlays that extend this mapping over it. `tables` is a digest of concepts and prices."""
    data: dict[str, Any] = copy.deepcopy(dict(base.data))
    lines = dict(base.lines)
    name, version = str(data["mapping"]), str(data["version"])
    mine = [o for o in overlays if _extends(o, name, version)]
    until = ""
    for overlay in mine:
        unknown = set(map(str, overlay.data)) - _WORDS
        if unknown:
            raise MappingInvalid(
                f"{overlay.file}: nobody reads {', '.join(sorted(unknown))}",
                fix=f"known are {', '.join(sorted(_WORDS))}",
            )
        for slot, value in _slots(overlay, name).items():
            if slot not in (data.get("slots") or {}):
                raise MappingInvalid(
                    f"{overlay.line(('slots', slot))}: {name} has no slot {slot}",
                    fix="see `slots:` of the base mapping",
                )
            data["slots"][slot] = {**data["slots"][slot], "default": value}
            lines["slots", slot] = overlay.lines.get(("slots", slot), 1)
        for position, patch in enumerate(overlay.data.get("patch") or ()):
            if str(patch.get("mapping", name)) == name:
                _patch(data, patch, overlay.line(("patch", position)))
                until = min(filter(None, (until, str(patch.get("until", "")))), default="")
    numbers = "".join(f"+{o.data.get('site', site)}.{o.data.get('version', 1)}" for o in mine) or f"+{site}"
    text = json.dumps([data, tables], sort_keys=True, default=str).encode()
    label = f"{name}@{version}{numbers}#{hashlib.sha256(text).hexdigest()[:16]}"
    return Flat(source=Source(data=data, file=base.file, lines=lines), label=label, until=until)


def _slots(overlay: Source, name: str) -> Mapping[str, str]:
    """An overlay's slots: for every mapping that it extends, or one block for each."""
    slots = overlay.data.get("slots") or {}
    if slots and all(isinstance(value, Mapping) for value in slots.values()):
        return slots.get(name) or {}
    return slots


def _extends(overlay: Source, name: str, version: str) -> bool:
    wanted = overlay.data.get("extends") or []
    for entry in [wanted] if isinstance(wanted, str) else wanted:
        base, _, minor = str(entry).partition("@")
        if base == name:
            if minor and not f"{version}.".startswith(f"{minor}."):
                raise MappingInvalid(
                    f"{overlay.file}: extends {entry}, but the base is {name}@{version}",
                    fix="run this site's cases against the new base, then change `extends`",
                )
            return True
    return False


def _patch(data: dict[str, Any], patch: Mapping[str, Any], where: str) -> None:
    if wrong := set(patch) - _PATCH - {"mapping"}:
        raise MappingInvalid(
            f"{where}: nobody reads {', '.join(sorted(wrong))}", fix=f"known are {', '.join(sorted(_PATCH))}"
        )
    if not {"at", "was", "now", "because", "until"} <= set(patch):
        raise MappingInvalid(f"{where}: a patch says at, was, now, because and until", fix="add what is missing")
    path = _path(str(patch["at"]))
    holder: Any = data
    try:
        for step in path[:-1]:
            holder = holder[step]
        before = holder[path[-1]]
    except (KeyError, IndexError, TypeError):
        raise MappingInvalid(
            f"{where}: the mapping has nothing at {patch['at']}", fix="look the place up in the base"
        ) from None
    if before != patch["was"]:
        raise MappingInvalid(
            f"{where}: at {patch['at']} stands {before!r}, not {patch['was']!r}", fix="look at what the base has become"
        )
    holder[path[-1]] = patch["now"]


def _path(text: str) -> Path:
    return tuple(int(index) if index else name for name, index in _STEP.findall(text))
