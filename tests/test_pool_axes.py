"""Poolings over one and three axes, adaptive, global, Lp and channel pooling, and unpooling."""

import numpy as np
import pytest

import expected
import fastconv
import plans
from fastconv import reference
from plans import FLOATS

# sizes, kernel, stride, padding, dilation, ceil_mode
VOLUMES = [
    ((4, 7, 9), (2, 2, 2), (2, 2, 2), (0,) * 6, (1, 1, 1), False),
    ((5, 8, 35), (3, 3, 3), (1, 1, 1), (1,) * 6, (1, 1, 1), False),
    ((5, 9, 18), (3, 3, 3), (2, 2, 2), (1, 0, 1, 1, 0, 1), (1, 1, 1), True),
    ((6, 5, 7), (1, 3, 3), (1, 2, 1), (0, 0, 1, 1, 1, 1), (1, 1, 1), False),
    ((6, 4, 5), (4, 1, 1), (3, 1, 1), (2, 2, 0, 0, 0, 0), (1, 1, 1), True),
    ((7, 6, 6), (2, 3, 2), (1, 2, 3), (1, 1, 0, 1, 1, 0), (3, 1, 2), True),
    ((3, 1, 20), (3, 1, 20), (1, 1, 1), (0,) * 6, (1, 1, 1), False),
    ((4, 5, 6), (4, 5, 6), (4, 5, 6), (0,) * 6, (1, 1, 1), False),
    ((2, 70, 70), (2, 5, 5), (2, 2, 2), (0, 0, 2, 2, 2, 2), (1, 1, 1), False),
    ((2, 3, 2500), (2, 2, 3), (1, 1, 2), (0, 0, 0, 0, 1, 1), (1, 1, 1), False),
]
LINES = [
    ((29,), (2,), (2,), (0, 0), (1,), False),
    ((70,), (3,), (1,), (1, 1), (1,), False),
    ((41,), (5,), (3,), (2, 1), (1,), True),
    ((33,), (4,), (2,), (2, 2), (3,), True),
    ((17,), (17,), (1,), (0, 0), (1,), False),
    ((5000,), (3,), (2,), (1, 1), (1,), False),
]
ADAPTIVE = [
    ((7,), (3,)),
    ((5,), (11,)),
    ((40, 41), (7, 6)),
    ((13, 13), (6, 6)),
    ((9, 70), (1, 13)),
    ((12, 8), (4, 2)),
    ((6, 10), (9, 3)),
    ((30, 5000), (4, 700)),
    ((5, 7, 9), (3, 2, 4)),
    ((4, 30, 33), (3, 30, 7)),
    ((8, 6, 4), (4, 3, 2)),
    ((3, 5, 40), (5, 1, 40)),
]


def image(rng, sizes, dtype, channels_last, n=2, c=5):
    shape = (n, *sizes, c) if channels_last else (n, c, *sizes)
    if dtype in FLOATS:
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 11, shape).astype(dtype)  # ties decide about the indices


def pool(name, axes):
    return getattr(fastconv, f"{name}{axes}d")


def oracle(name, axes):
    return getattr(reference, f"{name}{axes}d")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "uint8"])
@pytest.mark.parametrize("case", VOLUMES + LINES, ids=str)
def test_maxima_at_every_level(case, dtype, channels_last, level, rng):
    sizes, kernel, stride, padding, dilation, ceil_mode = case
    x = image(rng, sizes, dtype, channels_last)
    form = {"dilation": dilation, "ceil_mode": ceil_mode, "channels_last": channels_last}
    plan = plans.pool_plan("max", x, kernel, stride, padding, level=level, **form)
    sides = tuple(zip(padding[::2], padding[1::2], strict=True))
    wanted = expected.max_pool(len(sizes), x, kernel, stride, sides, **form)
    np.testing.assert_array_equal(plans.run_pool(plan, x), wanted)
    y, at = plans.run_pool(plan, x, indices=True)
    np.testing.assert_array_equal(y, wanted)
    if x.size < 3000:
        form["return_indices"] = True
        wanted = oracle("max_pool", len(sizes))(x, kernel, stride, sides, **form)
        np.testing.assert_array_equal(at, wanted[1])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", [case for case in VOLUMES + LINES if max(case[4]) == 1], ids=str)
def test_averages_at_every_level(case, dtype, channels_last, level, rng):
    sizes, kernel, stride, padding, _, ceil_mode = case
    x = image(rng, sizes, dtype, channels_last, c=19 if channels_last else 3)
    form = {"ceil_mode": ceil_mode, "channels_last": channels_last}
    sides = tuple(zip(padding[::2], padding[1::2], strict=True))
    for counted, divisor in [(True, 0), (False, 0), (True, -3)]:
        plan = plans.pool_plan(
            "avg",
            x,
            kernel,
            stride,
            padding,
            count_include_pad=counted,
            divisor=divisor,
            level=level,
            **form,
        )
        wanted = expected.avg_pool(
            len(sizes),
            x,
            kernel,
            stride,
            sides,
            count_include_pad=counted,
            divisor_override=divisor or None,
            **form,
        )
        expected.assert_within(plans.run_pool(plan, x), *wanted, f"{counted=} {divisor=}")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [*FLOATS, "int16"])
@pytest.mark.parametrize("case", ADAPTIVE, ids=str)
def test_adaptive_at_every_level(case, dtype, channels_last, level, rng):
    sizes, out = case
    axes = len(sizes)
    x = image(rng, sizes, dtype, channels_last, c=21 if np.prod(sizes) < 2000 else 2)
    maxima, value, bound = expected.adaptive_pool(axes, x, out, channels_last=channels_last)
    form = {"adaptive": True, "channels_last": channels_last, "level": level}
    ones, none = (1,) * axes, (0, 0) * axes
    plan = plans.pool_plan("max", x, out, ones, none, **form)
    np.testing.assert_array_equal(plans.run_pool(plan, x), maxima)
    y, at = plans.run_pool(plan, x, indices=True)
    np.testing.assert_array_equal(y, maxima)
    flat = x.reshape(2, -1, x.shape[-1]) if channels_last else x.reshape(*x.shape[:2], -1)
    at = at.reshape(2, -1, x.shape[-1]) if channels_last else at.reshape(*x.shape[:2], -1)
    found = np.take_along_axis(flat, at, axis=1 if channels_last else 2)
    np.testing.assert_array_equal(found.reshape(maxima.shape), maxima)
    if dtype in FLOATS:
        plan = plans.pool_plan("avg", x, out, ones, none, **form)
        expected.assert_within(plans.run_pool(plan, x), value, bound)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [None, 0, 1, 3])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_functions_are_those_of_the_oracle(dtype, axes, batch, channels_last, rng):
    x = image(rng, (5, 6, 4)[:axes], dtype, channels_last, n=1 if batch is None else batch, c=3)
    x = x[0] if batch is None else x
    last = {"channels_last": channels_last}
    calls = [
        ("max_pool", (2, 1, 1, 1, True), {}),
        ("max_pool", (2, 2, 0, 2), {"return_indices": True}),
        ("avg_pool", (3, 2, 1, True, False), {}),
        ("adaptive_avg_pool", (3,), {}),
        ("adaptive_avg_pool", (0,), {}),
        ("adaptive_max_pool", ((3, 2, 4)[:axes],), {"return_indices": True}),
        ("lp_pool", (2, 2), {}),
        ("lp_pool", (3.0, 2, 1, True), {}),
        ("lp_pool", (float("inf"), 2), {}),
        ("lp_pool", (-float("inf"), (2,) * axes), {}),
        ("global_avg_pool", (), {}),
        ("global_max_pool", (), {}),
    ]
    if axes > 1:
        calls.append(("adaptive_avg_pool", ((None, 2, None)[:axes],), {}))
    for name, args, form in calls:
        form |= last
        given = np.abs(x) if args[:1] == (3.0,) else x  # a root of sums below 0 is none
        y, wanted = (module(name, axes)(given, *args, **form) for module in (pool, oracle))
        if form.get("return_indices"):
            np.testing.assert_array_equal(y[1], wanted[1])
            assert y[1].dtype == np.int64
            y, wanted = y[0], wanted[0]
        assert (type(y), y.dtype, y.flags.c_contiguous) == (np.ndarray, x.dtype, True), name
        assert y.shape == wanted.shape, (name, args)
        if "max" in name:
            np.testing.assert_array_equal(y, wanted)
        else:  # of the oracle, float64's bound is nothing
            scale = np.max(np.abs(wanted), initial=0) + 1
            tolerance = {"float16": 2**-10, "float32": 2**-19, "float64": 2**-48}[dtype]
            np.testing.assert_allclose(y, wanted, rtol=0, atol=scale * tolerance, err_msg=name)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "adaptive_max_pool", "global_avg_pool"])
def test_any_memory_layout(name, axes, channels_last, rng):
    x = image(rng, (7, 8, 6)[:axes], "float32", channels_last, c=4)
    args = () if name.startswith("global") else (2,)
    plain = pool(name, axes)(x, *args, channels_last=channels_last)
    views = [
        ("reversed", x[..., ::-1].copy()[..., ::-1]),
        ("every other", np.repeat(x, 2, axis=2)[:, :, ::2]),
        ("backwards", np.flip(np.flip(x, (1, 2)).copy(), (1, 2))),
        ("swapped", x.astype(x.dtype.newbyteorder())),
        ("transposed", np.ascontiguousarray(x.T).T),
        ("inside", np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 2)])[..., 1:-2]),
    ]
    for view_name, view in views:
        y = pool(name, axes)(view, *args, channels_last=channels_last)
        if name == "global_avg_pool":  # planes apart are summed in another order
            np.testing.assert_allclose(y, plain, rtol=0, atol=1e-6, err_msg=view_name)
        else:
            assert y.tobytes() == plain.tobytes(), view_name


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_out_views(axes, rng):
    x = image(rng, (7, 8, 6)[:axes], "float32", False, c=4)
    maxima, at = pool("max_pool", axes)(x, 2, return_indices=True)
    calls = [
        (pool("max_pool", axes), (x, 2)),
        (pool("avg_pool", axes), (x, 2)),
        (pool("lp_pool", axes), (x, 2, 2)),
        (pool("adaptive_avg_pool", axes), (x, 3)),
        (pool("global_max_pool", axes), (x,)),
        (pool("max_unpool", axes), (maxima, at, 2, None, 0, x.shape)),
    ]
    if axes == 2:
        calls.append((fastconv.max_pool_channels, (x, 2)))
    for function, args in calls:
        plain = function(*args)
        big = np.full([size + 2 for size in plain.shape], np.nan, np.float32)
        for index in [
            tuple(slice(1, size + 1) for size in plain.shape),
            tuple(slice(size, 0, -1) for size in plain.shape),
        ]:
            big[...] = np.nan
            out = big[index]
            assert function(*args, out=out) is out
            np.testing.assert_array_equal(out, plain)
            assert np.isnan(big).sum() == big.size - plain.size
        with pytest.raises(ValueError, match="out has shape"):
            function(*args, out=np.empty((1, *plain.shape), np.float32))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "uint8"])
def test_unpooling_brings_maxima_back(dtype, axes, channels_last, rng):
    sizes = (6, 9, 5)[:axes]
    x = image(rng, sizes, dtype, channels_last, c=70)
    form = {"channels_last": channels_last}
    for args in [(2,), (2, 2, 1), (3, 2)]:
        maxima, at = pool("max_pool", axes)(x, *args, return_indices=True, **form)
        y = pool("max_unpool", axes)(maxima, at, *args, output_size=sizes, **form)
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        np.testing.assert_array_equal(y[y != 0], x[y != 0])
        again = pool("max_pool", axes)(np.where(y == 0, x.min(), y), *args, **form)
        np.testing.assert_array_equal(again, maxima)
        wanted = oracle("max_unpool", axes)(maxima[:1], at[:1], *args, output_size=sizes, **form)
        np.testing.assert_array_equal(y[:1], wanted)


def test_unpooling_by_hand():
    x, at = np.array([[[1, 2, 3.0]]]), np.array([[[5, 0, 5]]])
    y = fastconv.max_unpool2d(x, at, (1, 2))
    assert y.tolist() == [[[2, 0, 0, 0, 0, 3]]]
    assert fastconv.max_unpool1d(x[0], at[0], 2, output_size=(7,)).tolist() == [
        [2, 0, 0, 0, 0, 3, 0]
    ]
    for wrong in (-1, 6, 2**62, -(2**63)):
        out = np.full((1, 1, 6), np.nan)
        with pytest.raises(ValueError, match=f"indices .* got {wrong}"):
            fastconv.max_unpool2d(x, np.array([[[5, 0, wrong]]]), (1, 2), out=out)
        assert np.isnan(out).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"indices": np.zeros((1, 2, 2), np.int32)}, "indices has dtype int32"),
        ({"indices": np.zeros((1, 2, 3), np.int64)}, "indices has shape"),
        ({"kernel_size": 0}, "kernel_size must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"padding": -1}, "padding must be at least 0, got -1"),
        ({"padding": 5}, "impossible"),
        ({"output_size": (6, 4)}, "output_size must be between 3 and 5 .* got 6"),
        ({"output_size": (4, 4, 4)}, "output_size must hold 2 or 4 integers"),
        ({"output_size": 4}, "output_size must be a sequence"),
        ({"kernel_size": 2**62}, "impossible|too|large|Maximum|Unable"),
        ({"x": np.zeros((1, 0, 2), np.float32), "indices": np.zeros((1, 0, 2), int)}, "empty"),
        ({"x": np.zeros((2, 2), np.float32), "indices": np.zeros((2, 2), int)}, "x must have"),
        ({"x": np.zeros((1, 2, 2), complex)}, "x has dtype complex128"),
        ({"out": np.zeros((1, 4, 4))}, "out has dtype float64"),
        ({"channels_last": 1}, "channels_last must be True or False"),
    ],
)
def test_unpooling_refuses(change, words):
    arguments = {
        "x": np.ones((1, 2, 2), np.float32),
        "indices": np.zeros((1, 2, 2), np.int64),
        "kernel_size": 2,
    } | change
    with pytest.raises((ValueError, TypeError, MemoryError), match=words):
        fastconv.max_unpool2d(arguments.pop("x"), **arguments)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("form", [(3,), (2, 1, 1), (3, 2, ((1, 0),), 1, True), (2, 1, 0, 3)])
@pytest.mark.parametrize("dtype", [*FLOATS, "uint16"])
def test_channels(dtype, form, batch, channels_last, rng):
    x = image(rng, (3, 7), dtype, channels_last, c=11)
    x = x[0] if batch is None else x
    y = fastconv.max_pool_channels(x, *form, channels_last=channels_last)
    wanted = reference.max_pool_channels(x, *form, channels_last=channels_last)
    assert (y.dtype, y.flags.c_contiguous) == (x.dtype, True)
    np.testing.assert_array_equal(y, wanted)
    view = np.flip(np.flip(x, 0).copy(), 0)
    again = fastconv.max_pool_channels(view, *form, channels_last=channels_last)
    np.testing.assert_array_equal(again, wanted)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: fastconv.max_pool_channels(x, 5), "channels does not fit the input of 4"),
        (lambda x: fastconv.max_pool_channels(x, (2, 2)), "kernel_size must hold 1"),
        (lambda x: fastconv.max_pool_channels(x[:, :, :0], 2), "must have pixels"),
        (lambda x: fastconv.max_pool_channels(x[0, 0], 2), "x must have the axes"),
        (lambda x: fastconv.lp_pool2d(x, 0, 2), "norm_type must not be 0"),
        (lambda x: fastconv.lp_pool2d(x, "2", 2), "norm_type must be a number"),
        (lambda x: fastconv.lp_pool2d(x, np.nan, 2), "norm_type must not be NaN"),
        (lambda x: fastconv.lp_pool2d(x.astype(int), 2, 2), "x has dtype int64"),
        (lambda x: fastconv.adaptive_avg_pool2d(x, -1), "output_size .*at least 0, got -1"),
        (lambda x: fastconv.adaptive_avg_pool2d(x, (2,)), "output_size must hold 2"),
        (lambda x: fastconv.adaptive_avg_pool2d(x, None), "output_size"),
        (lambda x: fastconv.adaptive_avg_pool2d(x, 1.5), "output_size"),
        (lambda x: fastconv.adaptive_avg_pool2d(x, 4799942556533499770), "large"),
        (lambda x: fastconv.adaptive_max_pool2d(x, 2**31), "large|memory|Unable"),
        (lambda x: fastconv.adaptive_max_pool1d(x[0], (None,)), "output_size"),
        (lambda x: fastconv.adaptive_avg_pool2d(x.astype(np.uint8), 2), "x has dtype uint8"),
        (lambda x: fastconv.adaptive_max_pool2d(x[:, :0], 2), "channels"),
        (lambda x: fastconv.adaptive_avg_pool2d(x[:, :, :0], 2), "height must be at least 1"),
        (lambda x: fastconv.max_pool1d(x, 2), "x must have the axes"),
        (lambda x: fastconv.max_pool3d(x[0], 2), "x must have the axes"),
        (lambda x: fastconv.max_pool3d(x, (2, 2)), "kernel_size must hold 3"),
        (lambda x: fastconv.max_pool3d(x, 2, padding=2), "half"),
        (lambda x: fastconv.max_pool2d(x, 3, padding=2, dilation=2), "half of the kernel size 3"),
        (lambda x: fastconv.avg_pool3d(x, (5, 2, 2), padding=1), "must not exceed"),
        (lambda x: fastconv.lp_pool3d(x, 2, (5, 2, 2), 4, True), "must not exceed"),
        (lambda x: fastconv.grad.avg_pool3d(x.shape, x, (5, 2, 2), 1, 1), "must not exceed"),
        (lambda x: fastconv.avg_pool3d(x, 2, divisor_override=0), "divisor_override"),
        (lambda x: fastconv.max_pool3d(x, 2, dilation=2**62), "depth"),
        (lambda x: fastconv.max_pool3d(x, (9, 1, 1)), "depth"),
        (lambda x: fastconv.global_max_pool3d(x[:, :, :0]), "height"),
    ],
)
def test_refusals(call, words):
    with pytest.raises((ValueError, TypeError, MemoryError), match=words):
        call(np.ones((2, 4, 5, 6), np.float32))


def test_half_of_the_reach_for_forms_that_torch_lacks():
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 9)
    same = fastconv.max_pool1d(x, 3, 1, "same", 2)
    np.testing.assert_array_equal(same, fastconv.max_pool1d(x, 3, 1, ((2, 2),), 2))
    assert same.tolist() == [[[2, 3, 4, 5, 6, 7, 8, 7, 8]]]


@pytest.mark.parametrize("channels_last", [False, True])
def test_bits_do_not_depend_on_threads_or_the_batch(channels_last, rng):
    x = image(rng, (9, 40, 41), "float32", channels_last, n=3, c=18)
    form = {"channels_last": channels_last}
    calls = [
        lambda x: fastconv.avg_pool3d(x, 3, 2, 1, **form),
        lambda x: fastconv.max_pool3d(x, 3, 1, 1, **form),
        lambda x: fastconv.max_pool3d(x, 2, return_indices=True, **form)[1],
        lambda x: fastconv.adaptive_avg_pool3d(x, (4, 7, 6), **form),
        lambda x: fastconv.lp_pool3d(x, 2, 3, **form),
        lambda x: fastconv.global_avg_pool3d(x, **form),
    ]
    for call in calls:
        with fastconv.num_threads(1):
            wanted = call(x)
        for threads in (2, 3):
            with fastconv.num_threads(threads):
                assert call(x).tobytes() == wanted.tobytes()
        assert call(x[1]).tobytes() == wanted[1].tobytes()
