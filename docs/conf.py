"""How Sphinx builds the documentation; docs/README.md has the command.

Every warning is an error in the check, so what a page names has to exist and what is public has
to be documented. `_ext/api.py` writes the pages of the reference from what the package exports.
"""

import sys
from pathlib import Path

import fastconv

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fastconv"
author = "The fastconv developers"
copyright = author  # noqa: A001 (the name that Sphinx reads)
release = version = fastconv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "api",
]
exclude_patterns = ["README.md", "_build"]
root_doc = "index"

# `name` in a docstring is a reference where something has that name. Nothing else may be named so
# but parameters, which api.py allows: a reference that leads nowhere is an error.
default_role = "py:obj"
nitpicky = True

# The parameters' table tells the types, in words.
autodoc_typehints = "none"
autosummary_generate = False
add_module_names = False
smartquotes = False  # "relu" in a docstring is a value

numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "GL01",  # the summary stands where the docstring begins
    "GL03",  # one blank line between paragraphs
    "GL06",  # sections have numpydoc's names
    "GL07",  # and their order
    "GL08",  # there is a docstring
    "SS01",  # a summary
    "SS03",  # with a full stop
    "SS06",  # on one line
    "PR01",  # every parameter is documented
    "PR02",  # and no other
    "PR03",  # in the order of the signature
    "PR07",  # each has a description
    "PR10",
    "RT01",  # what is returned
    "YD01",
    "SA04",  # what the other function is for
    "EX01",  # an example, which the tests run
}
# The oracle's functions say "as fastconv's"; attributes have neither parameters nor examples.
numpydoc_validation_exclude = {
    r"^fastconv\.reference\.",
    r"\.(weight|bias|parameters|receptive_field|label|pure)$",
}

myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "fastconv"
html_static_path = ["_static"]
html_css_files = ["fastconv.css"]
html_copy_source = False
html_show_sphinx = False
