"""Prints what ``import fastconv`` costs beyond numpy: the median of fresh processes."""

import subprocess
import sys
from statistics import median

RUNS = 15
PROGRAM = """
import numpy, time
begin = time.perf_counter()
import fastconv
print(time.perf_counter() - begin)
"""


def seconds():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


seconds()  # writes the bytecode and fills the page cache
print(f"import fastconv: {1e3 * median(seconds() for _ in range(RUNS)):.1f} ms over numpy's")
