"""The benchmark beside peers: who is asked for what, ratios, rules, text and page.

No peer has to be installed: fake processes answer in their place. Those that are installed are put
to the check at the end.
"""

import math
import re
from xml.etree import ElementTree

import pytest

from fastconv.bench import charts, checks, cli, engines, session
from fastconv.bench.cases import CASES, select
from fastconv.bench.client import EngineError, Worker
from fastconv.bench.data import Variant
from fastconv.bench.engines import ENGINES, PEERS
from fastconv.bench.page import page
from fastconv.bench.peers import absences, behind, comparisons, means
from fastconv.bench.peers_text import peer_lines
from fastconv.bench.results import Report
from fastconv.bench.summary import summarise


class FakeWorkers:
    """Processes that answer at once: every engine takes the milliseconds of its name."""

    def __init__(self, **broken):
        self.broken = broken

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def running(self):
        return []

    def get(self, engine, threads):
        self.engine, self.threads = engine, threads
        return self

    def ask(self, verb, *arguments):
        if verb == "versions" and self.engine in self.broken:
            raise EngineError(self.broken[self.engine])
        ms = {"fastconv": 2.0, "ncnn": 3.0, "torch": 5.0}.get(self.engine, 4.0)
        return {
            "versions": {},
            "bandwidth": {"copy": 10.0, "read": 14.0},
            "prepare": ("direct", {}),
            "check": (checks.Check(0.1, 600), 1.0),
            "time": (ms * 1e-3 / self.threads, 100.0),
        }[verb]


class Silence:
    def begin(self, report, total): ...
    def working(self, case): ...
    def finished(self, result): ...
    def end(self): ...


@pytest.fixture
def run(monkeypatch):
    """Return the function that runs engines on a convolution and two poolings, one dilated."""

    def run(*names, **broken):
        monkeypatch.setattr(session, "Workers", lambda: FakeWorkers(**broken))
        monkeypatch.setattr(session, "_SETTLE_SECONDS", 0)
        cases = select(CASES, "vgg16/conv3_2|vgg16/pool3|random/11")
        chosen = [ENGINES[name] for name in names]
        report = Report()
        session.run(
            session.Plan(cases, [Variant(1), Variant(2)], cli.QUICK, chosen), report, Silence()
        )
        return report

    return run


@pytest.fixture
def compared(run):
    """A run of all engines, of which OpenVINO does not start."""
    return run(*ENGINES, openvino="no <such> CPU")


def test_peers_are_asked_for_what_they_serve(compared):
    asked = {
        result.id: {(m.engine, m.threads) for m in result.measurements if m.seconds}
        for result in compared.cases
    }
    conv, pool, dilated = asked["vgg16/conv3_2"], asked["vgg16/pool3"], asked["random/11"]
    assert {name for name, _ in conv} == set(ENGINES) - {"openvino", "loops", "onnx.reference"}
    assert {threads for _, threads in conv} == {1, 2}
    assert {name for name, _ in conv - pool} == {"fastconv one-shot", "torch one-shot"}
    assert {name for name, _ in pool - dilated} == {"ncnn"}
    assert absences(compared) == {("ncnn", "its pooling has no dilation"): ["random/11"]}
    assert not compared.failures()
    assert compared.facts["broken"] == {"openvino": "no <such> CPU"}


def test_an_engine_of_ours_that_does_not_start_ends_the_run(run):
    with pytest.raises(EngineError, match="gone"):
        run("fastconv", "torch", fastconv="gone")


def test_ratios_and_their_means(compared):
    found = comparisons(compared)
    assert [each.where for each in found][:2] == [
        "vgg16/conv3_2 (1 thread)",
        "vgg16/conv3_2 (2 threads)",
    ]
    assert [each.fastest for each in found] == ["ncnn"] * 4 + ["torch channels-last"] * 2
    assert [each.ratio for each in found] == pytest.approx([1.5] * 4 + [2] * 2)
    assert not behind(found)
    first = means(found)[0]
    assert (first.threads, first.scope) == (1, "all cases")
    assert first.figures["all"] == (pytest.approx((1.5 * 1.5 * 2) ** (1 / 3)), 3)
    assert first.figures["convolutions"] == (pytest.approx(1.5), 1)
    assert first.figures["poolings"] == (pytest.approx(3**0.5), 2)
    assert first.figures["torch alone"] == (pytest.approx(2.5), 3)
    assert first.figures["one-shot"] == (pytest.approx(1), 1)
    assert [line.scope for line in means(found)[3:]] == ["all cases", "networks", "random list"]


def slower(report, factor):
    """The report with fastconv's times multiplied."""
    for result in report.cases:
        for m in result.measurements:
            if m.engine == "fastconv":
                m.rounds = [seconds * factor for seconds in m.rounds]
    return report


def test_rules_against_peers(compared):
    assert [rule.held for rule in summarise(compared)[-4:]] == [True] * 4
    missed = summarise(slower(compared, 1.6))[-4:]
    assert [rule.held for rule in missed] == [False, False, False, False]
    assert "4 of 6 are, worst vgg16/conv3_2 (1 thread) 0.94" in missed[-1].figure


def test_text_of_the_comparison(compared, run):
    lines = peer_lines(slower(compared, 1.6))
    (line,) = [line for line in lines if re.match(r"vgg16/pool3 +2 ", line)]
    assert line.split()[1:] == ["2", "direct", "1.600", "ncnn", "1.500", "0.94", "behind"]
    assert "behind, below 0.97 of the fastest peer: 4 of 6" in lines
    assert "without ncnn, its pooling has no dilation: random/11" in lines
    assert "openvino does not start, hence not measured: no <such> CPU" in lines
    assert peer_lines(run("fastconv", "numpy")) == []


def test_page_holds_every_layer_and_nothing_from_elsewhere(compared, run):
    compared.cases[0].measurements[-1].failure = "wrong result: <nan>"
    text = page(Report.from_json(slower(compared, 1.6).to_json()))
    assert 'title="wrong result: &lt;nan&gt;">failed' in text
    assert "failed measurements: 1" in text
    for wanted in ("vgg16/conv3_2", "random/11", "torch<br>channels-last", "no &lt;such&gt; CPU"):
        assert wanted in text
    assert 'title="its pooling has no dilation">–' in text
    assert text.count('<td class="loses">0.94') == 4
    assert text.count("<td class=best>1.500") == 2
    assert not re.search(r"<(script|link|img)|https?:|url\(|@import", text)
    # Without peers it holds what was measured.
    plain = page(run("fastconv", "numpy"))
    assert "fastest peer" not in plain
    assert "vgg16/conv3_2" in plain
    assert "vgg16/conv3_2" not in page(Report())


def test_charts_have_a_mark_for_every_layer(compared):
    found = comparisons(compared)
    drawn = ElementTree.fromstring(charts.ratios(found))
    tips = [rect.find("title").text for rect in drawn.iter("rect")]
    assert len(tips) == len(found)
    heights = [float(rect.get("height")) for rect in drawn.iter("rect")]
    assert heights[-1] / heights[0] == pytest.approx(math.log(2) / math.log(1.5), 0.01)
    assert "1.50x: fastconv 2.000 ms, ncnn 3.000 ms" in tips[0]
    (row,) = [row for row in compared.plain_rows() if row.result.op == "conv"]
    drawn = ElementTree.fromstring(charts.roofline([row], compared.peak(), compared.read()))
    (mark,) = drawn.iter("polygon")
    assert "GFLOP/s at" in mark.find("title").text
    assert any("FMA peak 100 GFLOP/s" in text.text for text in drawn.iter("text"))


def test_missing_peers_are_named(monkeypatch, capsys):
    find = engines.importlib.util.find_spec
    absent = {"torch", "onnx", "onnxruntime", "openvino", "ncnn"}
    monkeypatch.setattr(
        engines.importlib.util, "find_spec", lambda name: None if name in absent else find(name)
    )
    parser = cli.argparse.ArgumentParser()
    cli.add_options(parser)
    assert cli.main(parser.parse_args(["--peers"])) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "torch, onnxruntime, onnx, openvino, ncnn" in message
    assert "pip install 'fastconv[peers]'" in message
    assert "CPU build" in message
    # Operators are timed alone then.
    chosen, missing = engines.chosen(True, {"unfold", "linear"})
    assert [engine.name for engine in chosen] == ["fastconv"]
    assert missing == ["torch"]
    chosen, missing = engines.chosen(with_peers=False)
    assert [engine.name for engine in chosen] == ["fastconv", "numpy", "loops"]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PEERS, "torch one-shot"])
def test_installed_peers_pass_the_check(name, skip):
    engine = ENGINES[name]
    if engine.missing:
        skip("no peers")
    worker = Worker(name, 1)
    try:
        for case in select(CASES, "lenet5/(conv|pool)1|3a.3x3$|random/(00|11|13|23|84)"):
            if case.op in engine.ops and engine.absent(case) is None:
                worker.ask("prepare", case, Variant())
                assert worker.ask("check", Variant())[0].failure is None, case
    finally:
        worker.kill()
