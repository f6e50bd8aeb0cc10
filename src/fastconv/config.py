"""What this build of fastconv is and what it found on this machine.

Knows ``_core``; what only a person reading the configuration needs is imported then.
"""

from typing import Any

from fastconv import _core

__all__ = ["config", "show_config"]


def config() -> dict[str, Any]:
    """Return the configuration: versions, CPU, instruction set, threads and compiler.

    Returns
    -------
    dict
        Among others ``"fastconv"`` (version), ``"cpu"``, ``"level"`` (the instruction set in use;
        the environment variable FASTCONV_CPU forces one), ``"levels"`` (those that could be),
        ``"openmp"``, ``"threads"`` (that a call may use) and ``"threads_why"``.

    Examples
    --------
    >>> import fastconv
    >>> found = fastconv.config()
    >>> found["level"] in found["levels"]
    True
    """
    import platform
    from importlib.metadata import version

    import numpy as np

    return {
        "fastconv": version("fastconv"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu() or platform.processor(),
        **_core.config(),
    }


def _cpu() -> str:
    """Return the CPU's own name where the system tells it in a file."""
    try:
        with open("/proc/cpuinfo") as facts:
            names = [line.partition(":")[2] for line in facts if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else ""


def show_config() -> None:
    """Print the configuration, one fact a line.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.show_config()  # doctest: +ELLIPSIS
    fastconv...
    """
    facts = config()
    width = max(map(len, facts))
    for name, fact in facts.items():
        text = ", ".join(map(str, fact)) if isinstance(fact, (list, tuple)) else fact
        print(f"{name:{width}}  {text}")
