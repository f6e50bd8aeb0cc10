"""Prints what a pyproject.toml requires to build, run, test and check, one requirement a line.

The extra of peers is left out: it brings gigabytes, and no check needs it.
"""

import sys
import tomllib
from pathlib import Path

pyproject = tomllib.loads(Path(sys.argv[1]).read_text())
project = pyproject["project"]
requirements = {*pyproject["build-system"]["requires"], *project["dependencies"]}
for name, extra in project["optional-dependencies"].items():
    if name != "peers":
        requirements.update(extra)
print(*sorted(r for r in requirements if not r.startswith(project["name"])), sep="\n")
