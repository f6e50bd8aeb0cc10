"""Run Python in a child process, for what can only be seen from a fresh or a doomed one."""

import os
import subprocess
import sys
import textwrap

# Longer than any child needs, sanitizers included: reaching it is a hang.
TIMEOUT = 120


def run(code, *, check=True, **environment):
    """Run `code` with the `environment` added (None removes); return the finished process."""
    env = {**os.environ, **environment}
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if check:
        assert process.returncode == 0, process.stdout + process.stderr
    return process


def output(code, **environment):
    """Run `code` and return what it prints, as words."""
    return run(code, **environment).stdout.split()
