"""Measure the cases with every algorithm that serves them and fit a row of csrc/plan/costs.c.

    python tools/fit_costs.py [--level avx2] [--save FILE.npz] [--load FILE.npz]

Prints the row of the level and how far the choice by it lies behind the best algorithm of each
case, which is what the row is for.  One thread, float32, weights packed beforehand, algorithms in
turn; the median of the rounds.  Needs scipy, which scikit-image brings along.
"""

import argparse
from dataclasses import replace
from statistics import median
from time import perf_counter

import numpy as np
from scipy.optimize import minimize, nnls

import fastconv
from fastconv import _core
from fastconv.bench.cases import CASES
from fastconv.bench.data import make_arrays
from fastconv.bench.layers import ConvLayer

# Kinds of work with a likely cost in nanoseconds.  Some of them come together in most cases; what
# the measurements do not tell apart stays in proportion to these.
WORK = {
    "call": 9,
    "tile": 0.17,
    "line": 0.165,
    "slab": 1.5,
    "panel": 4,
    "store": 3.2,
    "input": 3.7,
    "output": 1.7,
    "depthwise": 0.36,
    "weights": 30,
    "far": 40,
    "bytes": 32,
}
KINDS = list(WORK)
MULTIPLY = [KINDS.index("tile"), KINDS.index("line")]
FETCH = [KINDS.index("weights"), KINDS.index("far")]
PULL = 4.0  # weight of each of these beside that of a measurement
SHARPNESS = 12.0  # power of a speed that stands for a choice: 5 % are a factor of 1.8
HOLD = 0.002  # what a cost e times as high must gain, in shares of the time of all cases
ROUNDS, SECONDS = 5, 0.012


def plan_of(case, algorithm, level):
    geometry = (case.n, case.c, case.h, case.w, case.k, case.c // case.groups, case.kh, case.kw)
    steps = (case.stride, case.padding, case.dilation, case.groups)
    activation = ("none", 0.0, 0.0)
    return _core.ConvPlan(*geometry, *steps, False, "float32", activation, algorithm, level, False)


def sample(run):
    """Return the median seconds of a call, for about SECONDS."""
    run()
    samples, end = [], perf_counter() + SECONDS
    while not samples or perf_counter() < end:
        start = perf_counter()
        run()
        samples.append(perf_counter() - start)
    return median(samples)


def measure(case, level, fixed):
    """Return the algorithm, the work and the seconds of every plan that serves a case.

    The seconds are without the `fixed` ones of any call.
    """
    arrays = make_arrays(case, "float32")
    runs = {}
    for algorithm in _core.algorithms():
        try:
            plan = plan_of(case, algorithm, level)
        except ValueError:
            continue
        out = np.empty(plan.out_shape, np.float32)
        packed = plan.pack(arrays.weight)
        runs[algorithm] = (
            plan,
            lambda plan=plan, packed=packed, out=out: plan.run(
                arrays.x, packed, arrays.bias, None, out
            ),
        )
    rounds = {algorithm: [] for algorithm in runs}
    for _ in range(ROUNDS):
        for algorithm, (_, run) in runs.items():
            rounds[algorithm].append(sample(run))
    return [(name, plan.work, median(rounds[name]) - fixed) for name, (plan, _) in runs.items()]


def effective(work, costs):
    """Return the work without the cheaper of multiplying and fetching weights, which overlap."""
    each = work * costs
    hidden = each[:, MULTIPLY].sum(axis=1) < each[:, FETCH].sum(axis=1)
    left = work.copy()
    left[np.ix_(hidden, MULTIPLY)] = 0
    left[np.ix_(~hidden, FETCH)] = 0
    return left


def fit(work, seconds):
    """Return nanoseconds a unit with the least relative errors; none below zero."""
    costs = np.array(list(WORK.values()))
    likely = np.diag(1 / costs)
    # Large errors come of what the model does not count: they must not bend the rest.
    weight = np.ones(len(work))
    for _ in range(20):
        rows = 1e-9 * effective(work, costs) / seconds[:, None]
        weighted = np.vstack([rows * weight[:, None], PULL * likely])
        costs, _ = nnls(weighted, np.append(weight, np.full(len(WORK), PULL)))
        weight = 1 / np.maximum(np.abs(rows @ costs - 1), 0.1)
    return costs


def refine(cases, work, seconds, costs):
    """Return costs near the given ones with which the choices lie least behind the best.

    A choice jumps from one algorithm to another as a cost changes.  In its place stands the mean
    over the algorithms of a case, weighted by a high power of their estimated speeds.
    """
    _, of_case = np.unique(cases, return_inverse=True)
    best = np.full(of_case.max() + 1, np.inf)
    np.minimum.at(best, of_case, seconds)
    behind = np.log(seconds / best[of_case])

    def objective(change):
        changed = costs * np.exp(change)
        speed = (effective(work, changed) @ changed / best[of_case]) ** -SHARPNESS
        chosen = speed / np.bincount(of_case, speed)[of_case]
        return (chosen @ behind) / len(best) + HOLD * (change @ change)

    costs = costs * np.exp(minimize(objective, np.zeros(len(costs)), method="Powell").x)
    # The number of threads depends on the estimate itself.
    return costs * np.median(1e9 * seconds / (effective(work, costs) @ costs))


def judge(names, cases, work, seconds, costs):
    """Print how much slower than the best the chosen algorithm is, case by case."""
    estimate = 1e-9 * effective(work, costs) @ costs
    behind = []
    for case in dict.fromkeys(cases):
        mine = np.flatnonzero(cases == case)
        chosen, best = mine[np.argmin(estimate[mine])], mine[np.argmin(seconds[mine])]
        behind.append((seconds[chosen] / seconds[best], case, names[chosen], names[best]))
    behind.sort(reverse=True)
    share = np.array([ratio for ratio, *_ in behind])
    within = (share <= 1.05).mean()
    print(f"{len(share)} cases: {within:.0%} within 5 % of the best, mean {share.mean():.3f}")
    for ratio, case, chosen, best in behind[:25]:
        print(f"  {ratio:.2f}  {case}: {chosen} chosen, {best} is best")
    for name in dict.fromkeys(names):
        mine = names == name
        error = np.exp(np.abs(np.log(estimate[mine] / seconds[mine])).mean())
        bias = np.exp(np.log(estimate[mine] / seconds[mine]).mean())
        print(f"  {name}: estimates are off by {error:.2f}x, {bias:.2f}x in the mean")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--level", default=fastconv.config()["level"])
    parser.add_argument("--save", metavar="FILE.npz")
    parser.add_argument("--load", metavar="FILE.npz")
    options = parser.parse_args()
    if options.load:
        data = np.load(options.load)
    else:
        fastconv.set_num_threads(1)
        single = replace(CASES[0], h=1, w=1, kh=1, kw=1, k=1)
        found = []
        fixed = min(seconds for *_, seconds in measure(single, options.level, 0.0))
        for case in CASES:
            if isinstance(case, ConvLayer):
                found += [(case.id, *row) for row in measure(case, options.level, fixed)]
        ids, names, work, seconds = map(np.array, zip(*found, strict=True))
        data = {"ids": ids, "names": names, "work": work, "seconds": seconds}
        if options.save:
            np.savez(options.save, **data)
    costs = fit(data["work"], data["seconds"])
    costs = refine(data["ids"], data["work"], data["seconds"], costs)
    print(", ".join(f"{name} {cost:.3g}" for name, cost in zip(WORK, costs, strict=True)))
    judge(data["names"], data["ids"], data["work"], data["seconds"], costs)


if __name__ == "__main__":
    main()
