"""A mapping file, with its lines: what an analyst wrote, checked before it is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_billing.domain.errors import MappingInvalid

Path = tuple[str | int, ...]

_WORDS = {"mapping", "version", "title", "about", "fhir", "needs", "slots", "into", "must"}
_MUST = {"key", "that", "say", "fix", "fix_by", "at", "severity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A parsed file, and on which line each of its places stands."""

    data: Mapping[str, Any]
    file: str
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> str:
        """`file:line`."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.file}:{self.lines.get(path, 1)}"


def check_mapping(source: Source) -> None:
    """Refuse a mapping that lacks something or has a word that nobody reads."""
    data = source.data
    unknown = sorted(set(map(str, data)) - _WORDS)
    if unknown:
        raise MappingInvalid(
            f"{source.file}: nobody reads {', '.join(unknown)}", fix=f"known are {', '.join(sorted(_WORDS))}"
        )
    lacking = [word for word in ("mapping", "version", "needs", "into") if word not in data]
    if lacking:
        raise MappingInvalid(
            f"{source.file}: {', '.join(lacking)} is missing", fix="see claim-professional/mapping.yaml"
        )
    for position, must in enumerate(data.get("must") or ()):
        where = source.line(("must", position))
        if not isinstance(must, Mapping) or not {"key", "that", "say"} <= set(must):
            raise MappingInvalid(f"{where}: a must has key, that and say", fix="add what is missing")
        if wrong := set(must) - _MUST:
            raise MappingInvalid(
                f"{where}: nobody reads {', '.join(sorted(wrong))}", fix=f"known are {', '.join(sorted(_MUST))}"
            )
