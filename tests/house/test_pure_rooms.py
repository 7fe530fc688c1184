"""A stranger can print the core and read it on a train: each pure room imports what this table says and nothing else."""

from __future__ import annotations

import ast
import sys

from tests.house.source import Module, complaints, modules

IMPURE = {
    "asyncio", "http", "logging", "multiprocessing", "os", "random", "secrets", "select", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "webbrowser",
}  # fmt: skip
MAY: dict[str, set[str]] = {
    "domain": set(),
    "x12": {"domain"},
    "fhir": {"domain", "fhir.resources", "msgspec"},
    "edits": {"domain"},
    "finder": {"msgspec"},
    "mapping": {"domain", "fhir"},
    "simulator": {"domain", "x12"},
    "questions": {"domain", "mapping", "edits", "fhir"},
    "cycle": {"domain", "mapping", "edits", "questions", "x12", "fhir"},
    "cds": {"domain", "mapping", "edits", "questions", "fhir", "cycle"},
}


def imported(module: Module) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}:{node.lineno} a relative import"
            found += [(node.lineno, node.module or "")]
            if node.module == "fhir_billing":
                found += [(node.lineno, f"fhir_billing.{alias.name}") for alias in node.names]
    return found


def allowed(module: Module, name: str) -> bool:
    top, _, rest = name.partition(".")
    if top == "fhir_billing":
        return not rest or rest.split(".")[0] in MAY[module.room] | {module.room}
    if top in sys.stdlib_module_names:
        return top not in IMPURE or name == "urllib.parse"
    return any(name == known or name.startswith(f"{known}.") for known in MAY[module.room])


def test_pure_rooms_import_what_they_may_and_nothing_else() -> None:
    strangers = [
        f"{module.path}:{line} {name}"
        for module in modules(*MAY)
        for line, name in imported(module)
        if not allowed(module, name) and not module.excused(line)
    ]
    assert strangers == []


def opens_or_prints(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input", "eval", "exec"}:
            return f"{node.func.id}()"
        if isinstance(node.func, ast.Attribute) and node.func.attr in {
            "read_text",
            "read_bytes",
            "write_text",
            "write_bytes",
        }:
            return f".{node.func.attr}()"
    return None


def test_pure_rooms_neither_print_nor_open_files() -> None:
    assert complaints(opens_or_prints, *MAY) == []
