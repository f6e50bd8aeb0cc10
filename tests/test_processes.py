"""What only a process of its own shows: import, limits on threads, forks, forced CPU levels."""

import os
import sys
import textwrap
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import child
import fastconv

LEVELS = fastconv.config()["levels"]
CGROUPS = Path("/sys/fs/cgroup")

# Leaves `x`, `weight` and the bytes of their convolution, computed by as many threads as allowed.
WORK = """
import numpy as np, fastconv
rng = np.random.default_rng(5)
x = rng.standard_normal((2, 32, 40, 40)).astype(np.float32)
weight = rng.standard_normal((48, 32, 3, 3)).astype(np.float32)
def work():
    return fastconv.conv2d(x, weight, padding=1).tobytes()
"""


def work_and(code):
    return WORK + textwrap.dedent(code)


# -- import ----------------------------------------------------------------------------------------


def test_import_starts_nothing_and_changes_nothing(skip):
    if sys.platform != "linux":
        skip("not linux")
    words = child.output("""
        import os, numpy
        def state():
            status = open("/proc/self/status").read().splitlines()
            signals = [line for line in status if line.startswith("Sig")]
            return len(os.listdir("/proc/self/task")), signals[2:], dict(os.environ)
        before = state()
        import fastconv
        print(state() == before)
        """)
    assert words == ["True"]


def test_a_call_changes_neither_environment_nor_signals(skip):
    if sys.platform != "linux":
        skip("not linux")
    words = child.output(
        work_and("""
        import os
        def state():
            status = open("/proc/self/status").read().splitlines()
            masks = [line for line in status if line.startswith(("SigIgn", "SigCgt", "SigBlk"))]
            return masks, dict(os.environ)
        before = state()
        work()
        fastconv.max_pool2d(x, 2)
        print(state() == before)
        """)
    )
    assert words == ["True"]


def test_import_brings_nothing_but_numpy():
    words = child.output("""
        import sys, numpy
        before = set(sys.modules)
        import fastconv
        heavy = {"multiprocessing", "subprocess", "asyncio", "rich", "matplotlib", "numpy.ma"}
        print(sorted(heavy & (set(sys.modules) - before)))
        """)
    assert words == ["[]"]


# -- limits on the number of threads ---------------------------------------------------------------

DEFAULT = "import fastconv; print(fastconv.get_num_threads(), fastconv.config()['threads'])"
FREE = {"OMP_NUM_THREADS": None, "FASTCONV_NUM_THREADS": None}


def test_by_default_the_cpus_of_the_affinity_mask(two_cpus):
    cpus = len(os.sched_getaffinity(0))
    default, _, *why = child.output(f"{DEFAULT[:-1]}, fastconv.config()['threads_why'])", **FREE)
    # A quota of the control group may allow fewer.
    assert int(default) == cpus or (int(default) < cpus and "quota" in why)


def test_affinity(two_cpus):
    words = child.output(
        f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {DEFAULT}", **FREE
    )
    assert words == ["1", "1"]


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "FASTCONV_NUM_THREADS"])
def test_environment_limits(variable, two_cpus):
    cpus = len(os.sched_getaffinity(0))
    assert child.output(DEFAULT, **{**FREE, variable: "1"}) == ["1", "1"]
    # A variable lowers the number; only an explicit call raises it above the CPUs.
    many = int(child.output(DEFAULT, **{**FREE, variable: "64"})[0])
    assert many <= cpus
    explicit = f"import fastconv; fastconv.set_num_threads(3); {DEFAULT}"
    assert child.output(explicit, **{**FREE, variable: "1"})[0] == "3"


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "FASTCONV_NUM_THREADS"])
@pytest.mark.parametrize("value", ["", "0", "-3", "many", "1e3", "99999999999999999999", " 1 "])
def test_nonsense_in_the_environment_is_no_crash(variable, value, skip):
    """Ignored or refused with the variable's name, never a crash or a thread count out of range."""
    if variable == "OMP_NUM_THREADS" and fastconv.config()["compiler"].startswith("clang"):
        skip("libomp")
    process = child.run(work_and("work(); " + DEFAULT), check=False, **{**FREE, variable: value})
    if process.returncode == 0:
        assert 1 <= int(process.stdout.split()[-2]) <= (os.cpu_count() or 1)
    else:
        assert process.returncode == 1
        assert variable in process.stderr


@contextmanager
def cpu_group(*names):
    """Make nested CPU control groups, of version 1 or 2; yield their folders, or None."""
    made = []
    root = CGROUPS / "cpu" if (CGROUPS / "cpu" / "cgroup.procs").exists() else CGROUPS
    try:
        for name in names:
            folder = (made[-1] if made else root) / name
            if root == CGROUPS:
                (folder.parent / "cgroup.subtree_control").write_text("+cpu")
            folder.mkdir()
            made.append(folder)
        limits = {"cpu.cfs_quota_us", "cpu.max"}
        usable = all(limits & set(os.listdir(folder)) for folder in made)
    except OSError:
        usable = False
    try:
        yield made if usable else None
    finally:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def limit_cpus(folder, percent):
    """Set the quota of a group to so many percent of one CPU."""
    if (folder / "cpu.max").exists():
        (folder / "cpu.max").write_text(f"{1000 * percent} 100000")
    else:
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text(str(1000 * percent))


@pytest.mark.parametrize("limited", [0, 1], ids=["of the outer group", "of the inner group"])
@pytest.mark.parametrize("percent", [50, 100])
def test_quota_of_control_groups(limited, percent, two_cpus, skip):
    with cpu_group(f"fastconv-test-{uuid.uuid4().hex}", "inner") as folders:
        if folders is None:
            skip("no cgroup")
        limit_cpus(folders[limited], percent)
        joined = f"""
            import os
            open({str(folders[-1] / "cgroup.procs")!r}, "w").write(str(os.getpid()))
            import fastconv
            print(fastconv.get_num_threads())
            print(fastconv.config()["threads_why"])
            """
        words = child.output(joined, **FREE)
        assert words[0] == "1"
        assert any("cgroup" in word or "quota" in word for word in words[1:])


# -- forks -----------------------------------------------------------------------------------------

IN_CHILD = """
import os, signal
def in_child(check):
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]
"""


def test_a_fork_after_use_works_on_one_thread():
    words = child.output(
        work_and(IN_CHILD)
        + textwrap.dedent("""
        fastconv.set_num_threads(4)
        before = work()
        print(in_child(lambda: work() == before))
        print(in_child(lambda: fastconv.get_num_threads() == 1))
        with fastconv.num_threads(3):
            print(in_child(lambda: fastconv.get_num_threads() == 1 and work() == before))
        # Asking for more in the child must not hang either.
        def explicit():
            fastconv.set_num_threads(4)
            with fastconv.num_threads(3):
                return work() == before
        print(in_child(explicit))
        def grandchild():
            return in_child(lambda: work() == before) == 0
        print(in_child(grandchild))
        print(int(work() != before))
        """)
    )
    assert words == ["0"] * 6


def test_a_fork_before_use_works():
    """As of a server that imports first and forks its workers then."""
    words = child.output(
        work_and(IN_CHILD)
        + textwrap.dedent("""
        fastconv.set_num_threads(2)
        threads = fastconv.get_num_threads()
        # Planning and explaining are no use of OpenMP.
        filters = np.ones((64, 64, 3, 3), np.float32)
        fastconv.conv_output_shape((64, 224, 224), filters.shape)
        fastconv.Conv2d(filters, input_shape=(64, 224, 224)).explain((64, 224, 224))
        print(in_child(lambda: fastconv.get_num_threads() == threads and len(work()) > 0))
        print(in_child(lambda: work() == work()))
        print(int(work() != work()))
        """)
    )
    assert words == ["0"] * 3


@pytest.mark.slow
def test_a_fork_while_other_threads_compute(no_sanitizer):
    """No lock of ours may be held for ever in the child."""
    words = child.output(
        work_and(IN_CHILD)
        + textwrap.dedent("""
        import threading
        before = work()
        conv = fastconv.Conv2d(weight, padding=1)
        running = True
        def busy():
            k = 0
            while running:
                k = k % 40 + 1
                conv(x[:, :, : 3 + k])
                fastconv.conv2d(x[:, :, :9], weight[:k])
        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        def check():
            return work() == before and conv(x).tobytes() == conv(x).tobytes()
        print(*[in_child(check) for _ in range(12)])
        running = False
        for thread in threads:
            thread.join()
        """)
    )
    assert words == ["0"] * 12


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_multiprocessing(method, used, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(
        work_and(f"""
        import multiprocessing, signal
        def task(i):
            signal.alarm(30)
            return work()
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            context.set_forkserver_preload(["fastconv"]) if {method!r} == "forkserver" else None
            before = [work()] if {used} else []
            with context.Pool(2) as pool:
                results = pool.map_async(task, range(4)).get(60)
            print(len(set(results + before)))
        """)
    )
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if method != "fork":  # these import the script again by its path
        code = (
            f"import sys, subprocess; sys.exit(subprocess.call([sys.executable, {str(script)!r}]))"
        )
    assert child.output(code) == ["1"]


# -- CPU levels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("forced", LEVELS)
def test_forced_levels(forced):
    words = child.output(work_and("work(); print(fastconv.config()['level'])"), FASTCONV_CPU=forced)
    assert words == [forced]


@pytest.mark.parametrize(
    "forced", ["sse9", "AVX2 ", "0", *({"generic", "avx2", "avx512", "neon"} - set(LEVELS))]
)
def test_levels_that_cannot_be_forced_fail_loudly(forced):
    process = child.run("import fastconv", check=False, FASTCONV_CPU=forced)
    assert process.returncode == 1
    message = process.stderr.strip().splitlines()[-1]
    assert "FASTCONV_CPU" in message
    assert forced in message
    assert all(level in message for level in LEVELS)


def test_every_build_has_the_generic_level():
    assert "generic" in LEVELS


def test_all_levels_agree():
    """Up to rounding: the sums of integers are the same in any order, without a transform."""
    code = work_and("""
        import hashlib
        x, weight = np.round(4 * x), np.round(4 * weight)
        y = fastconv.conv2d(x, weight, padding=1, algorithm="direct")
        print(hashlib.sha256(y.tobytes()).hexdigest())
        """)
    assert len({child.output(code, FASTCONV_CPU=level)[0] for level in LEVELS}) == 1


# -- configuration ---------------------------------------------------------------------------------


def test_show_config_prints_the_configuration(capsys):
    fastconv.show_config()
    shown = capsys.readouterr().out
    config = fastconv.config()
    for key in ("level", "cpu", "compiler", "threads_why"):
        assert str(config[key]) in shown, key
    assert config["level"] in config["levels"]
    assert config["threads"] >= 1
    assert fastconv.__version__ in shown
