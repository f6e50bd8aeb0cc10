"""Sphinx extension that writes the reference: every name that the package exports has a page.

What is public is read from ``fastconv.__all__`` and, for each module among those names, from its
``__all__``. A new function needs no edit here, unless it opens a topic of its own. The pages are
written to ``reference/api/``, which holds nothing else.
"""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from docutils import nodes
from numpydoc.docscrape import NumpyDocString
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

# Title -> how the names begin, in any case; the first that fits has the name, the last has what
# remains.
TOPICS = {
    "Convolution": r"conv(?!\w*_shape)",
    "Pooling": r"\w*pool(?!\w*_shape)",
    "Windows and padding": r"fold|unfold|pad($|_)|\w*shuffle",
    "Dense layers and activations": r"\w*(linear|softmax|[rescg]e?lu|tanh|sigmoid|shrink)"
    r"|hard|soft|silu|mish|threshold|clip|dropout|dense|matmul|activation",
    "Normalisation": r"\w*norm",
    "Arithmetic": r"(add|sub|mul|div)$",
    "Shapes": r"\w*(shape|_padding)$|flatten|transpose|concat",
    "Threads and configuration": r"\w*(threads|config)$",
    "Others": "",
}
# Where there are functions, too, classes stand by themselves, before them.
CLASSES = "Classes"


def public():
    """Return the public names of each public namespace."""
    spaces, found = {}, ["fastconv"]
    while found:
        space = found.pop(0)
        names = importlib.import_module(space).__all__
        inner = [name for name in names if isinstance(member(space, name), ModuleType)]
        spaces[space] = [name for name in names if name not in inner]
        found += [f"{space}.{name}" for name in inner]
    return spaces


def member(space, name):
    return getattr(importlib.import_module(space), name)


def by_topic(space, names):
    classes = {name for name in names if inspect.isclass(member(space, name))}
    mixed = 0 < len(classes) < len(names)
    groups = {title: [] for title in (CLASSES, *TOPICS)}
    for name in sorted(names, key=str.lower):
        fitting = (title for title, start in TOPICS.items() if re.match(start, name, re.IGNORECASE))
        groups[CLASSES if mixed and name in classes else next(fitting)].append(name)
    return {title: group for title, group in groups.items() if group}


def heading(text, line):
    return [text, line * len(text), ""]


def directive(name, argument, *options, content=()):
    body = [*options, "", *content]
    return [f".. {name}:: {argument}", *(f"   {line}" if line else "" for line in body), ""]


def page(space, name):
    """Return where the page of a name is; some file systems hold conv2d and Conv2d for one name."""
    return f"{name}-class" if inspect.isclass(member(space, name)) else name


def space_page(space, names):
    lines = [*heading(space, "="), *directive("automodule", space, ":no-members:")]
    topics = by_topic(space, names)
    for title, group in topics.items():
        lines += heading(title, "-") if len(topics) > 1 else []
        lines += directive("autosummary", "", ":nosignatures:", content=group)
    entries = [f"{name} <{page(space, name)}>" for name in sorted(names, key=str.lower)]
    return lines + directive("toctree", "", ":hidden:", content=entries)


def member_page(space, name, bases):
    lines = [*heading(f"{space}.{name}", "="), *directive("currentmodule", space)]
    described = member(space, name)
    if not inspect.isclass(described):
        return lines + directive("autofunction", name)
    # What a public base says of its members holds for those of all classes made of it.
    base = next((base for base in described.__mro__[1:] if base in bases), None)
    if base:
        note = f"Made of :py:class:`{bases[base]}`, whose members it has."
        return [*lines, *directive("autoclass", name), note]
    # The fields of a named tuple are its parameters.
    fields = ", ".join(getattr(described, "_fields", ()))
    options = [":members:", ":inherited-members: tuple", f":exclude-members: {fields}"]
    return lines + directive("autoclass", name, *options)


def write_pages(app, config):
    """Write what is new or has changed and delete what is no longer public."""
    folder = Path(app.srcdir, "reference", "api")
    pages = {}
    spaces = public()
    bases = {
        found: f"{space}.{name}"
        for space, names in spaces.items()
        for name in names
        if inspect.isclass(found := member(space, name))
    }
    for space, names in spaces.items():
        pages[folder / space / "index.rst"] = space_page(space, names)
        for name in names:
            pages[folder / space / f"{page(space, name)}.rst"] = member_page(space, name, bases)
    for stale in {*folder.glob("*/*")} - pages.keys():
        stale.unlink()
    for path, lines in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def allow_own_names(app, config):
    """Let docstrings name their parameters and results as they name functions: `x` and `conv2d`."""
    named = set()
    for space, names in public().items():
        for found in (member(space, name) for name in names):
            inner = [getattr(found, own) for own in vars(found)] if inspect.isclass(found) else []
            for described in (found, *inner):
                if callable(described):
                    parsed = NumpyDocString(inspect.getdoc(described) or "")
                    fields = parsed["Parameters"] + parsed["Returns"]
                    named.update(name for field in fields for name in field.name.split(", "))
    config.nitpick_ignore = [("py:obj", name) for name in named]


def check_complete(app, env):
    """Warn of a public name that no page documents."""
    documented = env.get_domain("py").objects
    for space, names in public().items():
        for name in {space, *(f"{space}.{name}" for name in names)} - documented.keys():
            logger.warning("%s is public and has no page", name)


class PublicModules(SphinxDirective):
    """``public-modules::`` is the table of the public modules with what each is for."""

    def run(self):
        spaces = sorted(public())
        pages = [f"api/{space}/index" for space in spaces]
        lines = directive("autosummary", "", ":nosignatures:", content=spaces)
        lines += directive("toctree", "", ":hidden:", content=pages)
        return self.parse_text_to_nodes("\n".join(lines))


class CommandHelp(SphinxDirective):
    """``command-help:: bench`` shows what ``python -m fastconv bench --help`` prints."""

    optional_arguments = 1

    def run(self):
        command = ["-m", "fastconv", *self.arguments, "--help"]
        printed = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"COLUMNS": "80", "NO_COLOR": "1"},
        ).stdout
        text = " ".join(["$ python", *command]) + f"\n{printed}"
        return [nodes.literal_block(text, text, language="console")]


def resolve_in_package(app, env, node, contnode):
    """Find what a docstring of a subpackage names as the packages around it do."""
    if node.get("refdomain") != "py":
        return None
    domain, found = env.get_domain("py"), None
    space = node.get("py:module") or "fastconv"
    while space and not found:
        name = f"{space}.{node['reftarget']}"
        found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contnode)
        space = space.rpartition(".")[0]
    return found


def setup(app):
    app.connect("missing-reference", resolve_in_package)
    app.connect("config-inited", write_pages)
    app.connect("config-inited", allow_own_names)
    app.connect("env-check-consistency", check_complete)
    app.add_directive("public-modules", PublicModules)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
