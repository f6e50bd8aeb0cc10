"""How many threads a call may use.

Knows the argument forms and ``_core``, whose thread chooser decides within these limits.
"""

import threading
from contextlib import ContextDecorator
from typing import SupportsIndex

from fastconv import _arguments, _core

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]


def set_num_threads(n: SupportsIndex) -> None:
    """Set the number of threads that a call may use, for the whole process.

    Small problems use fewer. The default is the least that CPU affinity, the cgroup's quota,
    OMP_NUM_THREADS and FASTCONV_NUM_THREADS allow; a number set here may exceed it.

    Parameters
    ----------
    n : int
        At least 1; more than 256 is taken as 256.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1.

    See Also
    --------
    num_threads : The same for a block of code.

    Examples
    --------
    >>> from fastconv import get_num_threads, set_num_threads
    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    _core.set_num_threads(_arguments.positive("n", n))


def get_num_threads() -> int:
    """Return the number of threads that a call from this Python thread may use.

    Returns
    -------
    int
        At least 1, at most 256.

    Examples
    --------
    >>> from fastconv import get_num_threads, num_threads
    >>> with num_threads(3):
    ...     get_num_threads()
    3
    """
    return _core.get_num_threads()


def num_threads(n: SupportsIndex) -> "_Override":
    """Return a context in which calls from this Python thread may use `n` threads.

    Contexts may be nested and used again; other Python threads are not affected.

    Parameters
    ----------
    n : int
        At least 1; more than 256 is taken as 256.

    Returns
    -------
    context manager
        On leaving it, the number is again what it was before. It also decorates functions.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import num_threads, relu
    >>> with num_threads(1):
    ...     y = relu(np.zeros(3))
    """
    return _Override(_arguments.positive("n", n))


class _Override(threading.local, ContextDecorator):
    """What `num_threads` returns; each Python thread has its own stack of what was before."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._previous: list[int] = []

    def __enter__(self) -> None:
        self._previous.append(_core.thread_override(self._n))

    def __exit__(self, *error: object) -> None:
        _core.thread_override(self._previous.pop())
