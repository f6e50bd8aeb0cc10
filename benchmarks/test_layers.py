"""The shared cases as pytest-benchmark tests: ``pytest benchmarks -k "vgg16 and conv"``.

Layers of networks, then operators, by the names that ``python -m fastconv bench --list`` and
``--operators --list`` tell.

``python -m fastconv bench`` compares engines; this measures fastconv alone, for comparing
one commit with another (``--benchmark-save``, ``--benchmark-compare``).
"""

import pytest

import fastconv
from fastconv.bench.cases import CASES
from fastconv.bench.checks import check_output
from fastconv.bench.data import Variant, make_arrays
from fastconv.bench.engines import ours
from fastconv.bench.operator_cases import OPERATOR_CASES

pytest.importorskip("pytest_benchmark", reason="pip install 'fastconv[bench]'")


@pytest.mark.parametrize("case", CASES + OPERATOR_CASES, ids=lambda case: case.id)
def test_case(benchmark, case):
    arrays = make_arrays(case)
    with fastconv.num_threads(1):
        prepared = ours.prepare(case, Variant(), arrays)
        benchmark.group = case.family
        benchmark.extra_info.update(layer=case.label, algorithm=prepared.algorithm)
        out = benchmark(prepared.run)
    found = check_output(case, arrays, out, prepared.winograd)
    assert found.failure is None, found.failure
