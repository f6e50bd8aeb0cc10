"""What the cases of converters are made of: a node with its arrays, and seeded numbers."""

from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(20)


class Case(NamedTuple):
    op: str
    arrays: tuple[np.ndarray | None, ...]
    attributes: dict[str, Any] = {}  # noqa: RUF012 (nobody writes it)
    opset: int = 17
    outputs: int = 1
    constant: tuple[int, ...] = ()
    tolerance: float = 2e-6

    def __str__(self):
        told = ",".join(f"{k}={v}" for k, v in self.attributes.items())
        return f"{self.op}-{self.opset}-{told}"[:90]

    @property
    def model(self):
        """What `beside.single` takes."""
        return self[:6]


def f(*shape, dtype=np.float32):
    """Return normal numbers."""
    return RNG.standard_normal(shape).astype(dtype)


def p(*shape):
    """Return positive numbers."""
    return RNG.uniform(0.1, 2, shape).astype(np.float32)


def i(*values, dtype=np.int64):
    return np.array(values, dtype)


def n(value, dtype=np.float32):
    return np.array(value, dtype)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def s8(*shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def i64(*shape, low=-20, high=20):
    return RNG.integers(low, high, shape)


X = f(2, 6, 9, 11)
