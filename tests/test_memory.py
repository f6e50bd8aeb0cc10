"""Memory: nothing leaks over many calls of changing shapes, and running out of it is an error."""

import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import child
import fastconv
from fastconv import _core, _plans, _pooling, grad

CHURN = """
import random, threading
import numpy as np, fastconv

random.seed(3)
sizes = [random.randint(1, 40) for _ in range(5000)]
weights = [np.ones((k, 3, 3, 3), np.float32) for k in (1, 8, 17)]
convs = [fastconv.Conv2d(weight, padding=1) for weight in weights]

def call(i):
    h, w = sizes[i % 4999], sizes[(7 * i + 1) % 4993]
    x = np.ones((1 + i % 2, 3, h, w), np.float32)
    kind = i % 6
    if kind == 0:
        fastconv.conv2d(x, weights[i % 3], padding=1, stride=1 + i % 3)
    elif kind == 1:
        convs[i % 3](x)
    elif kind == 2:
        fastconv.max_pool2d(x, 2, padding=1, return_indices=i % 4 == 2)
    elif kind == 3:
        fastconv.avg_pool2d(x.astype(np.float64), 3, 1, 1)
    elif kind == 4:
        fastconv.Conv2d(weights[i % 3], padding=1)(x)
    else:
        try:
            fastconv.conv2d(x, weights[0], stride=-i)
        except ValueError:
            pass

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
"""


@pytest.mark.slow
def test_resident_memory_is_flat(skip, no_sanitizer):
    if sys.platform != "linux":
        skip("not linux")
    grown = child.output(
        CHURN
        + """
for i in range(4000):
    call(i)
before = resident()
for i in range(10_000):
    call(i)
print(resident() - before)
"""
    )
    # Growth of one page in ten calls would be 4 MB.
    assert int(grown[0]) < 3 * 2**20


@pytest.mark.slow
def test_threads_take_their_scratch_with_them(skip, no_sanitizer):
    if sys.platform != "linux":
        skip("not linux")
    grown = child.output(
        CHURN
        + """
x = np.ones((1, 64, 28, 28), np.float32)
weight = np.ones((64, 64, 3, 3), np.float32)
def in_thread():
    thread = threading.Thread(target=lambda: fastconv.conv2d(x, weight, algorithm="im2col"))
    thread.start()
    thread.join()
for _ in range(60):
    in_thread()
before = resident()
for _ in range(300):
    in_thread()
print(resident() - before)
"""
    )
    # 300 blocks of scratch that stayed would be 20 MB at the very least.
    assert int(grown[0]) < 8 * 2**20


def test_objects_go_when_dropped(rng):
    weight = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    x = rng.standard_normal((1, 64, 8, 8)).astype(np.float32)
    conv = fastconv.Conv2d(weight)
    references = sys.getrefcount(x), sys.getrefcount(weight)
    out = np.empty((1, 64, 6, 6), np.float32)
    for _ in range(5):
        conv(x)
        conv(x, out=out)
        conv(x, residual=out)
        with pytest.raises(ValueError, match="out"):
            conv(x, out=x)
    assert (sys.getrefcount(x), sys.getrefcount(weight)) == references
    before = len(gc.get_objects())
    for _ in range(50):
        fastconv.Conv2d(weight, input_shape=x.shape)(x)
    gc.collect()
    assert len(gc.get_objects()) - before < 50


CALLS = {
    "conv2d": lambda x, w: fastconv.conv2d(x, w, padding=1, activation="relu"),
    "im2col": lambda x, w: fastconv.conv2d(x, w, algorithm="im2col"),
    "direct": lambda x, w: fastconv.conv2d(x, w, algorithm="direct"),
    "pointwise": lambda x, w: fastconv.conv2d(x, w[:, :, :1, :1]),
    "depthwise": lambda x, w: fastconv.conv2d(x, w[:, :1], groups=8),
    "channels_last": lambda x, w: fastconv.conv2d(x[:, :8, :, :8], w, channels_last=True),
    "float16": lambda x, w: fastconv.conv2d(x.astype(np.float16), w.astype(np.float16)),
    "object": lambda x, w: fastconv.Conv2d(w, padding=1)(x),
    "weights": lambda x, w: grad.conv2d_weight(x, w.shape, x[:, :, 2:, 2:]),
    "depthwise weights": lambda x, w: grad.conv2d_weight(x, (8, 1, 3, 3), x, padding=1, groups=8),
    "max_pool2d": lambda x, w: fastconv.max_pool2d(x, 3, 2, 1, return_indices=True)[0],
    "avg_pool2d": lambda x, w: fastconv.avg_pool2d(x, 3, 2, 1),
    "global_avg_pool2d": lambda x, w: fastconv.global_avg_pool2d(x),
    "float16 pool": lambda x, w: fastconv.avg_pool2d(x.astype(np.float16), 3, 1, 1),
}


def forget_plans():
    """Empty the caches of plans, so that the next call allocates its own."""
    _plans._plan.cache_clear()
    _plans._weight_plan.cache_clear()
    _pooling._plan.cache_clear()
    _pooling._recent.clear()


def with_failing_allocation(n, compute):
    """Return the result of a call whose n-th allocation fails, or None if it ran out of memory."""
    outcome = []

    def work():
        forget_plans()
        _core._fail_allocation(n)
        try:
            outcome.append(compute())
        except MemoryError as error:
            outcome.append(None)
            messages.append(str(error))
        finally:
            _core._fail_allocation(-1)

    # A fresh thread has no scratch yet, so that its allocation is among those that fail.
    messages = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert all(messages), "a MemoryError without words"
    return outcome[0]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_nth_allocation_fails(call, threads, rng, skip):
    """Every allocation site gives MemoryError or does without; the next call is right again."""
    if not hasattr(_core, "_fail_allocation"):
        skip("no allocation hook")
    x = rng.standard_normal((2, 8, 30, 31)).astype(np.float32)
    weight = rng.standard_normal((8, 8, 3, 3)).astype(np.float32)

    def compute():
        with fastconv.num_threads(threads):
            return CALLS[call](x, weight)

    wanted = compute().tobytes()
    results = [with_failing_allocation(n, compute) for n in range(20)]
    assert results[0] is None, "the plan itself is allocated"
    assert results[-1] is not None, "more than 20 allocations in a call"
    assert {result.tobytes() for result in results if result is not None} == {wanted}
    assert compute().tobytes() == wanted


def test_failures_leak_nothing(rng, skip, no_sanitizer):
    if not hasattr(_core, "_fail_allocation"):
        skip("no allocation hook")
    if sys.platform != "linux":
        skip("not linux")
    x = rng.standard_normal((1, 256, 6, 6)).astype(np.float32)
    weight = rng.standard_normal((128, 256, 3, 3)).astype(np.float32)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def fail_often(times):
        for i in range(times):
            with_failing_allocation(i % 8, lambda: fastconv.conv2d(x, weight))

    fail_often(40)
    before = resident()
    fail_often(160)
    # The packed weights are 1.2 MB; a fifth of the calls that lost theirs would be 36 MB.
    assert resident() - before < 16 * 2**20
