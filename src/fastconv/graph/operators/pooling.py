"""Poolings: by windows, adaptive and global."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import numpy as np

from fastconv import _arguments
from fastconv._arguments import NUMBERS, Array, Padding, Pair
from fastconv._core import PoolPlan
from fastconv._pooling import plan_for, run
from fastconv.graph.node import Operator, Shape, Spec, Window, given
from fastconv.graph.operators.convolution import resolved_padding, spatial_axes


class Pool(Operator):
    """What all poolings share: a plan for each shape, which tells the output's."""

    def plan(self, shape: Shape, dtype: str) -> PoolPlan:
        """Return the plan of a pooling of arrays of the given shape."""
        raise NotImplementedError

    @property
    def with_indices(self) -> bool:
        """Whether the second result is the maxima's positions."""
        return False

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Pool."""
        x, dtype = _arguments.as_array("x", cast("Array", inputs[0]), NUMBERS)
        plan = self.plan(x.shape, dtype)
        pooled, indices = run(plan, x, dtype, None, return_indices=self.with_indices)
        return (pooled,) if indices is None else (pooled, indices)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape of the output, which the indices share."""
        x = given(inputs[0])
        shape = self.plan(x.shape, x.dtype.name).out_shape
        results = (Spec(shape, x.dtype),)
        return (*results, Spec(shape, np.dtype(np.int64))) if self.with_indices else results


@dataclass(frozen=True, kw_only=True)
class WindowPool(Pool):
    """A pooling by windows; `padding` as for `Conv`."""

    kind: ClassVar[Literal["max", "avg"]]

    kernel: Pair
    stride: Pair = 1
    padding: Padding | Literal["same_upper", "same_lower"] = 0
    dilation: Pair = 1
    ceil_mode: bool = False

    def plan(self, shape: Shape, dtype: str) -> PoolPlan:
        """Return the plan of a pooling of arrays of the given shape."""
        return plan_for(
            self.kind,
            shape,
            dtype,
            spatial_axes("x", shape),
            self.kernel,
            self.stride,
            self.padding_for(shape),
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            **self.further(),
        )

    def further(self) -> dict[str, Any]:
        """Return what its kind has beside these arguments."""
        return {}

    def padding_for(self, shape: Shape) -> Padding:
        """Return the padding of an input of the given shape, as `max_pool2d` takes it."""
        return resolved_padding(self.padding, shape[2:], self.kernel, self.stride, self.dilation)

    def window(self, *inputs: Spec | None) -> Window | None:
        """Return the kernel, its stride and dilation."""
        axes = spatial_axes("x", given(inputs[0]).shape)
        forms = {"kernel": self.kernel, "stride": self.stride, "dilation": self.dilation}
        return Window(*(_arguments.per_axis(name, form, axes) for name, form in forms.items()))


@dataclass(frozen=True, kw_only=True)
class MaxPool(WindowPool):
    """Maxima of windows, over one to three spatial axes of x (n, c, ...).

    Parameters
    ----------
    kernel : int or tuple of int
        The window.
    stride : int or tuple of int, default 1
        Unlike that of `max_pool2d` it does not follow the window.
    padding : int, tuple or str, default 0
        As for `max_pool2d`, or ``"same_upper"`` or ``"same_lower"``, as ONNX calls the paddings
        with which an output has ``ceil(size / stride)`` positions: where their sum is odd, one more
        stands at the end, or at the beginning.
    dilation : int or tuple of int, default 1
        As for `max_pool2d`.
    ceil_mode : bool, default False
        As for `max_pool2d`.
    indices : bool, default False
        Whether there is a second result, int64: where the maxima are, flat over the plane.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import MaxPool
    >>> x = np.array([[[[1, 5, 2, 0], [3, 4, 9, 8]]]], np.float32)
    >>> MaxPool(kernel=2, stride=2, indices=True).evaluate(x)
    (array([[[[5., 9.]]]], dtype=float32), array([[[[1, 6]]]]))
    """

    kind = "max"

    indices: bool = False

    @property
    def with_indices(self) -> bool:
        """Whether the second result is the maxima's positions."""
        return self.indices


@dataclass(frozen=True, kw_only=True)
class AvgPool(WindowPool):
    """Averages of windows, over one to three spatial axes of x (n, c, ...).

    Parameters
    ----------
    kernel : int or tuple of int
        The window.
    stride : int or tuple of int, default 1
        Unlike that of `avg_pool2d` it does not follow the window.
    padding : int, tuple or str, default 0
        As for `avg_pool2d`, or ``"same_upper"`` or ``"same_lower"``, as ONNX calls the paddings
        with which an output has ``ceil(size / stride)`` positions: where their sum is odd, one more
        stands at the end, or at the beginning.
    dilation : int or tuple of int, default 1
        How far apart the pixels of a window are.
    ceil_mode : bool, default False
        As for `avg_pool2d`.
    count_include_pad : bool, default True
        As for `avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import AvgPool
    >>> x = np.array([[[[1, 5, 2, 0], [3, 4, 9, 8]]]], np.float32)
    >>> AvgPool(kernel=2, stride=2).evaluate(x)
    (array([[[[3.25, 4.75]]]], dtype=float32),)
    """

    kind = "avg"

    count_include_pad: bool = True

    def further(self) -> dict[str, Any]:
        """Return what padding counts for."""
        return {"count_include_pad": self.count_include_pad}


@dataclass(frozen=True, kw_only=True)
class AdaptivePool(Pool):
    """A pooling whose windows divide x (n, c, ...) so that the output has a given size.

    Parameters
    ----------
    kind : {"max", "avg"}
        What is taken of a window.
    output_size : int or tuple of int
        The sizes of the output's spatial axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import AdaptivePool
    >>> x = np.array([[[[1, 5, 2], [3, 4, 9]]]], np.float32)
    >>> AdaptivePool(kind="max", output_size=(1, 2)).evaluate(x)
    (array([[[[5., 9.]]]], dtype=float32),)
    """

    kind: Literal["max", "avg"]
    output_size: Pair

    def plan(self, shape: Shape, dtype: str) -> PoolPlan:
        """Return the plan of a pooling of arrays of the given shape."""
        axes = spatial_axes("x", shape)
        return plan_for(self.kind, shape, dtype, axes, self.output_size, adaptive=True)

    def window(self, *inputs: Spec | None) -> Window | None:
        """Return the windows' size where they are all alike, else that of the largest."""
        sizes = given(inputs[0]).shape[2:]
        out = _arguments.per_axis("output_size", self.output_size, len(sizes))
        kernel = tuple(-(-size // of) for size, of in zip(sizes, out, strict=True))
        return Window(kernel, kernel, (1,) * len(sizes))


@dataclass(frozen=True, kw_only=True)
class GlobalPool(AdaptivePool):
    """A pooling of all spatial axes of x (n, c, ...) to size 1.

    Parameters
    ----------
    kind : {"max", "avg"}
        What is taken of a channel.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import GlobalPool
    >>> GlobalPool(kind="avg").evaluate(np.array([[[[1, 5], [2, 0]]]], np.float32))
    (array([[[[2.]]]], dtype=float32),)
    """

    output_size: Pair = field(default=1, init=False)
