"""What a result must be and how far it may be off: vectorised references and the one error bound.

The references are fast enough for large shapes; ``test_reference.py`` checks them against the loops
of ``fastconv.reference``. They accumulate in float64, and in long double for float64 input.
"""

import math
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastconv import _arguments
from fastconv._plans import layer_of, plan_for

UNIT_ROUNDOFF = {"float16": 2.0**-24, "float32": 2.0**-24, "float64": 2.0**-53}

# The steepest slope: how much an error before the activation grows through it.
_STEEPEST = {"silu": 1.1, "hardswish": 1.5}
# Outputs of a tile along each axis: its errors follow the largest of its sums, not each its own.
_TILES = {"winograd_f43": 4, "winograd_f23": 2, "winograd_f25": 2}
# Those that end in an exponential may be off by some units in the last place beside that.
_TRANSCENDENTAL = {"sigmoid", "tanh", "silu"}


def conv(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    channels_last=False,
    activation=None,
    residual=None,
    algorithm="direct",
):
    """Return the wide result and, for each element, the bound on the algorithm's error."""
    k, cg, *kernel = weight.shape
    axes = len(kernel)
    batched = x.ndim == axes + 2
    dtype = x.dtype.name
    wide = _wide(dtype)
    stride = _arguments.per_axis("stride", stride, axes)
    dilation = _arguments.per_axis("dilation", dilation, axes)
    pads = _arguments.pairs(_arguments.padding(padding, tuple(kernel), stride, dilation))
    x = _to_nchw(x, channels_last, batched).astype(wide)
    windows = _windows(np.pad(x, ((0, 0), (0, 0), *pads)), kernel, stride, dilation)
    n, c, *rest = windows.shape
    windows = windows.reshape(n, groups, c // groups, *rest)
    weight = weight.astype(wide).reshape(groups, k // groups, cg, *kernel)

    value = _correlate(windows, weight)
    magnitude = _correlate(np.abs(windows), np.abs(weight))
    if bias is not None:
        bias = bias.astype(wide).reshape(-1, *[1] * axes)
        value += bias
        magnitude += np.abs(bias)
    if residual is not None:
        residual = _to_nchw(residual, channels_last, batched).astype(wide)
        value += residual
        magnitude += np.abs(residual)
    if algorithm in _TILES:
        magnitude = 4 * largest_of_tile(magnitude, algorithm, dilation[-2:])
    name, a, b = _arguments.activation(activation)
    products = cg * math.prod(kernel)
    bound = error_bound(magnitude, products, dtype) * max(_STEEPEST.get(name, 1), abs(a), 1)
    value = activate(value, name, a, b)
    if name in _TRANSCENDENTAL:
        bound += 4 * UNIT_ROUNDOFF[dtype] * (1 + np.abs(value))
    bound += final_rounding(value, bound, dtype)
    return _from_nchw(value, channels_last, batched), _from_nchw(bound, channels_last, batched)


def conv_weight(
    x, kernel, grad_output, stride=1, padding=0, dilation=1, groups=1, *, channels_last=False
):
    """Return the wide gradient of the weights of a convolution, and the bound on its error.

    `kernel` holds the sizes of the window.
    """
    axes = len(kernel)
    batched = x.ndim == axes + 2
    dtype = x.dtype.name
    wide = _wide(dtype)
    stride = _arguments.per_axis("stride", stride, axes)
    dilation = _arguments.per_axis("dilation", dilation, axes)
    pads = _arguments.pairs(_arguments.padding(padding, tuple(kernel), stride, dilation))
    x = _to_nchw(x, channels_last, batched).astype(wide)
    y = _to_nchw(grad_output, channels_last, batched).astype(wide)
    windows = _windows(np.pad(x, ((0, 0), (0, 0), *pads)), kernel, stride, dilation)
    n, c, *rest = windows.shape
    windows = windows.reshape(n, groups, c // groups, *rest)
    y = y.reshape(n, groups, y.shape[1] // groups, *y.shape[2:])
    out, taps = "hij"[:axes], "pqr"[:axes]

    def total(windows, y):
        path = f"ngc{out}{taps},ngk{out}->gkc{taps}"
        sums = np.einsum(path, windows, y, optimize=True)
        return sums.reshape(-1, *sums.shape[2:])

    value, magnitude = total(windows, y), total(np.abs(windows), np.abs(y))
    bound = error_bound(magnitude, n * math.prod(y.shape[3:]), dtype)
    return value, bound + final_rounding(value, bound, dtype)


def max_pool(
    axes,
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    channels_last=False,
):
    """Return the exact maxima."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    form = kernel_size, stride, padding, dilation, ceil_mode
    windows, _ = _pool_windows(axes, x, *form, channels_last, lowest)
    maxima = windows.max(axis=tuple(range(-axes, 0)))
    return _from_nchw(maxima, channels_last, x.ndim == axes + 2)


def avg_pool(
    axes,
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    channels_last=False,
):
    """Return the wide averages and the bound on their error."""
    dtype = x.dtype.name
    image = x.astype(_wide(dtype))
    form = kernel_size, stride, padding, 1, ceil_mode
    windows, divisor = _pool_windows(axes, image, *form, channels_last, 0, count_include_pad)
    if divisor_override is not None:
        divisor = np.full_like(divisor, divisor_override)
    divisor = np.where(divisor == 0, 1, divisor)  # a window without a pixel: 0 / 1
    window = tuple(range(-axes, 0))
    value = windows.sum(axis=window) / divisor
    magnitude = np.abs(windows).sum(axis=window) / np.abs(divisor)
    bound = error_bound(magnitude, math.prod(windows.shape[-axes:]), dtype)
    bound += final_rounding(value, bound, dtype)
    batched = x.ndim == axes + 2
    return _from_nchw(value, channels_last, batched), _from_nchw(bound, channels_last, batched)


max_pool2d = partial(max_pool, 2)
avg_pool2d = partial(avg_pool, 2)


def adaptive_pool(axes, x, output_size, *, channels_last=False):
    """Return the exact maxima, the wide averages and the bound on the averages' error."""
    dtype = x.dtype.name if x.dtype.kind == "f" else "float64"  # integers have maxima alone
    batched = x.ndim == axes + 2
    image = _to_nchw(x, channels_last, batched)
    shape = (*image.shape[:2], *output_size)
    maxima = np.empty(shape, x.dtype)
    value, bound = np.empty(shape, _wide(dtype)), np.empty(shape)
    for at in np.ndindex(*output_size):
        spans = [
            slice(q * size // out, -(-(q + 1) * size // out))
            for q, size, out in zip(at, image.shape[2:], output_size, strict=True)
        ]
        window = image[:, :, *spans].reshape(*image.shape[:2], -1)
        maxima[:, :, *at] = window.max(axis=2)
        wide, count = window.astype(value.dtype), window.shape[2]
        value[:, :, *at] = wide.sum(axis=2) / count
        bound[:, :, *at] = error_bound(np.abs(wide).sum(axis=2) / count, count, dtype)
    bound += final_rounding(value, bound, dtype)
    return [_from_nchw(array, channels_last, batched) for array in (maxima, value, bound)]


def error_bound(magnitude, length, dtype, c=1):
    """Bound the error of a sum of `length` products whose absolute values add up to `magnitude`."""
    return c * (8 + np.sqrt(length)) * UNIT_ROUNDOFF[dtype] * magnitude


def final_rounding(value, bound, dtype):
    """Return what storing adds: float16 is computed as float32 and rounded at the end."""
    if dtype != "float16":
        return 0
    return 2.0**-11 * (np.abs(value) + bound) + 2.0**-25


def activate(v, name, a=0.0, b=0.0):
    """Apply an activation to a wide array."""
    match name:
        case "none":
            return v
        case "relu":
            return np.maximum(v, 0)
        case "relu6":
            return np.clip(v, 0, 6)
        case "sigmoid":
            return 1 / (1 + np.exp(-v))
        case "tanh":
            return np.tanh(v)
        case "silu":
            return v / (1 + np.exp(-v))
        case "hardswish":
            return v * np.clip(v + 3, 0, 6) / 6
        case "leaky_relu":
            return np.where(v < 0, a * v, v)
        case "clip":
            return np.clip(v, a, b)
    raise AssertionError(name)


def assert_within(y, value, bound, what=""):
    """Assert that `y` is within `bound` of `value` everywhere; tell where it is furthest off."""
    assert y.shape == value.shape, f"{what}: shape {y.shape}, expected {value.shape}"
    error = np.abs(y.astype(value.dtype) - value)
    wrong = ~(error <= bound)
    if wrong.any():
        ratio = np.where(wrong, error / np.maximum(bound, np.finfo(np.float64).tiny), 0)
        at = np.unravel_index(np.nanargmax(np.where(np.isnan(error), np.inf, ratio)), y.shape)
        at = tuple(int(i) for i in at)
        raise AssertionError(
            f"{what}: {wrong.sum()} of {y.size} elements off; worst at {at}: "
            f"{y[at]!r}, expected {value[at]!r} within {bound[at]!r}"
        )


def assert_conv(y, x, weight, bias=None, *, what="", **form):
    """Assert that `y` is the convolution of the rest, in its dtype and within the bound."""
    assert y.dtype == x.dtype.newbyteorder("="), what
    algorithm = form.pop("algorithm", None) or _chosen(x, weight, **form)
    assert_within(y, *conv(x, weight, bias, algorithm=algorithm, **form), what=what)


def _chosen(
    x,
    weight,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    channels_last=False,
    activation=None,
    residual=None,
):
    """Return what `conv2d` or `Conv2d` takes by itself; where they differ, the less exact one."""
    form = stride, padding, dilation, groups, channels_last, activation, "auto"
    layer = layer_of(weight.shape, weight.ndim - 2, x.dtype.name, *form)
    chosen = {
        plan_for("x", x.shape, weight.shape, layer, one_shot=one_shot).algorithm
        for one_shot in (False, True)
    }
    return max(chosen, key=lambda algorithm: _TILES.get(algorithm, 0))


def largest_of_tile(magnitude, algorithm, dilation=(1, 1)):
    """Return for each element of (n, k, ..., oh, ow) the largest one of its tile of outputs."""
    m = _TILES.get(algorithm, 1)
    result = np.empty_like(magnitude)
    for row, col in np.ndindex(*dilation):
        phase = (..., slice(row, None, dilation[0]), slice(col, None, dilation[1]))
        part = magnitude[phase]
        *planes, h, w = part.shape
        part = np.pad(part, [(0, 0)] * len(planes) + [(0, -h % m), (0, -w % m)])
        tiles = part.reshape(*planes, part.shape[-2] // m, m, part.shape[-1] // m, m)
        largest = tiles.max(axis=(-3, -1), keepdims=True)
        result[phase] = np.broadcast_to(largest, tiles.shape).reshape(part.shape)[..., :h, :w]
    return result


def _wide(dtype):
    return np.longdouble if dtype == "float64" else np.float64


def _to_nchw(array, channels_last, batched):
    array = array if batched else array[np.newaxis]
    return np.moveaxis(array, -1, 1) if channels_last else array


def _from_nchw(array, channels_last, batched):
    if channels_last:
        array = np.moveaxis(array, 1, -1)
    return array if batched else array[0]


def _windows(x, kernel, stride, dilation):
    """View an already padded (n, c, *sizes) as (n, c, *out, *kernel)."""
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(x, reach, axis=tuple(range(2, x.ndim)))
    return view[(slice(None), slice(None), *(slice(None, None, s) for s in (*stride, *dilation)))]


def _correlate(windows, weight):
    """Contract (n, g, c, *out, *kernel) with (g, k, c, *kernel) to (n, g * k, *out)."""
    axes = weight.ndim - 3
    out, kernel = "hij"[:axes], "pqr"[:axes]
    y = np.einsum(f"ngc{out}{kernel},gkc{kernel}->ngk{out}", windows, weight, optimize=True)
    n, g, k, *sizes = y.shape
    return y.reshape(n, g * k, *sizes)


def _pool_windows(
    axes,
    x,
    kernel,
    stride,
    padding,
    dilation,
    ceil_mode,
    channels_last,
    fill,
    count_include_pad=True,
):
    """Return the windows of a padded input, and how many positions of each one count."""
    x = _to_nchw(x, channels_last, x.ndim == axes + 2)
    kernel = _arguments.per_axis("kernel_size", kernel, axes)
    stride = kernel if stride is None else _arguments.per_axis("stride", stride, axes)
    dilation = _arguments.per_axis("dilation", dilation, axes)
    pads = _arguments.pairs(_arguments.padding(padding, kernel, stride, dilation))
    counts = np.pad(np.ones(x.shape[2:]), pads, constant_values=count_include_pad)
    beyond = [
        (0, _overhang(size, pad, k, s, d) if ceil_mode else 0)
        for size, pad, k, s, d in zip(x.shape[2:], pads, kernel, stride, dilation, strict=True)
    ]
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    x = np.pad(x, [(0, 0), (0, 0), *beyond], constant_values=fill)
    counts = np.pad(counts, beyond)[np.newaxis, np.newaxis]
    counted = _windows(counts, kernel, stride, dilation).sum(axis=tuple(range(-axes, 0)))
    return _windows(x, kernel, stride, dilation), counted


def _overhang(size, pad, kernel, stride, dilation):
    """Return how far the last window of ceil mode reaches past the padding."""
    reach = dilation * (kernel - 1) + 1
    last = -(-(size + sum(pad) - reach) // stride) * stride
    if last >= size + pad[0]:
        last -= stride
    return max(0, last + reach - size - sum(pad))
