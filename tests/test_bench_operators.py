"""The benchmark of operators: its cases, their definitions, and ``bench --operators``.

No test here depends on how fast anything is.
"""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fastconv.bench import checks, cli
from fastconv.bench.cases import NETWORK_CASES, select
from fastconv.bench.client import Worker
from fastconv.bench.data import Variant, make_arrays
from fastconv.bench.definitions import value_at
from fastconv.bench.engines import ENGINES, ours
from fastconv.bench.layers import Window
from fastconv.bench.operator_cases import (
    OPERATOR_CASES,
    OPERATOR_FAMILIES,
    QUICK_OPERATORS,
    window,
)
from fastconv.bench.operators import (
    OPERATORS,
    Convolution,
    Gradient,
    Linear,
    Pad,
    Pooling,
    Transposed,
    Unfold,
)
from fastconv.bench.results import CaseResult, Measurement, Report
from fastconv.bench.views import LAYERS_VIEW, OPERATORS_VIEW, view_of

# One small case of each family at least.
SMALL = select(
    OPERATOR_CASES,
    "conv1d/(00|01|08|13)|conv3d/(03|04|05|14)|lenet5/conv[12]|(backward|input|weight)/mobilenet/dw12|"
    "backward/efficientnet/block6.0.dw|dcgan[125]|upscore|lenet5.fc1|fc8|unfold/(5x5|3x3/2)|"
    "pad/(constant.deep|reflect1$|circular1|replicate3d)|pool1d/(max3|avg25)|pool3d/(max3/2|avg)|"
    "indices/3x3",
)


# ---- cases


def test_ids_are_unique_and_families_known():
    assert len({case.id for case in OPERATOR_CASES}) == len(OPERATOR_CASES)
    assert list(dict.fromkeys(case.family for case in OPERATOR_CASES)) == list(OPERATOR_FAMILIES)
    assert {case.op for case in OPERATOR_CASES} == set(OPERATORS)
    assert {case.family for case in SMALL} == set(OPERATOR_FAMILIES)
    assert {case.family for case in QUICK_OPERATORS} == set(OPERATOR_FAMILIES) - {"input", "weight"}


def test_random_convolutions_are_seeded_and_varied():
    for family, first in (
        ("conv1d", "39->24 4 p6 d4 @64"),
        ("conv3d", "48->80 3x3x3/1x2x2 @16x7x7 n4"),
    ):
        cases = [case for case in OPERATOR_CASES if case.family == family]
        assert len(cases) == 20
        assert cases[0].label == first
        assert all(1e5 <= case.macs <= 1.5e8 for case in cases)
        assert all(case.window.axes == int(family[4]) for case in cases)
        for wanted in (
            lambda case: case.n > 1,
            lambda case: case.groups == case.c,
            lambda case: 1 < case.groups < case.c,
            lambda case: max(case.window.stride) > 1,
            lambda case: any(case.window.padding),
        ):
            assert any(map(wanted, cases))
        assert {1, 11} <= {taps for case in cases for taps in case.window.kernel}
    assert max(max(case.window.dilation) for case in select(OPERATOR_CASES, "conv[13]d")) > 1


def test_gradients_are_those_of_every_convolution_of_the_networks():
    layers = {f"backward/{case.id}" for case in NETWORK_CASES if case.op == "conv"}
    assert {case.id for case in OPERATOR_CASES if case.family == "backward"} == layers
    assert any(case.window.even_padding is None for case in OPERATOR_CASES if case.op == "gradient")


# What has to be read and written, and multiplied, worked out by hand.
@pytest.mark.parametrize(
    ("name", "elements", "flops"),
    [
        # x 6*14*14, weight 16*6*25, gradient 16*10*10; each of the first two is also written.
        ("backward/lenet5/conv2", 2 * (1176 + 2400) + 1600 + 16, 4 * 240_000),
        ("input/lenet5/conv2", 1176 + 2400 + 1600, 2 * 240_000),
        ("weight/lenet5/conv2", 1176 + 2400 + 1600, 2 * 240_000),
        ("transposed/dcgan5", 64 * 32 * 32 + 64 * 3 * 16 + 3 + 3 * 64 * 64, 2 * 32**2 * 64 * 48),
        ("linear/lenet5.fc1", 120 + 120 * 84 + 84 + 84, 2 * 120 * 84),
        ("unfold/5x5", 8 * 6 * 14 * 14 + 8 * 150 * 100, 0),
        ("pad/constant.deep", 512 * (14 * 14 + 16 * 16), 0),
        ("indices/3x3", 192 * 28 * 28 * 4, 0),
    ],
)
def test_work_of_a_case(name, elements, flops):
    (case,) = [case for case in OPERATOR_CASES if case.id == name]
    assert (case.elements, case.flops) == (elements, flops)


def test_output_padding_is_what_the_size_needs():
    found = {
        case.id: case.output_padding for case in OPERATOR_CASES if isinstance(case, Transposed)
    }
    assert found["transposed/style1"] == (1, 1)
    assert found["transposed/unet.up1"] == found["transposed/decoder1"] == (0, 0)


# ---- definitions


COMMON = {"id": "test/case", "family": "test", "n": 2, "c": 4}
PLACES = Window((5, 6), (2, 3), (2, 1), (1, 0, 1, 1), (1, 2))


def naive_conv(x, weight, case):
    """The sum of the definition, tap by tap over whole planes."""
    (top, bottom), (left, right) = case.window.nested_padding
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (top, bottom), (left, right)))
    (oh, ow), (sh, sw), (dh, dw) = case.window.out_size, case.window.stride, case.window.dilation
    out = np.zeros(case.out_shape)
    cg, kg = case.c // case.groups, case.k // case.groups
    for k in range(case.k):
        for c in range(cg):
            for i, j in np.ndindex(*case.window.kernel):
                plane = padded[:, k // kg * cg + c, i * dh :, j * dw :]
                out[:, k] += weight[k, c, i, j] * plane[:, : oh * sh : sh, : ow * sw : sw]
    return out


def everywhere(case, arrays, result=0):
    shape = case.results[result].shape
    values = [value_at(case, arrays, result, position)[0] for position in np.ndindex(*shape)]
    return np.array(values).reshape(shape)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_definition_of_gradients(groups):
    """By the inner product: <conv(x), g> is linear in x and in the weights."""
    case = Gradient(**COMMON, k=8, window=PLACES, groups=groups, wanted=("x", "weight", "bias"))
    arrays = make_arrays(case, "float64")
    forward = Convolution(**COMMON, k=8, window=PLACES, groups=groups)
    out = naive_conv(arrays.x, arrays.weight, case)
    biased = everywhere(forward, arrays)
    np.testing.assert_allclose(biased, out + arrays.bias[:, None, None], rtol=1e-12, atol=1e-12)
    product = (out * arrays.grad_output).sum()
    grad_x, grad_weight, grad_bias = (everywhere(case, arrays, i) for i in range(3))
    assert (grad_x * arrays.x).sum() == pytest.approx(product)
    assert (grad_weight * arrays.weight).sum() == pytest.approx(product)
    np.testing.assert_allclose(grad_bias, arrays.grad_output.sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("groups", [1, 2])
def test_definition_of_transposed_convolution(groups):
    case = Transposed(**COMMON, k=6, window=PLACES, groups=groups)
    arrays = make_arrays(case, "float64")
    mirrored = Gradient(**COMMON | {"c": 6}, k=4, window=PLACES, groups=groups, wanted=("x",))
    as_gradient = replace(arrays, grad_output=arrays.x, x=np.empty(0))
    expected = everywhere(mirrored, as_gradient) + arrays.bias[:, None, None]
    np.testing.assert_allclose(everywhere(case, arrays), expected)


def test_definitions_of_what_moves_memory():
    arrays = make_arrays(Unfold(**COMMON, window=PLACES), "float64")
    unfolded = everywhere(Unfold(**COMMON, window=PLACES), arrays)
    conv = Convolution(**COMMON, k=1, window=PLACES)
    weight = np.arange(24.0).reshape(conv.weight_shape)
    summed = np.einsum("r,nrp->np", weight.ravel(), unfolded)
    np.testing.assert_allclose(summed, naive_conv(arrays.x, weight, conv).reshape(2, -1))
    for mode, numpy_mode in (
        ("constant", "constant"),
        ("reflect", "reflect"),
        ("replicate", "edge"),
        ("circular", "wrap"),
    ):
        borders = ((1, 2), (0, 3))
        case = Pad(**COMMON, size=(5, 6), borders=borders, mode=mode)
        assert case.pads == [0, 3, 1, 2]
        expected = np.pad(arrays.x, ((0, 0), (0, 0), *borders), numpy_mode)
        assert np.array_equal(everywhere(case, arrays), expected)
    linear = Linear(**COMMON, k=3)
    flat = make_arrays(linear, "float64")
    np.testing.assert_allclose(everywhere(linear, flat), flat.x @ flat.weight.T + flat.bias)


def test_definition_of_indices():
    case = Pooling(
        **COMMON, kind="max", window=window((5, 6), (3, 2), (2, 1), (1, 1)), indices=True
    )
    arrays = make_arrays(case)
    maxima, indices = everywhere(case, arrays), everywhere(case, arrays, 1).astype(int)
    planes = arrays.x.reshape(2, 4, -1)
    taken = np.take_along_axis(planes, indices.reshape(2, 4, -1), axis=2)
    assert np.array_equal(taken.reshape(maxima.shape), maxima)
    # The first of equal ones.
    level = replace(arrays, x=np.ones_like(arrays.x))
    assert everywhere(case, level, 1)[0, 0, 1, :3].tolist() == [6, 6, 7]


# ---- check


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
def test_fastconv_passes_the_check(case):
    arrays = make_arrays(case)
    prepared = ours.prepare(case, Variant(), arrays)
    found = checks.check_output(case, arrays, prepared.run(), prepared.winograd)
    assert found.failure is None
    assert 0 < found.positions <= checks.POSITIONS * len(case.results)


def test_check_looks_at_every_result():
    case = select(OPERATOR_CASES, "indices/3x3/2")[0]
    arrays = make_arrays(case)
    maxima, indices = ours.prepare(case, Variant(), arrays).run()
    assert checks.check_output(case, arrays, (maxima, indices)).error == 0
    assert "expected" in checks.check_output(case, arrays, (maxima, indices + 1)).failure
    assert "dtype" in checks.check_output(case, arrays, (maxima, indices.astype(np.int32))).failure
    assert "1 results" in checks.check_output(case, arrays, maxima).failure


@pytest.mark.slow
def test_torch_passes_the_check(skip):
    if ENGINES["torch"].missing:
        skip("no peers")
    worker = Worker("torch", 1)
    try:
        for case in SMALL:
            worker.ask("prepare", case, Variant())
            assert worker.ask("check", Variant())[0].failure is None, case
    finally:
        worker.kill()


# ---- report


def report_of(torch_ms, our_ms=2.0):
    """A report in which fastconv takes as long for each case, and PyTorch what is told, if so."""
    report = Report(facts={"options": {"operators": True}}, copies=[10.0], reads=[20.0])
    for name, ms in torch_ms.items():
        (case,) = [case for case in OPERATOR_CASES if case.id == name]
        result = CaseResult.of(case)
        ours = Measurement("fastconv", 1, "float32", False, rounds=[our_ms / 1e3], peaks=[100.0])
        result.measurements = [ours]
        if ms:
            result.measurements.append(Measurement("torch", 1, "float32", False, rounds=[ms / 1e3]))
        report.cases.append(result)
    return Report.from_json(report.to_json())


POOLS_AND_PADS = {
    "pool1d/max2": 4.0,
    "pool1d/max4": 1.0,
    "pad/constant1": 4.0,
    "pad/constant3": 1.0,
}


def shown(report):
    assert view_of(report) is OPERATORS_VIEW
    return [line for line, _ in OPERATORS_VIEW.tail(report)]


def test_means_and_what_is_behind():
    lines = shown(report_of(POOLS_AND_PADS))
    assert any(re.match(r"poolings over one axis +1\.00 \(2\) +0\.50 ", line) for line in lines)
    assert any(re.match(r"all that only move memory +1\.00 \(4\) +0\.50", line) for line in lines)
    assert "behind, below 0.97: 2 of 4; below 0.7: 2" in lines
    assert any(line.startswith("  pool1d/max4 (1 thread)") for line in lines)
    assert all(len(line) <= 100 for line in lines if "yardsticks" not in line)


def test_shares_refer_to_the_bandwidth_that_suits():
    report = report_of({"linear/alexnet.fc7": None})
    (row,) = report.rows()
    assert row.read_share == pytest.approx(row.result.elements * 4 / 2e-3 / 20e9)
    columns = {column.name: column.show(row) for column in OPERATORS_VIEW.columns}
    assert columns["share of"] == f"{row.read_share:.0%} read"
    assert columns["torch ms"] == columns["ratio"] == ""
    assert not [line for line in shown(report) if "PyTorch" in line]


STREAMED = [f"linear/{name}" for name in ("vgg16.fc6", "alexnet.fc6", "alexnet.fc7", "alexnet.fc8")]
OTHERS = ["linear/alexnet.fc7.n4", "linear/resnet50.fc", "conv1d/00"]


def rule_of_reading(names, our_ms):
    (line,) = [line for line in shown(report_of(dict.fromkeys(names), our_ms)) if ">= 0.85" in line]
    return line.strip()


def test_dense_layers_of_one_image_are_judged_by_reading():
    """A millisecond reads 20 MB; the smallest, AlexNet's last, has 16.4 MB."""
    line = rule_of_reading(STREAMED + OTHERS, 0.9)
    assert line.startswith("held ")
    assert line.endswith(", worst 0.91 (linear/alexnet.fc8), 4 cases")
    line = rule_of_reading(STREAMED + OTHERS, 1.0)
    assert line.startswith("MISSED ")
    assert line.endswith(", 4 cases; 1 break it: linear/alexnet.fc8 0.82")
    line = rule_of_reading(OTHERS, 0.9)
    assert line.startswith("- ")
    assert line.endswith(": not measured")


def test_lines_have_a_hundred_columns():
    widths = [column.width for column in OPERATORS_VIEW.columns]
    assert len(" 100/400  ") + sum(widths) + len(widths) - 1 <= 100
    result = CaseResult.of(max(OPERATOR_CASES, key=lambda case: len(case.id + case.label)))
    result.measurements = [Measurement("fastconv", 1, "float32", False, rounds=[1.0], peaks=[1.0])]
    (row,) = Report(copies=[1.0], reads=[1.0], cases=[result]).rows()
    assert all(len(column.show(row)) <= column.width for column in OPERATORS_VIEW.columns)
    assert view_of(Report()) is LAYERS_VIEW


# ---- command line


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastconv", "bench", "--operators", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_bench_runs_and_writes_json(tmp_path):
    path = tmp_path / "figures.json"
    done = bench("--quick", "--filter", "conv1d/0[12]|lenet5/conv2$|unfold/5x5", "--json", path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.search(r"1/6 +conv1d/01 28->24 9 d4 g4 @353 n8 +1 .*% peak", done.stdout)
    document = json.loads(path.read_text())
    assert document["complete"]
    assert document["median"]["peak_gflops"]["float32"] > 0
    for case in document["cases"]:
        asked = [(m["engine"], m["threads"]) for m in case["measurements"]]
        with_torch = [("torch", 1), ("torch", 2)] * (not ENGINES["torch"].missing)
        assert asked == [("fastconv", 1), ("fastconv", 2), *with_torch]
        assert all(m["error"] <= 1 and math.isfinite(m["seconds"]) for m in case["measurements"])
    if ENGINES["torch"].missing:
        assert "not installed, hence not measured: torch" in done.stderr
        assert "not installed, hence not measured: torch" in done.stdout
    again = subprocess.run(
        [sys.executable, "-m", "fastconv", "bench", "--load", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "geometric means (cases)" in again.stdout


def test_list_names_every_case():
    lines = bench("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in OPERATOR_CASES]


@pytest.mark.parametrize(
    "arguments", [("--full",), ("--peers",), ("--html", "a.html"), ("--plot", "a.png")]
)
def test_options_of_layers_alone_are_refused(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "--operators" in done.stderr


def test_no_pictures_of_a_file_of_operators(tmp_path, capsys):
    path = tmp_path / "figures.json"
    path.write_text(report_of(POOLS_AND_PADS).to_json())
    parser = cli.argparse.ArgumentParser()
    cli.add_options(parser)
    options = parser.parse_args(["--load", str(path), "--html", str(tmp_path / "page.html")])
    assert cli.main(options) == 2
    assert "operators" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
