"""The benchmark: its cases, its check, and its behaviour on the command line.

No test here depends on how fast anything is.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastconv.bench import checks, networks, session, timing, wording
from fastconv.bench.cases import CASES, FAMILIES, NETWORK_CASES, RANDOM_CASES, select
from fastconv.bench.client import EngineError, Worker
from fastconv.bench.data import Variant, make_arrays, to_layout
from fastconv.bench.engines import loops, ours, ours_function, vectorised
from fastconv.bench.results import CaseResult, Measurement, Report
from fastconv.bench.summary import summarise

SMALL = [case for case in CASES if case.macs < 3e5]


def macs(network):
    return sum(layer.macs for layer in networks.walk(network) if layer.op == "conv")


# ---- cases


def test_ids_are_unique_and_families_known():
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.family for case in CASES} == set(FAMILIES)


def test_every_distinct_layer_is_there_once():
    assert len({case.geometry for case in NETWORK_CASES}) == len(NETWORK_CASES)
    known = {case.geometry for case in NETWORK_CASES}
    for network in networks.NETWORKS:
        assert {layer.geometry for layer in networks.walk(network)} <= known
    places = {place for case in NETWORK_CASES for place in (case.id, *case.places)}
    assert len(list(networks.walk(networks.RESNET50))) == 55
    assert {layer.id for layer in networks.walk(networks.RESNET50)} <= places


# Multiplications of the convolutions, as the papers' readers count them.
@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (networks.LENET5, 405_600),
        (networks.ALEXNET, 665_784_864),
        (networks.VGG16, 15_346_630_656),
        (networks.GOOGLENET, 1_581_647_872),
        (networks.RESNET50, 4_087_136_256),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_network_definitions(network, expected):
    assert macs(network) == expected


def test_alexnet_weights_are_those_of_its_two_halves():
    counts = [
        int(np.prod(layer.weight_shape))
        for layer in networks.walk(networks.ALEXNET)
        if layer.op == "conv"
    ]
    assert counts == [34_848, 307_200, 884_736, 663_552, 442_368]


def test_networks_end_in_the_planes_of_the_papers():
    ends = {
        network.name: list(networks.walk(network))[-1].out_shape for network in networks.NETWORKS
    }
    assert ends == {
        "lenet5": (1, 120, 1, 1),
        "alexnet": (1, 256, 6, 6),
        "vgg16": (1, 512, 7, 7),
        "googlenet": (1, 1024, 1, 1),
        "resnet50": (1, 2048, 1, 1),
    }


def test_branches_must_fit():
    wrong = networks.Branches("add", ((networks.Conv("a", 4, 1),), (networks.Conv("b", 5, 1),)))
    with pytest.raises(ValueError, match="different channels"):
        list(networks.walk(networks.Network("wrong", (3, 8, 8), (wrong,))))


def test_random_list_is_seeded_and_varied():
    assert len(RANDOM_CASES) == 100
    assert RANDOM_CASES[0].label == "9->216 3x2 p1 g9 @7 n2"
    convs = [case for case in RANDOM_CASES if case.op == "conv"]
    for wanted in (
        lambda case: case.n > 1,
        lambda case: case.depthwise,
        lambda case: case.groups > 1 and not case.depthwise,
        lambda case: case.dilation != (1, 1),
        lambda case: case.kh != case.kw,
        lambda case: case.c % 2 and case.k % 2,
        lambda case: case.h != case.w,
        lambda case: len(set(case.padding)) > 1,
        lambda case: case.k > case.c == case.groups,
    ):
        assert sum(map(bool, map(wanted, convs))) >= 3
    assert {case.kind for case in RANDOM_CASES if case.op == "pool"} == {"max", "avg", "global_avg"}


def test_select():
    assert {case.family for case in select(CASES, "VGG16")} == {"vgg16"}
    assert [case.id for case in select(CASES, "resnet50/conv1")] == ["googlenet/conv1"]
    assert select(CASES, "7x7/2 p3 @224")[0].id == "googlenet/conv1"
    assert select(CASES, "(") == ()


# ---- check


@pytest.mark.parametrize("engine", [ours, vectorised, loops], ids=["ours", "numpy", "loops"])
@pytest.mark.parametrize("case", SMALL[:: max(1, len(SMALL) // 12)], ids=lambda case: case.id)
def test_engines_pass_the_check(engine, case):
    arrays = make_arrays(case)
    out = engine.prepare(case, Variant(), arrays).run()
    found = checks.check_output(case, arrays, out)
    assert found.failure is None
    assert 0 < found.positions <= checks.POSITIONS + 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_last_passes_the_check(dtype):
    for case in select(CASES, "lenet5|mobilenet/dw13"):
        arrays = make_arrays(case, dtype)
        out = ours.prepare(case, Variant(dtype=dtype, channels_last=True), arrays).run()
        assert checks.check_output(case, arrays, out.transpose(0, 3, 1, 2)).failure is None


def test_one_shot_passes_the_check():
    for case in select(CASES, "lenet5/conv|mobilenet/dw13|random/13"):
        arrays = make_arrays(case)
        out = ours_function.prepare(case, Variant(), arrays).run()
        assert checks.check_output(case, arrays, out).failure is None


@pytest.fixture(scope="module")
def layer():
    case = select(CASES, "5b.5x5_reduce")[0]
    arrays = make_arrays(case)
    return case, arrays, vectorised.prepare(case, Variant(), arrays).run()


@pytest.mark.parametrize("winograd", [False, True])
def test_check_sees_half_precision(layer, winograd):
    case, arrays, _ = layer
    # bfloat16 keeps eight bits: zeroing the rest of a float32 is rounding to it.
    half = (arrays.x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    out = vectorised.prepare(case, Variant(), replace(arrays, x=half)).run()
    assert checks.check_output(case, arrays, out, winograd).error > 1


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda out: out + np.float32(1e-3), "expected"),
        (lambda out: np.where(np.arange(out.shape[3]) == 0, np.float32(np.nan), out), "nan"),
        (lambda out: out[..., :-1], "shape"),
        (lambda out: out.astype(np.float64), "dtype"),
        (np.zeros_like, "expected"),
    ],
    ids=["off", "nan", "shape", "dtype", "zero"],
)
def test_check_sees_wrong_results(layer, spoil, word):
    case, arrays, out = layer
    found = checks.check_output(case, arrays, spoil(out))
    assert not found.error <= 1
    assert word in found.failure


def test_bound_of_winograd_is_four_times_the_largest(layer):
    case, arrays, out = layer
    reference, magnitude = checks.reference_at(case, arrays, checks.random_positions(case))
    bound = checks.error_bound(reference, magnitude, case.reduction, "float32")
    off = out + np.float32(2 * bound.max())
    assert checks.check_output(case, arrays, off).error > 1
    assert checks.check_output(case, arrays, off, winograd=True).error == pytest.approx(0.5, 0.1)


def test_check_sees_a_wrong_maximum():
    case = select(CASES, "googlenet/pool4")[0]
    arrays = make_arrays(case)
    out = vectorised.prepare(case, Variant(), arrays).run()
    assert checks.check_output(case, arrays, out).error == 0
    spoilt = np.nextafter(out, np.float32(np.inf))
    assert checks.check_output(case, arrays, spoilt).failure
    assert checks.check_output(case, arrays, spoilt, winograd=True).failure


def test_bound_of_float16_has_its_final_rounding():
    one = np.ones(1)
    assert checks.error_bound(one, one, 1, "float16") > 2.0**-11
    assert checks.error_bound(one, one, 1, "float64") == 9 * 2.0**-53


def test_data_is_seeded_and_never_zero():
    case = CASES[0]
    first, second = make_arrays(case), make_arrays(case)
    assert np.array_equal(first.x, second.x)
    assert np.all(first.x != 0)
    assert not np.array_equal(first.x, make_arrays(replace(case, id="another")).x)
    assert to_layout(first.x, True).shape == (case.n, case.h, case.w, case.c)


# ---- timing


def test_median_of_a_sleep():
    seconds, reading = timing.median_seconds(lambda: time.sleep(0.002), 0.02, lambda: 7.0)
    assert 0.002 <= seconds < 0.5
    assert reading == 7


def test_a_call_over_budget_is_called_once():
    calls = []
    seconds, reading = timing.median_seconds(lambda: calls.append(time.sleep(0.01)), 0.001)
    assert seconds >= 0.01
    assert reading is None
    assert len(calls) == 1


# ---- workers


@pytest.fixture
def worker():
    worker = Worker("numpy", 1)
    yield worker
    worker.kill()


def test_worker_serves(worker):
    case, variant = CASES[0], Variant()
    assert worker.ask("versions")["numpy"] == np.__version__
    assert worker.ask("prepare", case, variant) == ("im2col", {})
    check, seconds = worker.ask("check", variant)
    assert check.failure is None
    assert seconds > 0
    assert worker.ask("time", variant, 0.001, True)[0] > 0
    worker.ask("drop")
    with pytest.raises(EngineError, match="KeyError"):
        worker.ask("time", variant, 0.001, True)
    assert worker.alive


def test_a_dead_worker_is_an_error(worker):
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="ended with -9"):
        worker.ask("versions")


# ---- report


def report_of(seconds, **measured):
    result = CaseResult.of(select(CASES, "vgg16/conv3_2")[0])
    result.measurements = [Measurement("fastconv", 1, "float32", False, rounds=[seconds])]
    for name, value in measured.items():
        engine, threads, dtype, last = {
            "numpy": ("numpy", 1, "float32", False),
            "two": ("fastconv", 2, "float32", False),
            "double": ("fastconv", 1, "float64", False),
            "last": ("fastconv", 1, "float32", True),
        }[name]
        result.measurements.append(Measurement(engine, threads, dtype, last, rounds=[value]))
    peaks = {"float32": [150.0, 100.0, 155.0], "float64": [75.0]}
    for measurement in result.measurements:
        measurement.peaks = peaks[measurement.dtype] if measurement.engine == "fastconv" else []
    return Report(copies=[10.0], cases=[result])


def test_shares_refer_to_the_cases_own_median_peak():
    (row,) = report_of(0.03).rows()
    assert row.gflops == pytest.approx(3699.376128 / 30)
    assert row.peak_share == pytest.approx(row.gflops / 150)
    assert np.isnan(row.times_numpy)


def test_rules():
    held = summarise(report_of(0.03, numpy=0.09, two=0.016, double=0.06, last=0.03))
    assert [rule.held for rule in held] == [True, True, True, True, True, None, None, None, None]
    missed = summarise(report_of(0.04, numpy=0.05, two=0.03, double=0.1, last=0.05))
    assert [rule.held for rule in missed] == [False] * 5 + [None] * 4
    assert all(rule.held is None for rule in summarise(Report()))


def test_report_survives_json():
    report = report_of(0.03, numpy=0.09)
    again = Report.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    assert again.rows()[0].times_numpy == pytest.approx(3)
    for text in ("[]", "{}", '{"format": 99}', "no json"):
        with pytest.raises(ValueError, match=r"format|Expecting"):
            Report.from_json(text)


@pytest.mark.parametrize(("share", "held"), [(0.81, True), (0.79, False)])
def test_rules_of_poolings_beyond_the_caches(share, held):
    report = Report(copies=[10.0])
    for case in select(CASES, "vgg16/pool1|vgg16/pool5"):
        result = CaseResult.of(case)
        seconds = case.elements * 4 / (share * 10e9)
        result.measurements = [Measurement("fastconv", 1, "float32", False, rounds=[seconds])]
        report.cases.append(result)
    report = Report.from_json(report.to_json())
    (rule,) = [rule for rule in summarise(report) if "stride 2" in rule.text]
    assert rule.held is held
    assert "1 cases" in rule.figure  # pool5's 0.5 MB stay in L2


# ---- command line


def bench(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "fastconv", "bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_bench_runs_and_writes_json(tmp_path):
    path = tmp_path / "figures.json"
    done = bench("--quick", "--filter", "lenet5", "--threads", "1,2", "--json", path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.search(r"1/5 +lenet5/conv1 .*GF/s", done.stdout)
    assert "LeNet-5 layers <= 5 us" in done.stdout
    assert "fastest peer" not in done.stdout
    document = json.loads(path.read_text())
    assert document["complete"]
    assert document["median"]["peak_gflops"]["float32"] > 0
    engines = [(m["engine"], m["threads"]) for m in document["cases"][0]["measurements"]]
    assert engines == [("fastconv", 1), ("fastconv", 2), ("numpy", 1), ("numpy", 2), ("loops", 1)]
    assert all(
        m["failure"] is None and m["error"] <= 1 and m["seconds"] > 0
        for case in document["cases"]
        for m in case["measurements"]
    )
    shown = bench("--load", path, "--html", tmp_path / "page.html")
    assert shown.returncode == 0
    assert "lenet5/conv1" in shown.stdout
    assert "lenet5/conv1" in (tmp_path / "page.html").read_text()


def test_bench_full_times_every_variant(tmp_path):
    path = tmp_path / "figures.json"
    done = bench("--full", "--quick", "--filter", "lenet5/conv2", "--json", path)
    assert done.returncode == 0, done.stderr
    assert "not measured" not in done.stdout.split("channels_last <=")[1].splitlines()[0]
    ours = [
        m
        for m in json.loads(path.read_text())["cases"][0]["measurements"]
        if m["engine"] == "fastconv"
    ]
    assert [(m["threads"], m["dtype"], m["channels_last"]) for m in ours] == [
        (1, "float32", False),
        (2, "float32", False),
        (1, "float64", False),
        (1, "float32", True),
    ]


def test_bench_plots(tmp_path):
    pytest.importorskip("matplotlib", reason="pip install matplotlib")
    path = tmp_path / "figures.png"
    done = bench("--quick", "--filter", "lenet5", "--plot", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_says_how_to_get_it():
    blocked = (
        "import sys; sys.modules['matplotlib'] = None;"
        "from fastconv.__main__ import main; sys.exit(main(['bench', '--plot', 'a.png']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install matplotlib" in done.stderr


def test_list_names_every_case():
    lines = bench("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in CASES]


def test_a_listing_whose_reader_is_gone_ends_quietly():
    command = [sys.executable, "-m", "fastconv", "bench", "--list"]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--filter", "no such layer"),
        ("--threads", "0"),
        ("--threads", "two"),
        ("--json", "nowhere/at/all.json"),
        ("--html", "nowhere/at/all.html"),
        ("--plot", "picture.xyz"),
        ("--load", "nowhere.json"),
    ],
)
def test_bad_options_end_at_once(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert "Traceback" not in done.stderr


def test_info_prints_the_configuration():
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", "info"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "threads" in done.stdout


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(part) for part in text.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_prints_what_is_done_and_ends_the_workers():
    process = subprocess.Popen(
        [sys.executable, "-m", "fastconv", "bench", "--filter", "googlenet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if " 2/" in line:
            break
    workers = children(process.pid)
    assert len(workers) == 3
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "yardsticks" in out
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_ctrl_c_leaves_the_terminal_whole():
    pytest.importorskip("rich", reason="pip install rich")
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="150")
        os.execv(sys.executable, [sys.executable, "-m", "fastconv", "bench", "--filter", "lenet5"])
    seen = b""
    while b"2/5" not in seen:
        seen += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:
        pass  # Linux reports the end of a pseudo-terminal so.
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert b"lenet5/conv1" in seen[seen.rindex(b"interrupted") :]
    assert b"Traceback" not in seen


def test_a_busy_machine_is_told():
    report = Report(facts={"machine": {"load": 1.5}})
    assert "1.5 cores busy" in wording.head_lines(report)[-1]
    report.facts["machine"]["load"] = 0.1
    assert not any("WARNING" in line for line in wording.head_lines(report))
    assert session.machine_facts()["machine"]["load"] >= 0
