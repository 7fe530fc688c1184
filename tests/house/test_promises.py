"""What others build on is promised by name: the package's surface, the commands, and each edit's examples."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import time
from types import ModuleType

import pytest

import fhir_billing
from fhir_billing import cli
from tests.house.source import ROOT, modules

PROMISED = {"__version__", "create_app"}


def edit_modules() -> list[str]:
    found = importlib.util.find_spec("fhir_billing.edits")
    if found is None or found.submodule_search_locations is None:
        return []
    return [m.name for m in pkgutil.iter_modules(found.submodule_search_locations) if not m.name.startswith("_")]


def test_the_package_exports_what_it_promises_and_nothing_else() -> None:
    assert set(fhir_billing.__all__) <= PROMISED


def test_every_exported_name_exists() -> None:
    missing = []
    for module in modules():
        if "__all__" in module.text and "/migrations/" not in module.path:
            name = module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            loaded: ModuleType = importlib.import_module(name)
            missing += [f"{name}.{export}" for export in loaded.__all__ if not hasattr(loaded, export)]
    assert missing == []


@pytest.mark.parametrize("name", edit_modules())
def test_every_edit_has_an_example_that_passes_and_one_that_blocks(name: str) -> None:
    examples = getattr(importlib.import_module(f"fhir_billing.edits.{name}"), "EXAMPLES", [])
    assert {example.blocks for example in examples} == {True, False}, f"fhir_billing/edits/{name}.py: EXAMPLES"


@pytest.mark.parametrize("word", cli.COMMANDS)
def test_every_command_has_its_file(word: str) -> None:
    module = importlib.import_module(f"fhir_billing.cli.{word}")
    assert callable(module.add) and callable(module.run)


def test_help_answers_in_less_than_a_third_of_a_second() -> None:
    took = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run([sys.executable, "-m", "fhir_billing", "--help"], cwd=ROOT, check=True, capture_output=True)
        took.append(time.perf_counter() - before)
    assert min(took) < 0.3


def test_help_loads_no_library() -> None:
    program = "import sys, contextlib, io\nfrom fhir_billing.cli import main\n"
    program += "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main(['--help'])\n"
    program += "print(*{'pydantic', 'fastapi', 'sqlalchemy', 'msgspec', 'yaml', 'httpx2'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == []
