"""Threads inside a process: the setting, its scope, and many Python threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import child
import expected
import fastconv


def test_the_context_manager_holds_for_its_block_and_thread(openmp):
    outside = fastconv.get_num_threads()
    with fastconv.num_threads(3):
        assert fastconv.get_num_threads() == 3
        with fastconv.num_threads(5):
            assert fastconv.get_num_threads() == 5
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(fastconv.get_num_threads).result() == outside
        assert fastconv.get_num_threads() == 3
    assert fastconv.get_num_threads() == outside
    with pytest.raises(KeyError), fastconv.num_threads(2):
        raise KeyError
    assert fastconv.get_num_threads() == outside


def test_more_than_allowed_is_clamped_and_told(openmp):
    with fastconv.num_threads(10**9):
        assert fastconv.get_num_threads() == 256


@pytest.mark.parametrize("value", [0, -1, -(10**9), 1.5, "2", None, True, 2**70])
@pytest.mark.parametrize("setter", [fastconv.set_num_threads, fastconv.num_threads])
def test_bad_numbers(setter, value):
    before = fastconv.get_num_threads()
    with pytest.raises((ValueError, TypeError)) as refusal:
        setter(value)
    assert str(value) in str(refusal.value)
    assert fastconv.get_num_threads() == before


def test_set_num_threads_is_for_the_whole_process(openmp):
    words = child.output("""
        import threading, fastconv
        fastconv.set_num_threads(5)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(fastconv.get_num_threads()))
        thread.start(); thread.join()
        print(fastconv.get_num_threads(), *seen)
        fastconv.set_num_threads(10**9)
        print(fastconv.get_num_threads())
        with fastconv.num_threads(2):
            print(fastconv.get_num_threads())
        """)
    assert words == ["5", "5", "256", "2"]


def test_oversubscription_computes(rng):
    x = rng.standard_normal((2, 16, 40, 40)).astype(np.float32)
    weight = rng.standard_normal((24, 16, 3, 3)).astype(np.float32)
    with fastconv.num_threads(64):
        y = fastconv.conv2d(x, weight)
    expected.assert_conv(y, x, weight)


def together(workers, work):
    """Run `work(i)` in so many threads that start as one; raise what any of them raises."""
    barrier = threading.Barrier(workers)

    def start(i):
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(start, range(workers)))


def test_many_threads_on_one_object(rng):
    weight = rng.standard_normal((24, 8, 3, 3)).astype(np.float32)
    shapes = [(8, 20, 20), (1, 8, 20, 20), (2, 8, 9, 31), (8, 5, 5)]
    inputs = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    plain = [fastconv.Conv2d(weight, padding=1)(x).tobytes() for x in inputs]
    fresh = fastconv.Conv2d(weight, padding=1)

    def work(i):
        for step in range(60):
            at = (i + step // 5) % len(inputs)
            assert fresh(inputs[at]).tobytes() == plain[at]

    together(8, work)


def test_many_threads_on_the_functions(rng):
    x = rng.standard_normal((2, 8, 24, 25)).astype(np.float32)
    weights = [rng.standard_normal((k, 8, 3, 3)).astype(np.float32) for k in (3, 16, 17, 40)]
    plain = [fastconv.conv2d(x, weight).tobytes() for weight in weights]
    pooled = fastconv.max_pool2d(x, 3, 2, 1).tobytes()

    def work(i):
        with fastconv.num_threads(1 + i % 3):
            for step in range(40):
                at = (i + step) % len(weights)
                assert fastconv.conv2d(x, weights[at]).tobytes() == plain[at]
                assert fastconv.max_pool2d(x, 3, 2, 1).tobytes() == pooled

    together(8, work)


def test_updates_are_atomic(rng):
    """A call beside updates sees the old weights or the new ones, with their own bias."""
    x = rng.standard_normal((4, 12, 12)).astype(np.float32)
    settings = [
        (np.full((9, 4, 3, 3), value, np.float32), np.full(9, 1000 * value, np.float32))
        for value in (1, -2)
    ]
    allowed = {fastconv.Conv2d(*setting)(x).tobytes() for setting in settings}
    assert len(allowed) == 2
    conv = fastconv.Conv2d(*settings[0])

    def work(i):
        for step in range(150):
            if i == 0:
                conv.update(*settings[step % 2])
            else:
                assert conv(x).tobytes() in allowed

    together(4, work)


def test_the_gil_is_released(rng):
    """Another Python thread goes on counting while one long call runs."""
    x = rng.standard_normal((4, 64, 56, 56)).astype(np.float32)
    weight = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    conv = fastconv.Conv2d(weight, padding=1, input_shape=x.shape)
    out = conv(x)
    running, counted = threading.Event(), []

    def count():
        ticks = 0
        while running.is_set():
            ticks += 1
        counted.append(ticks)

    running.set()
    thread = threading.Thread(target=count)
    thread.start()
    with fastconv.num_threads(1):
        for _ in range(5):
            conv(x, out=out)
    running.clear()
    thread.join()
    # Held throughout, the interpreter lets the counter run between the five calls only.
    assert counted[0] > 10_000


def test_an_input_changed_by_another_thread(rng):
    """Any values are right then, but the shape stands and nothing crashes."""
    x = rng.standard_normal((2, 16, 30, 30)).astype(np.float32)
    weight = rng.standard_normal((24, 16, 3, 3)).astype(np.float32)
    running = threading.Event()
    running.set()

    def scribble():
        while running.is_set():
            x[...] = np.inf
            x[...] = np.nan
            x[...] = 1

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        for _ in range(60):
            y = fastconv.conv2d(x, weight, padding=1)
            _, at = fastconv.max_pool2d(x, 3, 2, 1, return_indices=True)
            assert y.shape == (2, 24, 30, 30)
            assert at.min() >= -1
            assert at.max() < 900
    finally:
        running.clear()
        thread.join()


def test_a_context_can_be_used_again_and_within_itself(openmp):
    outside = fastconv.get_num_threads()
    three = fastconv.num_threads(3)
    for _ in range(2):
        with three, fastconv.num_threads(5), three:
            assert fastconv.get_num_threads() == 3
        assert fastconv.get_num_threads() == outside

    @three
    def inside():
        return fastconv.get_num_threads()

    assert inside() == 3
    assert fastconv.get_num_threads() == outside
