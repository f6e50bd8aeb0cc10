"""The benchmark of whole networks: measuring, rules, text, ``bench --networks``.

No test here depends on how fast anything is, and none runs a large network.
"""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from fastconv.bench import cli, network_session
from fastconv.bench.client import EngineError, Worker
from fastconv.bench.data import Variant
from fastconv.bench.engines import ENGINES, NETWORKS, PEERS, chosen
from fastconv.bench.memory import peak_bytes
from fastconv.bench.network_cases import TOLERANCE, network_cases
from fastconv.bench.network_files import NetworkFiles, Written, write
from fastconv.bench.network_session import difference, measure_network
from fastconv.bench.networks_summary import largest_memory, means, network_rules
from fastconv.bench.networks_text import network_lines
from fastconv.bench.results import Report
from fastconv.bench.timing import Budget
from fastconv.bench.views import NETWORKS_VIEW, view_of
from fastconv.graph import operators as ops

# ---- measuring


def test_cases():
    cases = network_cases([8, 1, 1])
    assert len(cases) == 16
    assert len({case.id for case in cases}) == 16
    assert [case.n for case in cases] == [1, 8] * 8
    assert cases[0].label == "1 x 1x32x32, pooling avg"
    one_image, eight = (case.input() for case in cases[2:4])
    assert eight.shape == (8, 3, 227, 227)
    assert np.array_equal(one_image[0], eight[0])


@pytest.mark.parametrize("case", network_cases([1]), ids=lambda case: case.family)
def test_every_network_is_a_model(case):
    assert callable(case.factory)


def test_lenet_is_made_and_read_again(tmp_path):
    case, path = network_cases([1])[0], tmp_path / "weights.npz"
    graph = case.graph()
    np.savez(path, **graph.constants)
    assert np.array_equal(case.graph(path)(case.input()), graph(case.input()))
    assert any(isinstance(node.operator, ops.AvgPool) for node in graph.nodes)


def test_what_is_written_of_a_network(tmp_path):
    case, files = network_cases([2])[0], NetworkFiles(tmp_path)
    written = write(case, files, ())
    graph = case.graph()
    with np.load(files.weights, allow_pickle=False) as weights:
        assert set(weights) == set(graph.constants)
    assert list(tmp_path.iterdir()) == [files.weights]
    assert (written.parameters, written.macs) == (61_706, 2 * 416_520)
    assert difference(graph(case.input()), [written.answer]) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, each in ENGINES.items() if "network" in each.ops])
def test_installed_engines_answer_alike(name, tmp_path, skip):
    if ENGINES[name].missing:
        skip("no peers")
    case, files = network_cases([2])[0], NetworkFiles(tmp_path)
    packages = {"ncnn"} | ({"onnx"} - set(ENGINES["onnx.reference"].missing))
    workers = [Worker("fastconv", 1), Worker(name, 2)]
    writer, worker = workers
    try:
        written = writer.ask("write", case, files, packages)
        out, seconds, imported = worker.ask("load", case, files, Variant(2))
        assert difference(out, [written.answer]) < 1e-6
        assert seconds > 0
        assert worker.ask("time", Variant(2), 0.001, False)[0] > 0
        assert worker.ask("memory") >= imported > 1e7
    finally:
        for each in workers:
            each.kill()


def test_difference():
    right = np.array([[1.0, -4.0]])
    close_by, wrong = right * (1, 0.99975), right * (3, 1)
    assert difference(right, [right]) == 0
    assert difference(close_by, [right, right, wrong]) == pytest.approx(1e-3 / 4)
    assert difference(wrong, [right, right, close_by]) == pytest.approx(0.5)
    assert difference(right.T, [right]) == np.inf
    assert difference(right * np.nan, [right]) == np.inf


class FakeProcesses:
    """Processes that answer at once; each takes the milliseconds of its engine."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def get(self, engine, threads):
        self.engine, self.threads = engine, threads
        return self

    def ask(self, verb, *arguments):
        if verb == "write" and "writer" in self.broken:
            raise EngineError("MemoryError")
        if verb == "write":
            return Written(61706, 416_520, np.array([[1.0, 2.0]]))
        if verb == "load":
            self.started.append((self.engine, self.threads))
            if self.engine in self.broken:
                raise EngineError("no such instruction")
            answer = np.array([[1.0, 2.0 + (self.engine in self.wrong)]], np.float32)
            return answer, {"fastconv": 0.5, "onnxruntime": 1.0}.get(self.engine, 2.0), 40_000_000
        ms = {"fastconv": 2.0, "ncnn": 3.0, "onnx.reference": 50.0}.get(self.engine, 4.0)
        if verb == "memory":
            return 41_000_000 + int(ms * 1e6)
        return ms * 1e-3 / self.threads, None


@pytest.fixture
def measure(monkeypatch):
    """Return the function that measures SqueezeNet with engines of which some may fail."""

    def measure(*names, wrong=(), broken=()):
        fakes = type("Fakes", (FakeProcesses,), {"started": [], "wrong": wrong, "broken": broken})
        monkeypatch.setattr(network_session, "Workers", fakes)
        (case,) = [case for case in network_cases([1]) if case.family == "squeezenet"]
        contenders = [
            (name, Variant(threads))
            for name in names
            for threads in (1, 2)
            if not (name == "onnx.reference" and threads == 2)
        ]
        result = measure_network(case, contenders, {"onnx"}, Budget(3, 0.0, 1.0))
        report = Report(cases=[result], facts={"options": {"networks": True}})
        return report, fakes.started

    return measure


def of(report, engine, threads=1):
    (result,) = report.cases
    (m,) = [m for m in result.measurements if (m.engine, m.threads) == (engine, threads)]
    return m


ALL = ("fastconv", *PEERS, "onnx.reference")


def test_engines_take_turns_in_processes_of_their_own(measure):
    report, started = measure("fastconv", "torch", "ncnn")
    first, second, third = names = "fastconv", "torch", "ncnn"
    turns = (*names, second, third, first, third, first, second)
    assert started == [(name, threads) for threads in (1, 2) for name in turns]
    m = of(report, "ncnn", 2)
    assert (m.rounds, m.loads) == ([0.0015] * 3, [2.0] * 3)
    assert (m.seconds, m.load, m.own_memory) == (0.0015, 2.0, 4_000_000)
    assert m.peak_memory == 44_000_000
    assert m.error == 0
    assert report.cases[0].flops == 2 * 416_520


def test_a_wrong_engine_is_shown_as_wrong_and_not_timed(measure):
    report, started = measure(*ALL, wrong=("openvino",))
    m = of(report, "openvino")
    assert m.failure == "wrong result: differs from the others by 5.0e-01 of the largest logit"
    assert (m.seconds, m.load, m.own_memory) == (None, None, None)
    assert m.error * TOLERANCE == pytest.approx(0.5)
    assert started.count(("openvino", 1)) == 1
    assert [line.split(":")[0] for line in report.failures()] == ["squeezenet n1"] * 2
    assert of(report, "torch").failure is None
    # With one other voice nobody can tell who is wrong.
    report, _ = measure("fastconv", wrong=("fastconv",))
    assert "wrong result" in of(report, "fastconv").failure


def test_an_engine_that_breaks_is_left_out(measure):
    report, started = measure(*ALL, broken=("torch",))
    assert of(report, "torch").failure == "no such instruction"
    assert started.count(("torch", 2)) == 1
    assert of(report, "ncnn").seconds == 0.003


def test_a_network_that_cannot_be_written_does_not_end_the_run(measure):
    report, started = measure("fastconv", "ncnn", broken=("writer",))
    assert {m.failure for m in report.cases[0].measurements} == {"was not written: MemoryError"}
    assert started == []
    assert [rule.held for rule in network_rules(report)] == [None] * 6


def test_the_slow_reference_is_asked_once(measure):
    report, started = measure(*ALL)
    assert started.count(("onnx.reference", 1)) == 1
    assert of(report, "onnx.reference").seconds == 0.05
    reference = ENGINES["onnx.reference"]
    light = [case.id for case in network_cases([1, 8]) if reference.estimate(case) < np.inf]
    assert light == ["squeezenet n1"]


def test_the_folder_goes_and_an_interruption_gets_through(measure, monkeypatch):
    folders = []

    def interrupted(self, verb, *arguments):
        if verb == "write":
            folders.append(arguments[1].folder)
            assert folders[0].is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeProcesses, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure("fastconv")
    assert not folders[0].exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells it otherwise")
def test_peak_memory_is_that_of_the_process_alone():
    script = (
        "from fastconv.bench.memory import peak_bytes; before = peak_bytes();"
        "held = bytearray(b'1') * 100_000_000; print(before, peak_bytes())"
    )
    ballast = np.ones(50_000_000)  # would count in the child by ru_maxrss
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before < ballast.nbytes / 2
    assert after - before == pytest.approx(1e8, rel=0.1)
    assert peak_bytes() > ballast.nbytes


# ---- rules and text


def test_rules(measure):
    report, _ = measure(*ALL)
    rules = network_rules(report)
    assert [rule.held for rule in rules] == [True, True, True, True, True, None]
    assert "1.50x (squeezenet n1 (1 thread))" in rules[0].figure
    assert rules[1].figure == "1.50x, 2 ratios"
    assert "worst 0.60x" in rules[2].figure  # 3 MB of 5
    assert "worst 0.50x" in rules[3].figure
    assert rules[4].figure == "mean 25x, worst 25x (squeezenet n1 t1), 1 cases"
    for threads in (1, 2):
        m = of(report, "fastconv", threads)
        m.rounds, m.loads = [0.0032], [1.01]
        m.memory = [m.imported[0] + 5_000_001] * 3
    missed = network_rules(Report.from_json(report.to_json()))
    assert [rule.held for rule in missed] == [False, False, False, False, False, None]


def test_rule_of_lenet(measure):
    report, _ = measure("fastconv")
    (result,) = report.cases
    report.cases = [replace(result, id="lenet5 n1")]
    assert network_rules(report)[-1].held is False
    for m in result.measurements:
        m.rounds = [44e-6]
    assert network_rules(report)[-1].figure == "lenet5 n1 t1 44.0, lenet5 n1 t2 44.0"
    assert network_rules(report)[-1].held is True
    # Without peers there is nothing to compare with.
    assert [rule.held for rule in network_rules(report)[:-1]] == [None] * 5


def test_means(measure):
    report, _ = measure(*ALL, broken=("torch",))
    found = {(mean.threads, mean.to): mean for mean in means(report)}
    assert found[1, "fastest peer"].value == pytest.approx(1.5)
    assert found[2, "onnxruntime"].value == pytest.approx(2.0)
    assert (1, "torch") not in found
    assert largest_memory(report.cases[0], 1) == 5_000_000
    assert largest_memory(measure("fastconv")[0].cases[0], 1) is None


def test_text(measure):
    report, _ = measure(*ALL, broken=("torch",), wrong=("openvino",))
    lines = network_lines(report)
    at = lines.index("ms of a call")
    heads = "fastconv torch torch channels-last onnxruntime openvino ncnn"
    assert " ".join(lines[at + 1].split()) == heads
    assert lines[at + 2].split()[4:] == ["2.000", "failed", "4.000", "4.000", "failed", "3.000"]
    assert lines[at + 3].split()[4:] == ["1.000", "failed", "2.000", "2.000", "failed", "1.500"]
    at = lines.index("difference from the others, of the largest logit")
    assert lines[at + 2].split()[-2:] == ["5.0e-01", "0.0e+00"]
    assert any(re.match(r"batch 1, 2 threads +1\.50 \(1\)", line) for line in lines)
    assert view_of(report) is NETWORKS_VIEW
    row = report.rows()[0]
    assert [column.show(row) for column in NETWORKS_VIEW.columns] == [
        "squeezenet n1",
        "1",
        "2.000",
        "0.4",
        "ncnn",
        "3.000",
        "1.50",
        "3.0",
        "5.0",
        "500.0",
        "1000.",
    ]
    tail = [line for line, _ in NETWORKS_VIEW.tail(report)]
    assert "4 failed:" in tail
    alone, _ = measure("fastconv")
    assert not any(line == "ms of a call" for line in network_lines(alone))
    assert [column.show(alone.rows()[0]) for column in NETWORKS_VIEW.columns[4:7]] == [""] * 3


# ---- command line


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastconv", "bench", "--networks", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_bench_runs_and_writes_json(tmp_path):
    path = tmp_path / "figures.json"
    done = bench(
        "--quick", "--filter", "lenet5", "--threads", "1,2", "--batch", "2", "--json", path
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.search(r"1/1 +lenet5 n2 +1 ", done.stdout)
    document = json.loads(path.read_text())
    assert document["complete"]
    (case,) = document["cases"]
    assert case["macs"] == 2 * 416_520
    assert case["geometry"] == {"n": 2, "image": [1, 32, 32], "parameters": 61706}
    for threads, m in enumerate(case["measurements"], 1):
        assert (m["engine"], m["threads"], m["failure"]) == ("fastconv", threads, None)
        assert m["error"] < 0.01
        assert len(m["rounds"]) == len(m["loads"]) == 2
    again = Report.from_json(path.read_text())
    assert again.facts["options"]["networks"] is True
    shown = cli.main(options("--load", str(path)))
    assert shown == 0
    assert cli.main(options("--load", str(path), "--html", str(tmp_path / "a.html"))) == 2


def options(*arguments):
    parser = cli.argparse.ArgumentParser()
    cli.add_options(parser)
    return parser.parse_args(arguments)


def test_list_names_the_networks(capsys):
    assert cli.main(options("--networks", "--list", "--batch", "1,3", "--filter", "vgg")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [name, n] for name in ("vgg16", "vgg19") for n in ("n1", "n3")
    ]
    assert cli.main(options("--networks", "--list", "--quick")) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--networks", "--operators"), "--operators is not of whole networks"),
        (("--networks", "--full"), "--full is not of whole networks"),
        (("--networks", "--html", "a.html"), "--html is not of whole networks"),
        (("--batch", "2"), "--batch is of whole networks: it goes with --networks"),
        (("--networks", "--filter", "no such net"), "no case matches 'no such net'"),
    ],
)
def test_options_that_do_not_fit(arguments, said, capsys):
    assert cli.main(options(*arguments)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("batch", ["0", "two", "1,,2", "2000"])
def test_bad_batches(batch, capsys):
    with pytest.raises(SystemExit):
        options("--networks", "--batch", batch)
    assert f"numbers from 1 to 1024, as in 1,2, got '{batch}'" in capsys.readouterr().err


def test_engines_of_networks():
    engines, _ = chosen(with_peers=False, ops=NETWORKS)
    assert [engine.name for engine in engines] == ["fastconv"]
    serving = {engine.name for engine in ENGINES.values() if "network" in engine.ops}
    assert serving == set(ALL)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_prints_what_is_done_and_ends_the_workers():
    process = subprocess.Popen(
        [sys.executable, "-m", "fastconv", "bench", "--networks", "--filter", "lenet5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if " 1/" in line:
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "LeNet-5 at batch 1" in out
    # One that was just being started ends once it has found that nobody asks it.
    deadline = monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert monotonic() < deadline
        sleep(0.05)
