"""Every example in a docstring of the package runs and says what it says."""

import doctest
import importlib
import pkgutil

import pytest

import fastconv

# `python -m` runs this one; importing it would start the command line.
MODULES = ["fastconv"] + [
    module.name
    for module in pkgutil.walk_packages(fastconv.__path__, "fastconv.")
    if not module.name.endswith("__main__")
]
PUBLIC = [
    name for name in fastconv.__all__ if callable(getattr(fastconv, name)) and name != "Explanation"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, skip):
    if name == "fastconv.threads" and not fastconv.config()["openmp"]:
        skip("serial build")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith("fastconv.bench.") or error.name not in ("matplotlib", "rich"):
            raise
        skip("no extras")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_has_one(name):
    examples = doctest.DocTestFinder(recurse=False).find(getattr(fastconv, name), name)
    assert any(test.examples for test in examples)
