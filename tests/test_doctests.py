"""Every example runs and says what it says: those of the docstrings and those of the pages of docs.

The reference lists what the modules export; here it is checked that they export what is public.
"""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import fastconv

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if ">>>" in page.read_text(encoding="utf-8")]

# `python -m` runs this one; importing it would start the command line.
MODULES = ["fastconv"] + [
    module.name
    for module in pkgutil.walk_packages(fastconv.__path__, "fastconv.")
    if not module.name.endswith("__main__")
]


def spaces(name):
    """A public module and those among its names."""
    module = importlib.import_module(name)
    inner = [own for own in module.__all__ if isinstance(getattr(module, own), ModuleType)]
    return [name, *(space for own in inner for space in spaces(f"{name}.{own}"))]


SPACES = spaces("fastconv")
PUBLIC = [
    f"{space}.{name}"
    for space in SPACES
    for name in importlib.import_module(space).__all__
    if f"{space}.{name}" not in SPACES
]
# What only a function returns is public without being exported.
RETURNED = {"Explanation"}


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page):
    """The examples of a page are one test: each goes on where the one before it ended."""
    text = page.read_text(encoding="utf-8")
    text = re.sub("(?m)^```$", "", text)  # a fence would be read as the end of what is printed
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_has_one(name):
    space, _, own = name.rpartition(".")
    function = getattr(importlib.import_module(space), own)
    examples = doctest.DocTestFinder(recurse=False).find(function, name)
    assert any(test.examples for test in examples)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_its_package_exports(name):
    """So that `fastconv.__all__`, from which the reference is written, holds all that is public."""
    space = max((space for space in SPACES if f"{name}.".startswith(f"{space}.")), key=len)
    if not re.search(r"\._|\.bench", name):
        exported = {*getattr(importlib.import_module(name), "__all__", ())} - RETURNED
        assert exported <= {*importlib.import_module(space).__all__}
