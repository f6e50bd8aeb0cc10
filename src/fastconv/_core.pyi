"""Types of the compiled binding: it takes arguments in normal form and makes one C call each."""

from typing import Any, Literal, Self, TypeAlias

from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

_Array: TypeAlias = NDArray[Any]
_Activation: TypeAlias = tuple[str, float, float]
_Level: TypeAlias = str | None

def algorithms() -> tuple[str, ...]: ...

@disjoint_base
class Packed: ...

@disjoint_base
class ConvPlan:
    def __new__(
        cls,
        n: int,
        c: int,
        sizes: tuple[int, ...],
        k: int,
        cg: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        channels_last: bool,
        dtype: str,
        activation: _Activation,
        algorithm: str,
        level: _Level,
        one_shot: bool,
        taps: tuple[tuple[int, int, int], ...] | None = None,
    ) -> Self: ...
    @property
    def out_shape(self) -> tuple[int, ...]: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def packing(self) -> int: ...
    @property
    def flops(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def scratch_bytes(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def why(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def work(self) -> tuple[float, ...]: ...
    @property
    def blocking(self) -> str: ...
    def pack(self, weight: _Array) -> Packed: ...
    def run(
        self,
        x: _Array,
        weights: Packed | _Array,
        bias: _Array | None,
        residual: _Array | None,
        out: _Array,
    ) -> None: ...

@disjoint_base
class WeightPlan:
    def __new__(
        cls,
        n: int,
        c: int,
        sizes: tuple[int, ...],
        k: int,
        cg: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        channels_last: bool,
        dtype: str,
        algorithm: str,
        level: _Level,
    ) -> Self: ...
    @property
    def out_shape(self) -> tuple[int, ...]: ...
    @property
    def weight_shape(self) -> tuple[int, ...]: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def blocking(self) -> str: ...
    @property
    def scratch_bytes(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    def run(self, x: _Array, grad_output: _Array, out: _Array) -> None: ...

@disjoint_base
class PoolPlan:
    def __new__(
        cls,
        kind: Literal["max", "avg"],
        adaptive: bool,
        n: int,
        c: int,
        sizes: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int,
        channels_last: bool,
        dtype: str,
        level: _Level,
    ) -> Self: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def in_shape(self) -> tuple[int, ...]: ...
    @property
    def out_shape(self) -> tuple[int, ...]: ...
    def run_plain(self, x: _Array, out: _Array) -> bool: ...
    def run(self, x: _Array, out: _Array, indices: _Array | None) -> None: ...
    def spread(self, grad_output: _Array, out: _Array) -> None: ...

def scatter(
    kind: Literal["set", "add", "take"],
    channels_last: bool,
    indices: _Array,
    pooled: _Array,
    image: _Array,
) -> None: ...

@disjoint_base
class Columns:
    def __new__(
        cls,
        n: int,
        c: int,
        h: int,
        w: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> Self: ...
    @property
    def image_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def columns_shape(self) -> tuple[int, int, int]: ...
    @property
    def windows(self) -> tuple[int, int]: ...
    def unfold(self, x: _Array, out: _Array) -> None: ...
    def fold(self, x: _Array, out: _Array) -> None: ...

@disjoint_base
class ConvBase:
    def __call__(
        self, x: ArrayLike, /, *, out: _Array | None = None, residual: ArrayLike | None = None
    ) -> _Array: ...
    def _publish(
        self,
        plan: ConvPlan,
        packed: Packed,
        bias: _Array | None,
        shape: tuple[int, ...],
        dtype: str,
        rank: int,
    ) -> None: ...
    def _forget(self) -> None: ...

BLOCKS: int
FAST_AXES: int

_Place: TypeAlias = tuple[int, int, tuple[int, ...], tuple[int, ...]]

@disjoint_base
class Steps:
    def __new__(cls, blocks: int) -> Self: ...
    def conv(
        self,
        plan: ConvPlan,
        packed: Packed,
        bias: _Array | None,
        x: _Place,
        residual: _Place | None,
        y: _Place,
    ) -> None: ...
    def pool(self, plan: PoolPlan, x: _Place, y: _Place) -> None: ...
    def dense(
        self,
        plan: LocalPlan,
        weight: _Array,
        bias: _Array | None,
        x: _Place,
        residual: _Place | None,
        y: _Place,
    ) -> None: ...
    def activate(
        self,
        dtype: str,
        activation: tuple[str, float, float],
        count: int,
        x: tuple[int, int],
        y: tuple[int, int],
    ) -> None: ...
    def response(
        self,
        dtype: str,
        shape: tuple[int, int, int],
        size: int,
        alpha: float,
        beta: float,
        k: float,
        x: tuple[int, int],
        y: tuple[int, int],
    ) -> None: ...
    def run(self, blocks: list[_Array]) -> None: ...
    def profile(self, blocks: list[_Array]) -> list[float]: ...

@disjoint_base
class GraphBase:
    def _publish(
        self,
        steps: Steps,
        free: list[_Array],
        shared_bytes: int,
        shape: tuple[int, ...],
        dtype: str,
        out_shape: tuple[int, ...],
        out_dtype: str,
    ) -> None: ...
    def __call__(self, *args: ArrayLike, **named: ArrayLike) -> Any: ...

@disjoint_base
class LocalPlan:
    def __new__(
        cls,
        n: int,
        c: int,
        h: int,
        w: int,
        k: int,
        kh: int,
        kw: int,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        channels_last: bool,
        bias_per_pixel: bool,
        dtype: str,
        activation: _Activation,
        level: _Level,
    ) -> Self: ...
    @property
    def out_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def flops(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def scratch_bytes(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def blocking(self) -> str: ...
    @property
    def why(self) -> str: ...
    def run(
        self,
        x: _Array,
        weight: _Array,
        bias: _Array | None,
        residual: _Array | None,
        out: _Array,
    ) -> None: ...

@disjoint_base
class LinearState:
    def __init__(self, weight: _Array, bias: _Array | None, conv: Any) -> None: ...
    @property
    def weight(self) -> _Array: ...
    @property
    def bias(self) -> _Array | None: ...
    @property
    def conv(self) -> Any: ...
    def publish(self, plan: LocalPlan, shape: tuple[int, ...]) -> None: ...

@disjoint_base
class LinearBase:
    @property
    def _state(self) -> LinearState: ...
    def __call__(
        self, x: ArrayLike, /, *, out: _Array | None = None, residual: ArrayLike | None = None
    ) -> _Array: ...
    def _serve(self, state: LinearState) -> None: ...

def literal_types(items: tuple[object, ...], depth: int = 0) -> tuple[object, ...] | None: ...
def pad_shape(
    mode: str,
    shape: tuple[int, ...],
    begin: tuple[int, ...],
    end: tuple[int, ...],
    element_bytes: int,
) -> tuple[int, ...]: ...
def pad(
    mode: str,
    x: _Array,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    value: _Array,
    out: _Array,
) -> None: ...
def activate(x: _Array, activation: _Activation, out: _Array) -> None: ...
def interleave(phases: list[_Array], out: _Array, axes: int) -> None: ...
def activate_grad(x: _Array, g: _Array, activation: _Activation, out: _Array) -> None: ...
def response_norm(
    x: _Array, size: int, alpha: float, beta: float, k: float, out: _Array
) -> None: ...
def scale(x: _Array, factor: _Array, shift: _Array, out: _Array) -> None: ...
def conv_size(
    n: int,
    c: int,
    sizes: tuple[int, ...],
    k: int,
    cg: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> tuple[int, ...]: ...
def out_size(
    name: str,
    size: int,
    pad_begin: int,
    pad_end: int,
    kernel: int,
    stride: int,
    dilation: int,
    ceil_mode: bool,
) -> tuple[int, int]: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def thread_override(n: int) -> int: ...
def config() -> dict[str, Any]: ...
def measure_fma_peak(dtype: str = "float32", level: _Level = None) -> float: ...
def measure_bandwidth() -> dict[str, float]: ...
