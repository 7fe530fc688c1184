"""An example in a docstring is read as a promise, so each one is run."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.house.source import modules

WITH_EXAMPLES = [m.path for m in modules() if ">>> " in m.text]


@pytest.mark.parametrize("path", WITH_EXAMPLES)
def test_what_a_docstring_shows_is_what_happens(path: str) -> None:
    module = importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    ran = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert ran.attempted
    assert ran.failed == 0
