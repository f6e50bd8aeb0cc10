"""Dense layers: `linear` for one call, `Linear` for many with the same weights.

Knows the argument forms, convolution (``conv``, ``layers``), of which a dense layer is the case of
a window of one, and ``_core``. With few samples a layer reads its weights and does little else: it
takes them as they are, in dot products. With more, the packing of the convolution engine pays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Activation, Array
from fastconv._core import LinearBase, LinearState, LocalPlan
from fastconv._weights import Weighted, Weights
from fastconv.conv import conv1d
from fastconv.layers import Conv1d, Explanation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Linear", "linear"]

# Bytes of weights that come from memory at every call: what two cores of a large cache hold.
_FAR = 8 << 20
# Samples up to which dot products read such weights as fast as the engine reads packed ones.
_FEW = 2
# Samples up to which they take less time than an engine that has to pack first, if rows are long:
# of shorter ones, a sample for each 32 features; the rest of a row's cost is its sum's.
_FEW_ONCE, _FEATURES = 16, 32
# The most axes of an input that the fast path of a `Linear` takes.
_FAST_AXES = 4


def _plan_of(n: int, c: int, k: int, dtype: str, activation: tuple[str, float, float]) -> LocalPlan:
    step, none = (1, 1), (0, 0, 0, 0)
    return LocalPlan(n, c, 1, 1, k, 1, 1, step, none, step, True, False, dtype, activation, None)


dense_plan = lru_cache(maxsize=512)(_plan_of)


def dots_serve(weight_bytes: int, n: int) -> bool:
    """Whether n samples are best served by weights that are read as they are, at every call."""
    return weight_bytes >= _FAR and n <= _FEW


def linear(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Apply a dense (fully connected) layer: every output is a weighted sum of all inputs.

    ``y[..., k] = bias[k] + sum(x[..., c] * weight[k, c])`` over c. Weights that serve many calls
    are better kept in a `Linear`, which packs them once.

    Parameters
    ----------
    x : array_like, (..., c)
        The samples, of any number of axes before the features; float16, float32 or float64, of any
        strides and byte order. float16 is computed in float32 and rounded once.
    weight : array_like, (k, c) or (c,)
        One row for each output, of the dtype of `x`; without the axis k the result lacks it too.
    bias : array_like, (k,), optional
        Added to the result, of any shape that broadcasts to it: a number for a weight of one axis.
    activation : str or tuple, optional
        Applied to the result, as by `conv2d`.
    residual : array_like, optional
        Added before the activation; of the shape and dtype of the result.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `residual`
        itself, but must not overlap any other input.

    Returns
    -------
    ndarray, (..., k) or (...)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError
        For a dtype that is not supported, mixed dtypes, masked arrays, and arguments of the wrong
        kind.
    ValueError
        For shapes, values and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    Linear : The same with weights that are packed once.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.linear``; those
    after `bias` are extensions. The same input gives the same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import linear
    >>> weight = np.array([[1, 0, -1], [0.5, 0.5, 0]], dtype=np.float32)
    >>> linear(np.array([[2, 4, 6], [1, 1, 0]], dtype=np.float32), weight)
    array([[-4.,  3.],
           [ 1.,  1.]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    weight, own = _arguments.as_array("weight", weight, FLOATS)
    _arguments.same_dtype("weight", own, "x", dtype)
    if weight.ndim not in (1, 2):
        raise ValueError(f"weight must have the axes (k, c) or (c,), got shape {weight.shape}")
    shape = _out_shape("x", x.shape, weight.shape)
    how = _arguments.activation(activation)
    row, rows = _bias(bias, weight.shape[:-1], shape, x.ndim, dtype)
    if residual is not None:
        residual = _arguments.operand("residual", residual, shape, dtype)
        if rows is not None:
            raise ValueError(
                f"bias has shape {rows.shape}, beside a residual it must be {weight.shape[:-1]}"
            )
    k, c = (1, *weight.shape)[-2:]

    def compute(x: Array, residual: Array | None, result: Array) -> None:
        matrix = weight.reshape(k, c)
        if c == 0:  # sums of nothing are those of one zero
            x, matrix = np.zeros((len(x), 1), dtype), np.zeros((k, 1), dtype)
        if len(x) <= min(_FEW_ONCE, max(_FEW, c // _FEATURES)):
            _take_dots(x, matrix, row, residual, result, how)
        else:
            _take_engine(x, matrix, row, residual, result, activation)

    inputs = {"x": x, "weight": weight, "bias": row if rows is None else rows, "residual": residual}
    added = residual if rows is None else np.broadcast_to(rows, shape)
    return _delivered(compute, k, x, added, shape, dtype, out, inputs)


def _delivered(
    compute: Callable[[Array, Array | None, Array], None],
    k: int,
    x: Array,
    added: Array | None,
    shape: tuple[int, ...],
    dtype: str,
    out: Array | None,
    inputs: Mapping[str, Array | None],
) -> Array:
    """Compute on matrices, of one row for each sample, and return the result in its shape."""
    if out is not None:
        _arguments.check_out(out, shape, dtype, inputs, in_place="residual")
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:
        n = result.size // k
        residual = None if added is None else added.reshape(n, k)
        compute(x.reshape(n, x.shape[-1]), residual, result.reshape(n, k))
    return _arguments.delivered(result, out)


def _out_shape(name: str, shape: tuple[int, ...], weight_shape: tuple[int, ...]) -> tuple[int, ...]:
    *rows, c = weight_shape
    if not shape:
        raise ValueError(f"{name} must have at least the axis of features, got shape ()")
    if shape[-1] != c:
        raise ValueError(f"{name} has {shape[-1]} features in its last axis, weight takes {c}")
    return (*shape[:-1], *rows)


def _bias(
    bias: ArrayLike | None,
    rows: tuple[int, ...],
    shape: tuple[int, ...],
    axes: int,
    dtype: str,
) -> tuple[Array | None, Array | None]:
    """Return the bias as one row, or as rows that broadcast to the result, whichever it is.

    `rows` is (k,), or () for a weight of one axis, whose bias is a number.
    """
    if bias is None:
        return None, None
    bias, own = _arguments.as_array("bias", bias, FLOATS)
    _arguments.same_dtype("bias", own, "x", dtype)
    # A single sample counts as a batch of one, as for torch.
    wanted = (1, *shape) if rows and axes == 1 else shape
    try:
        np.broadcast_to(bias, wanted)
    except ValueError:
        raise ValueError(f"bias has shape {bias.shape}, it must be {rows}") from None
    if bias.size == 1 or (rows and bias.shape[-1:] == rows and bias.size == rows[0]):
        return np.broadcast_to(bias.reshape(-1), rows or (1,)), None
    return None, bias


def _take_dots(
    x: Array,
    weight: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
    activation: tuple[str, float, float],
) -> None:
    """Read the weights once, as they are."""
    (n, c), k = x.shape, len(weight)
    dense_plan(n, c, k, x.dtype.name, activation).run(
        _arguments.rows(x)[:, np.newaxis, np.newaxis],
        _arguments.contiguous(weight),
        None if bias is None else _arguments.contiguous(bias),
        None if residual is None else _arguments.rows(residual)[:, np.newaxis, np.newaxis],
        out[:, np.newaxis, np.newaxis],
    )


def _take_engine(
    x: Array,
    weight: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
    activation: Activation | None,
) -> None:
    """Convolve one with the other, which is packed first: samples where weights are too large."""
    n, k = out.shape
    if weight.nbytes < _FAR or n >= k or (bias is not None and residual is not None):
        conv1d(
            x,
            weight[..., np.newaxis],
            bias,
            channels_last=True,
            activation=activation,
            residual=residual,
            out=out,
        )
        return
    # The rows of weights as pixels, the samples as filters: the result lies on its side.
    added = residual if bias is None else np.broadcast_to(bias, (n, k))
    out[...] = conv1d(
        weight,
        x[..., np.newaxis],
        channels_last=True,
        activation=activation,
        residual=None if added is None else added.T,
    ).T


class Linear(Weighted, LinearBase):
    """A dense layer with fixed weights: called with samples, it returns their weighted sums.

    It copies the weights and packs them, when first needed; where they are too many for the
    processor's caches, one sample or two read them as they are. Calls may come from any number of
    threads at once. Instances can be pickled and copied.

    Parameters
    ----------
    weight : array_like, (k, c)
        The weights themselves, not their sizes: a row for each output; float16, float32 or float64.
    bias : array_like, (k,), optional
        Added to each output; of the dtype of `weight`.
    activation : str or tuple, optional
        As for `conv2d`.

    Attributes
    ----------
    weight, bias : ndarray
        Read-only; `update` replaces them.
    parameters : int
        How many numbers they are.
    receptive_field : tuple of int
        What an output sees of the input: all its features.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `linear`; what depends on the samples is told by the call.

    See Also
    --------
    linear : The same as one function, with the meaning of each argument.

    Notes
    -----
    Call an instance as ``layer(x, *, out=None, residual=None)``, with the arguments of `linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import Linear
    >>> layer = Linear(np.array([[1, 2], [3, 4], [5, 6]], np.float32), activation="relu")
    >>> layer(np.array([1, -1], np.float32))
    array([0., 0., 0.], dtype=float32)
    >>> layer([[[1.0, 0.5]]])
    Traceback (most recent call last):
        ...
    TypeError: x has dtype float64, weight has dtype float32: they must be the same
    >>> layer.parameters, layer.receptive_field
    (6, (2,))
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        activation: Activation | None = None,
    ) -> None:
        if isinstance(weight, (int, np.integer)):
            raise TypeError(
                f"Linear takes the weights, an array of shape (k, c), and not their sizes as "
                f"torch.nn.Linear does; got {weight!r}. For new weights, try "
                f"Linear(np.random.default_rng().standard_normal((k, c), np.float32))"
            )
        weight, self._dtype = _arguments.as_array("weight", weight, FLOATS)
        if weight.ndim != 2:
            raise ValueError(f"weight must have the axes (k, c), got shape {weight.shape}")
        self._activation = activation
        self._take(weight, bias)

    def _take(self, weight: Array, bias: ArrayLike | None) -> None:
        # It checks and copies the weights, and packs them when it is first called.
        conv = Conv1d(
            weight[..., np.newaxis], bias, channels_last=True, activation=self._activation
        )
        self._weights = Weights(conv.weight[..., 0], conv.bias, {})
        self._serve(LinearState(self._weights.weight, conv.bias, conv))

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """What an output sees of the input: all its features."""
        return (self.weight.shape[1],)

    def explain(self, input_shape: Sequence[SupportsIndex]) -> Explanation:
        """Tell what a call with samples of the given shape does, without doing it.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of the samples.

        Returns
        -------
        Explanation
            As of `Conv2d.explain`.

        Raises
        ------
        TypeError, ValueError, MemoryError
            If it is not a shape, or samples of that shape do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import Linear
        >>> Linear(np.ones((1000, 4096), np.float32)).explain((4096,)).flops
        8192000
        """
        shape = _arguments.shape("input_shape", input_shape)
        out_shape = _out_shape("input_shape", shape, self.weight.shape)
        n = prod(shape[:-1])
        if not dots_serve(self.weight.nbytes, n):
            told: Explanation = self._state.conv.explain((n, shape[-1]))
            return told._replace(out_shape=out_shape)
        plan = self._plan(n)
        return Explanation(
            plan.algorithm,
            out_shape,
            plan.flops,
            plan.packed_bytes,
            plan.scratch_bytes,
            plan.threads,
            plan.blocking,
            plan.level,
            plan.why,
        )

    def __repr__(self) -> str:
        return self._describe(activation=self._activation)

    def _general(self, x: ArrayLike, out: Array | None, residual: ArrayLike | None) -> Array:
        """Serve a call that is not exactly like the last one; the base class serves those."""
        state = self._state  # read once: update() may replace it at any time
        x, dtype = _arguments.as_array("x", x, FLOATS)
        _arguments.same_dtype("x", dtype, "weight", self._dtype)
        shape = _out_shape("x", x.shape, state.weight.shape)
        if residual is not None:
            residual = _arguments.operand("residual", residual, shape, dtype)

        def compute(x: Array, residual: Array | None, result: Array) -> None:
            if dots_serve(self.weight.nbytes, len(x)):
                _take_dots(x, state.weight, state.bias, residual, result, how)
            else:
                state.conv(x, residual=residual, out=result)

        how = _arguments.activation(self._activation)
        inputs = {"x": x, "residual": residual}
        result = _delivered(compute, shape[-1], x, residual, shape, dtype, out, inputs)
        n = prod(shape[:-1])
        if n and dots_serve(self.weight.nbytes, n) and x.ndim <= _FAST_AXES:
            state.publish(self._plan(n), x.shape)
        return result

    def _plan(self, n: int) -> LocalPlan:
        k, c = self.weight.shape
        return dense_plan(n, c, k, self._dtype, _arguments.activation(self._activation))
