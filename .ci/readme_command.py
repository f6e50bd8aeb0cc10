"""Prints a command of the README: the sh block that follows the comment ``<!-- command: NAME -->``.

Usage: python readme_command.py README.md NAME
"""

import re
import sys
from pathlib import Path

path, name = sys.argv[1:]
block = re.search(
    rf"<!-- command: {re.escape(name)} -->\s*```sh\n(.*?)```", Path(path).read_text(), re.DOTALL
)
if block is None:
    sys.exit(f"{path} has no sh block after <!-- command: {name} -->")
print(block[1], end="")
