"""A site's files are read here, parsed and handed to the mapping, which never touches a disk.

Every YAML file under sites/SITE is read; its first word says what it is. `concepts/` and `payers/` are shared by all sites.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fhir_billing.domain.codes import icd10
from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.payer import PayerProfile
from fhir_billing.edits import unknown_settings
from fhir_billing.mapping import site as sites
from fhir_billing.mapping.document import Path as Place
from fhir_billing.mapping.document import Source
from fhir_billing.mapping.engine import KINDS as CLAIM_KINDS
from fhir_billing.mapping.engine import build_mapper
from fhir_billing.mapping.site import Chargemaster, Site
from fhir_billing.mapping.terminology import Systems, Terminology
from fhir_billing.mapping.words_and_levels import read_charge_words, read_code_words, read_levels

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
FINDING = ("words", "charge-words", "visit-levels")
"""Files that help to find a code and make no bill."""
KINDS = ("site", "overlay", "concepts", "chargemaster", "payer", "code-systems", "mapping", *FINDING)
CARCS = "carc-to-account"
_CONCEPT_WORDS = {"concepts", "version", "about", "title", "from", "to", "rows", "unmapped", "fixed"}


def load(site: str, root: Path) -> Site:
    """Read and compile everything that a site decides. Raises MappingInvalid with file and line."""
    folder = root / "sites" / site
    if not _NAME.fullmatch(site) or not folder.is_dir():
        known = sorted(p.name for p in (root / "sites").glob("[!_]*") if p.is_dir())
        raise MappingInvalid(f"there is no site {site} in {root / 'sites'}", fix=f"use one of {', '.join(known)}")
    shared = [*_documents(root, root / "concepts"), *_documents(root, root / "payers")]
    own = list(_documents(root, folder))
    made = _assemble(site, shared, own)
    if table := next((str(d["icd10"]) for kind, d, _ in own if kind == "site" and d.get("icd10")), ""):
        made.icd10_valid = _codes(folder / table, f"sites/{site}/{table}")
    bases = [_with_lines(root, path) for path in sorted(root.glob("claim-*/mapping.yaml"))]
    overlays = [_with_lines(root, root / where) for kind, _, where in own if kind == "overlay"]
    made.mapper = build_mapper(bases, overlays, site=site, tables=_digest(shared, own))
    return made


Document = tuple[str, dict[str, Any], str]
"""Its first word, what it says, and its path under the root."""


def _documents(root: Path, folder: Path) -> Iterator[Document]:
    for path in sorted(p for p in folder.rglob("*.yaml") if "cases" not in p.relative_to(folder).parts):
        where = path.relative_to(root).as_posix()
        found = _parse(path, where)
        kind = str(next(iter(found)))
        if kind not in KINDS:
            raise MappingInvalid(
                f"{where}: it does not begin with what it is", fix=f"the first word is one of {', '.join(KINDS)}"
            )
        yield kind, found, where


def _parse(path: Path, where: str) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        raise MappingInvalid(
            f"{place}: this is not YAML: {getattr(error, 'problem', 'broken')}", fix="correct the line"
        ) from None
    except OSError as error:
        raise MappingInvalid(f"{where}: cannot be read: {error.strerror}", fix="check the file") from None
    if not isinstance(found, dict) or not found:
        raise MappingInvalid(f"{where}: it holds nothing", fix="see mappings/README.md")
    return found


def _with_lines(root: Path, path: Path) -> Source:
    where = path.relative_to(root).as_posix()
    data = _parse(path, where)
    lines: dict[Place, int] = {}
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    if node is not None:
        _note(node, (), lines)
    return Source(data=data, file=where, lines=lines)


def _note(node: yaml.Node, path: Place, lines: dict[Place, int]) -> None:
    lines[path] = lines.get(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, key.value)] = key.start_mark.line + 1
            _note(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _note(value, (*path, position), lines)


def _assemble(name: str, shared: list[Document], own: list[Document]) -> Site:
    chargemaster, payers, names = Chargemaster(), dict[str, PayerProfile](), dict[str, str]()
    levels = [read_levels(d, w) for kind, d, w in own if kind == "visit-levels"]
    if len(levels) > 1:
        raise MappingInvalid(f"sites/{name}: there are {len(levels)} tables of visit levels", fix="keep one")
    for kind, document, where in [*shared, *own]:
        if kind == "chargemaster":
            sites.read_chargemaster(document, where, chargemaster)
        elif kind == "payer":
            profile, aliases = sites.read_payer(document, where)
            payers[profile.id] = profile
            names.update(dict.fromkeys(aliases, profile.id))
    found = next(((d, w) for kind, d, w in own if kind == "site"), None)
    if found is None:
        raise MappingInvalid(f"sites/{name}: there is no site.yaml", fix="copy it from sites/_example")
    carcs = [(d, w) for kind, d, w in [*shared, *own] if kind == "concepts" and d["concepts"] == CARCS]
    made = sites.read_site(
        *found,
        terminology=_terminology(shared, own),
        chargemaster=chargemaster,
        payers=payers,
        payer_names=names,
        carcs=sites.read_carcs(carcs),
        visit_levels=levels[0] if levels else None,
        **_spoken(shared, own),
    )
    if wrong := [*_wrong_edits(made, found[1]), *_wrong_kinds(made.terminology)]:
        raise MappingInvalid(wrong[0], fix="correct the word")
    return made


def _spoken(shared: list[Document], own: list[Document]) -> dict[str, Any]:
    """What people call codes and charges."""
    words: dict[str, tuple[tuple[str, ...], ...]] = {}
    charges: dict[str, tuple[str, ...]] = {}
    for kind, document, where in [*shared, *own]:
        if kind == "words":
            for table, row in read_code_words(document, where):
                words[table] = (*words.get(table, ()), row)
        elif kind == "charge-words":
            charges.update(read_charge_words(document, where))
    return {"code_words": words, "charge_words": charges}


def _terminology(shared: list[Document], own: list[Document]) -> Terminology:
    systems: dict[str, list[str]] = {}
    for kind, document, _ in [*shared, *own]:
        if kind == "code-systems":
            for system, uris in document["rows"].items():
                systems.setdefault(system, []).extend(uris)
    terminology = Terminology(Systems(systems))
    for documents, replaces in ((shared, False), (own, True)):
        for kind, document, where in documents:
            if kind == "concepts" and document["concepts"] != CARCS:
                sites.known(document, _CONCEPT_WORDS, where)
                terminology.add(document, where, replaces=replaces)
    return terminology


def _wrong_edits(made: Site, where: str) -> Iterator[str]:
    """Settings of edits that do not exist."""
    yield from (f"{where}: {wrong}" for wrong in unknown_settings(made.edits))
    for payer in made.payers.values():
        yield from (f"payers/{payer.id}: {wrong}" for wrong in unknown_settings(payer.edits))


def _wrong_kinds(terminology: Terminology) -> Iterator[str]:
    """Rows of claim-kind that lead to no mapping."""
    table = terminology.tables.get("claim-kind")
    for target in table.rows.values() if table else ():
        if target.code not in {*CLAIM_KINDS, "not-billable"}:
            yield f"{target.where}: claim-kind has {target.code!r}, which no mapping makes"


def _codes(path: Path, where: str) -> frozenset[str]:
    """Billable codes, one a line, with or without dot; what follows a blank is left alone."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MappingInvalid(f"{where}: cannot be read: {error.strerror}", fix="correct `icd10:` of the site") from None
    return frozenset(icd10(line.split()[0]) for line in lines if line.strip())


def _digest(*groups: list[Document]) -> str:
    digest = hashlib.sha256()
    for _, document, where in (d for group in groups for d in group if d[0] not in FINDING):
        digest.update(f"{where}\0{document!r}\0".encode())
    return digest.hexdigest()
