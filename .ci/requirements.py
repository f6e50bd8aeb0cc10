"""Prints what a pyproject.toml requires to build, run, test and check, one requirement a line."""

import sys
import tomllib
from pathlib import Path

pyproject = tomllib.loads(Path(sys.argv[1]).read_text())
project = pyproject["project"]
requirements = {*pyproject["build-system"]["requires"], *project["dependencies"]}
for extra in project["optional-dependencies"].values():
    requirements.update(extra)
print(*sorted(r for r in requirements if not r.startswith(project["name"])), sep="\n")
