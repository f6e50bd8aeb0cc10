"""Arrays that lie flush against pages which nobody may touch: one byte too far is a crash."""

import ctypes
import mmap

import numpy as np

_libc = ctypes.CDLL(None, use_errno=True)
# Values of Linux and of every other POSIX system in use.
_PROT_NONE, _PROT_READ = 0, 1


def place(array, at, *, read_only=False):
    """Copy `array` to the `at` ("start" or "end") of pages fenced on both sides.

    The pages live as long as the copy. A read-only one is so for the processor, not only for NumPy.
    """
    page = mmap.PAGESIZE
    inner = max(page, -(-array.nbytes // page) * page)
    pages = mmap.mmap(-1, inner + 2 * page)
    offset = page if at == "start" else page + inner - array.nbytes
    copy = np.frombuffer(pages, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    base = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    _protect(base, page, _PROT_NONE)
    _protect(base + page + inner, page, _PROT_NONE)
    if read_only:
        _protect(base + page, inner, _PROT_READ)
    return copy


def _protect(address, size, protection):
    if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), protection):
        raise OSError(ctypes.get_errno(), "mprotect failed")
