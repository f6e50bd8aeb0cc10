"""ONNX models: `fastconv.onnx.load` makes a graph of one, which is called with arrays.

`Backend` is the interface that ``onnx.backend`` has for such programs, and `new_ops` lets ONNX's
own reference implementation compute with fastconv. All need the package onnx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastconv.graph import Graph

__all__ = ["Backend", "load", "new_ops"]


def _module(name: str) -> Any:
    """Import a module of this package, all of which need onnx."""
    try:
        # A folder called onnx on the path would do for the name alone.
        import_module("onnx.checker")
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnx.checker"):
            raise
        raise ModuleNotFoundError(
            "fastconv.onnx needs the package onnx: pip install onnx", name="onnx"
        ) from None
    return import_module(f"{__name__}.{name}")


def load(model: Any) -> Graph:
    """Return an ONNX model as a graph, which is called with arrays.

    Operators that have no converter are left to the reference implementation of ONNX, so that
    every model runs whose operators are among those of ONNX. Dropout and batch normalisation are
    those of inference, unless the model says otherwise.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model. It need not be trusted: external data must lie in its folder, and nothing in it
        is executed but its operators.

    Returns
    -------
    fastconv.graph.Graph
        Called with the inputs in the model's order, or by name; what the model declares of their
        dtypes and shapes is checked by every call. Inputs with an initializer are constants.

    Raises
    ------
    ValueError
        For what is not an ONNX model, or not a valid one. The message names the node or tensor,
        and the attribute if it is about one.
    NotImplementedError
        For an operator, or an attribute, that neither fastconv nor the reference implementation
        serves.
    ModuleNotFoundError
        If onnx is not installed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx
    >>> import fastconv.onnx
    >>> text = '''<ir_version: 8, opset_import: ["" : 17]>
    ... pooled (float[N, 1, H, W] x) => (float[N, 1, P, Q] y)
    ... { y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) }'''
    >>> model = fastconv.onnx.load(onnx.parser.parse_model(text))
    >>> model(np.array([[[[1, 5, 2, 0], [3, 4, 9, 8]]]], np.float32))
    array([[[[5., 9.]]]], dtype=float32)
    """
    return _module("model").Parts(_module("files").read(model), new_ops).graph()


def new_ops() -> list[type]:
    """Return classes that let the reference implementation of ONNX compute with fastconv.

    Returns
    -------
    list of type
        One ``onnx.reference.op_run.OpRun`` for each operator that `load` has a converter for, and
        written over it: also those in which the reference itself errs are right.

    Raises
    ------
    ModuleNotFoundError
        If onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx.parser
    >>> from onnx.reference import ReferenceEvaluator
    >>> import fastconv.onnx
    >>> text = '''<ir_version: 8, opset_import: ["" : 17]>
    ... scaled (float[N] x) => (float[N] y) { y = Add (x, x) }'''
    >>> model = onnx.parser.parse_model(text)
    >>> evaluator = ReferenceEvaluator(model, new_ops=fastconv.onnx.new_ops())
    >>> evaluator.run(None, {"x": np.array([1, 2], np.float32)})
    [array([2., 4.], dtype=float32)]
    """
    return list(_module("op_runs").classes())


class Backend:
    """fastconv as ``onnx.backend`` would have it, on the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx.helper import make_node
    >>> from fastconv.onnx import Backend
    >>> node = make_node("Relu", ["x"], ["y"])
    >>> Backend.run_node(node, [np.array([-1, 2], np.float32)])
    Outputs(y=array([0., 2.], dtype=float32))
    """

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **options: Any) -> bool:
        """Return whether the model can be prepared.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            As for `load`.
        device : str, default "CPU"
            Anything else is a `ValueError`.
        **options
            What the interface allows; none has a meaning here.

        Returns
        -------
        bool
            False where `prepare` would raise.

        Examples
        --------
        >>> import numpy as np
        >>> import onnx.parser
        >>> from fastconv.onnx import Backend
        >>> text = '''<ir_version: 8, opset_import: ["" : 17]>
        ... twice (float[N] x) => (float[N] y) { y = Add (x, x) }'''
        >>> model = onnx.parser.parse_model(text)
        >>> Backend.is_compatible(model)
        True
        """
        try:
            cls.prepare(model, device, **options)
        except (ValueError, NotImplementedError):
            return False
        return True

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Any:
        """Return a model that runs with a list of inputs.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            As for `load`.
        device : str, default "CPU"
            Anything else is a `ValueError`.
        **options
            What the interface allows; none has a meaning here.

        Returns
        -------
        onnx.backend.base.BackendRep
            Its ``run`` takes a list of inputs, or a mapping of them, and returns the outputs.

        Raises
        ------
        ValueError, NotImplementedError, ModuleNotFoundError, OSError
            As `load` does.

        Examples
        --------
        >>> import numpy as np
        >>> import onnx.parser
        >>> from fastconv.onnx import Backend
        >>> text = '''<ir_version: 8, opset_import: ["" : 17]>
        ... twice (float[N] x) => (float[N] y) { y = Add (x, x) }'''
        >>> model = onnx.parser.parse_model(text)
        >>> Backend.prepare(model).run([np.array([1, 2], np.float32)])
        Outputs(y=array([2., 4.], dtype=float32))
        """
        cls._check(device)
        return _module("backend").Prepared(model, new_ops)

    @classmethod
    def run_model(
        cls, model: Any, inputs: Any, device: str = "CPU", **options: Any
    ) -> tuple[Any, ...]:
        """Return the outputs of a model.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            As for `load`.
        inputs : list of array_like, or mapping of str to array_like
            In the model's order, or by name.
        device : str, default "CPU"
            Anything else is a `ValueError`.
        **options
            What the interface allows; none has a meaning here.

        Returns
        -------
        tuple
            The outputs, which also have their names as attributes.

        Raises
        ------
        TypeError, ValueError, NotImplementedError, ModuleNotFoundError, OSError
            As `load` and calls of its graph do.

        Examples
        --------
        >>> import numpy as np
        >>> import onnx.parser
        >>> from fastconv.onnx import Backend
        >>> text = '''<ir_version: 8, opset_import: ["" : 17]>
        ... twice (float[N] x) => (float[N] y) { y = Add (x, x) }'''
        >>> model = onnx.parser.parse_model(text)
        >>> Backend.run_model(model, [np.array([1, 2], np.float32)]).y
        array([2., 4.], dtype=float32)
        """
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: Any,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """Return the outputs of one node.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : list of array_like, or mapping of str to array_like
            In the node's order, or by name.
        device : str, default "CPU"
            Anything else is a `ValueError`.
        outputs_info : sequence, optional
            Of the interface; it has no meaning here.
        **options
            ``opset_version``, an int, says by which opset; without it the newest counts.

        Returns
        -------
        tuple
            The outputs, which also have their names as attributes.

        Raises
        ------
        TypeError, ValueError, NotImplementedError, ModuleNotFoundError
            As `load` and calls of its graph do.

        Examples
        --------
        >>> import numpy as np
        >>> from onnx.helper import make_node
        >>> from fastconv.onnx import Backend
        >>> node = make_node("Softmax", ["x"], ["y"], axis=0)
        >>> Backend.run_node(node, [np.zeros(2, np.float32)], opset_version=13).y
        array([0.5, 0.5], dtype=float32)
        """
        cls._check(device)
        model = _module("backend").model_of(node, inputs, options.get("opset_version"))
        return cls.run_model(*model)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Return whether a device is the CPU.

        Parameters
        ----------
        device : str
            As ``onnx.backend`` names it: ``"CPU"``, ``"CUDA:1"``.

        Returns
        -------
        bool
            True for the CPU alone.

        Examples
        --------
        >>> from fastconv.onnx import Backend
        >>> Backend.supports_device("CPU"), Backend.supports_device("CUDA:1")
        (True, False)
        """
        return _module("backend").has_device(device)

    @classmethod
    def _check(cls, device: str) -> None:
        if not cls.supports_device(device):
            raise ValueError(f"device must be CPU, got {device!r}")
