"""What all tests share: the table of allowed skips, the CPU levels and seeded data."""

import os
import zlib

import numpy as np
import pytest

import fastconv

# The only reasons for which a test may be skipped; CI is red for any other.
SKIPS = {
    "no allocation hook": "skip-listed: this build has no hook that makes allocations fail",
    "one cpu": "skip-listed: only one CPU may be used here",
    "no cgroup": "skip-listed: no CPU control group can be made here",
    "not linux": "skip-listed: needs an interface of Linux",
    "sanitizer": "skip-listed: a sanitizer keeps freed memory, and loses its locks in a fork",
    "no extras": "skip-listed: a package of the test extra is not installed",
    "no onnx": "skip-listed: onnx is not installed",
    "no peers": "skip-listed: the benchmark's peers are not installed",
    "no weights": "skip-listed: the package with the trained weights is not installed",
    "serial build": "skip-listed: this build has no OpenMP",
    "libomp": "skip-listed: LLVM's OpenMP reads OMP_NUM_THREADS itself and aborts on nonsense",
    "no mnist": "skip-listed: FASTCONV_MNIST does not name the folder of MNIST's IDX files",
}


@pytest.fixture
def skip():
    """Return the function that skips a test for a reason of the table."""

    def skip_for(reason):
        pytest.skip(SKIPS[reason])

    return skip_for


@pytest.fixture
def rng(request):
    """Return a generator seeded by the name of the test."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def openmp(skip):
    """Skip where every call is serial, whatever is asked for."""
    if not fastconv.config()["openmp"]:
        skip("serial build")


@pytest.fixture
def no_sanitizer(skip):
    """Skip where the allocator is AddressSanitizer's."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        skip("sanitizer")


@pytest.fixture
def two_cpus(openmp, skip):
    """Skip where two threads are not to be had by default."""
    if not hasattr(os, "sched_getaffinity"):
        skip("not linux")
    if len(os.sched_getaffinity(0)) < 2:
        skip("one cpu")


def pytest_generate_tests(metafunc):
    if "level" in metafunc.fixturenames:
        metafunc.parametrize("level", fastconv.config()["levels"])
