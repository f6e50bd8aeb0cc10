"""Train LeNet-5 on handwritten digits or pictures of clothes: fastconv's operators and plain NumPy.

    python examples/train_lenet5.py                      # scikit-learn's 8x8 digits: seconds
    python examples/train_lenet5.py --data fashion       # Fashion-MNIST
    python examples/train_lenet5.py --data FOLDER        # MNIST, from its IDX files
    python examples/train_lenet5.py --activation relu --seed 1 -o relu.npz

The layout is that of LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to
document recognition", with what has become usual since: all maps of a convolution see all maps
before it, pooling has no weights, and the last layer feeds a softmax. Writes the weights
(``conv1.weight``, ``conv1.bias`` and so on, with the axes that PyTorch gives them) and, where
matplotlib is installed, a picture of the filters and of what they make of one test image. Ctrl-C
ends the training early and keeps what was learned. The same seed gives the same weights, bit for
bit, with any number of threads.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from image_sets import Data, Floats, Labels, load

import fastconv
from fastconv import grad


class Recipe(NamedTuple):
    """How long and how boldly to train; the rate falls to 0 along half a cosine."""

    epochs: int
    batch: int
    rate: float
    momentum: float = 0.9


# For the named sets; what reads from a folder is MNIST.
RECIPES = {"digits": Recipe(15, 16, 0.02), "fashion": Recipe(6, 64, 0.02)}
MNIST_RECIPE = Recipe(5, 64, 0.02)

# ---------------------------------------------------------------------------------------- network


class Weighted:
    """A layer with weights, bias and activation, and the gradients of weights and bias."""

    def __init__(
        self, name: str, shape: tuple[int, ...], activation: str | None, rng: np.random.Generator
    ) -> None:
        # So scaled, sums keep the variance of what they add; relu takes half of it away.
        scale = math.sqrt((2 if activation == "relu" else 1) / math.prod(shape[1:]))
        self.name, self.activation = name, activation
        self.weight = rng.normal(0, scale, shape).astype(np.float32)
        self.bias = np.zeros(shape[0], np.float32)
        self.grad_weight, self.grad_bias = np.zeros_like(self.weight), np.zeros_like(self.bias)

    def sums(self, x: Floats, activation: str | None) -> Floats:
        raise NotImplementedError

    def forward(self, x: Floats, training: bool = False) -> Floats:
        """Apply the layer; if `training`, keep what `backward` needs."""
        # The derivative of relu can be told from its result, which is then fused even here.
        apart = training and self.activation == "tanh"
        y = self.sums(x, None if apart else self.activation)
        if training:
            self.x, self.seen = x, y
        return fastconv.tanh(y) if apart else y

    def through_activation(self, gradient: Floats) -> Floats:
        if self.activation is None:
            return gradient
        derive = {"tanh": grad.tanh, "relu": grad.relu}[self.activation]
        return derive(self.seen, gradient, out=gradient)


class Convolution(Weighted):
    """5x5, without padding."""

    def sums(self, x: Floats, activation: str | None) -> Floats:
        return fastconv.conv2d(x, self.weight, self.bias, activation=activation)

    def backward(self, gradient: Floats) -> Floats:
        gradient = self.through_activation(gradient)
        self.grad_weight = grad.conv2d_weight(self.x, self.weight.shape, gradient)
        self.grad_bias = grad.conv2d_bias(gradient)
        if self.name == "conv1":
            return gradient  # That of the images is of no use.
        return grad.conv2d_input(self.x.shape, self.weight, gradient)


class Dense(Weighted):
    """Fully connected; takes maps of any size as rows of numbers."""

    def sums(self, x: Floats, activation: str | None) -> Floats:
        return fastconv.linear(x.reshape(len(x), -1), self.weight, self.bias, activation=activation)

    def backward(self, gradient: Floats) -> Floats:
        gradient = self.through_activation(gradient)
        self.grad_weight = grad.linear_weight(self.x.reshape(len(self.x), -1), gradient)
        self.grad_bias = grad.linear_bias(gradient)
        return grad.linear_input(self.weight, gradient).reshape(self.x.shape)


class Pooling:
    """The largest of 2x2 values."""

    def __init__(self, name: str) -> None:
        self.name = name

    def forward(self, x: Floats, training: bool = False) -> Floats:
        if not training:
            return fastconv.max_pool2d(x, 2)
        self.x = x
        y, self.indices = fastconv.max_pool2d(x, 2, return_indices=True)
        return y

    def backward(self, gradient: Floats) -> Floats:
        return grad.max_pool2d(self.x, gradient, 2, indices=self.indices)


Layer = Convolution | Dense | Pooling


def lenet5(activation: str, rng: np.random.Generator) -> list[Layer]:
    """The layers of LeNet-5, with random weights."""
    return [
        Convolution("conv1", (6, 1, 5, 5), activation, rng),  # 32x32 -> 28x28
        Pooling("pool1"),  # -> 14x14
        Convolution("conv2", (16, 6, 5, 5), activation, rng),  # -> 10x10
        Pooling("pool2"),  # -> 5x5
        Convolution("conv3", (120, 16, 5, 5), activation, rng),  # -> 1x1
        Dense("fc1", (84, 120), activation, rng),
        Dense("fc2", (10, 84), None, rng),
    ]


def parameters(network: list[Layer]) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, values and last gradient of all weights and biases."""
    for layer in network:
        if isinstance(layer, Weighted):
            yield f"{layer.name}.weight", layer.weight, layer.grad_weight
            yield f"{layer.name}.bias", layer.bias, layer.grad_bias


def activations(network: list[Layer], images: Floats) -> dict[str, Floats]:
    """What every layer makes of images (n, 1, 32, 32), by its name; the last are the scores."""
    results, x = {}, images
    for layer in network:
        results[layer.name] = x = layer.forward(x)
    return results


def accuracy(network: list[Layer], images: Floats, labels: Labels) -> float:
    """The share of images that get their label, 1,000 at a time."""
    right = 0
    for start in range(0, len(images), 1000):
        part = slice(start, start + 1000)
        scores = activations(network, images[part])["fc2"]
        right += int(np.count_nonzero(scores.argmax(axis=1) == labels[part]))
    return right / len(images)


# --------------------------------------------------------------------------------------- training


# Shows the epoch, how many steps of it are done, the loss and the accuracy so far.
Show = Callable[[int, int, float, float], None]


@contextmanager
def rich_bars(epochs: int, steps: int) -> Iterator[Show]:
    """A bar of rich's for every epoch."""
    from rich import progress

    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[right]:6.2%}"),
    ) as bars:
        tasks: dict[int, progress.TaskID] = {}

        def show(epoch: int, step: int, loss: float, right: float) -> None:
            if epoch not in tasks:
                name = f"epoch {epoch:>2}/{epochs}"
                tasks[epoch] = bars.add_task(name, total=steps, loss=loss, right=right)
            bars.update(tasks[epoch], completed=step, loss=loss, right=right)

        yield show


@contextmanager
def plain_bars(epochs: int, steps: int) -> Iterator[Show]:
    """A line of text for every epoch; on a terminal it grows with the steps."""
    started, ends = perf_counter(), True
    grows = sys.stdout.isatty()

    def show(epoch: int, step: int, loss: float, right: float) -> None:
        nonlocal started, ends
        if step == 1:
            started = perf_counter()
        last = step == steps
        if last or (grows and step % max(1, steps // 100) == 0):
            ends = last
            print(
                f"epoch {epoch:>2}/{epochs} [{'#' * (20 * step // steps):.<20}] "
                f"{perf_counter() - started:5.1f} s  loss {loss:.4f}  accuracy {right:6.2%}",
                end="\n" if last else "\r",
                flush=True,
            )

    yield show
    if not ends:
        print()


def bars(epochs: int, steps: int) -> AbstractContextManager[Show]:
    """Rich's bars on a terminal, if it is installed."""
    fancy = sys.stdout.isatty() and find_spec("rich") is not None
    return (rich_bars if fancy else plain_bars)(epochs, steps)


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts as usual."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


def gradient_step(network: list[Layer], images: Floats, labels: Labels) -> tuple[float, int]:
    """Compute all gradients for one batch; return its loss and how many were right."""
    x = images
    for layer in network:
        x = layer.forward(x, training=True)
    gradient = grad.cross_entropy(x, 1, labels)
    for layer in reversed(network):
        gradient = layer.backward(gradient)
    right = np.count_nonzero(x.argmax(axis=1) == labels)
    return float(fastconv.cross_entropy(x, labels)), int(right)


def train(
    network: list[Layer],
    data: Data,
    recipe: Recipe,
    rng: np.random.Generator,
    show: Show,
    asked: threading.Event,
) -> None:
    """Stochastic gradient descent with momentum, until it is done or asked to stop."""
    n = len(data.images)
    steps = -(-n // recipe.batch)
    velocities = {name: np.zeros_like(values) for name, values, _ in parameters(network)}
    momentum = np.float32(recipe.momentum)
    for epoch in range(recipe.epochs):
        order, total, right = rng.permutation(n), 0.0, 0
        for step in range(steps):
            if asked.is_set():
                return
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            loss, hits = gradient_step(network, data.images[chosen], data.labels[chosen])
            if not math.isfinite(loss):
                raise SystemExit(f"the loss became {loss} in epoch {epoch + 1}: try a lower --rate")
            done = (epoch * steps + step) / (recipe.epochs * steps)
            rate = np.float32(recipe.rate * (1 + math.cos(math.pi * done)) / 2)
            for name, values, gradient in parameters(network):
                velocity = velocities[name]
                velocity *= momentum
                velocity += gradient
                values -= rate * velocity
            total, right = total + loss * len(chosen), right + hits
            seen = step * recipe.batch + len(chosen)
            show(epoch + 1, step + 1, total / seen, right / seen)


# ---------------------------------------------------------------------------------------- picture


def draw(network: list[Layer], data: Data, path: Path) -> None:
    """Draw filters and what the layers make of the first image of the test."""
    from matplotlib.figure import Figure

    image = data.test_images[:1]
    seen = activations(network, image)
    shares = fastconv.softmax(seen["fc2"], dim=1)[0]
    best, true = int(shares.argmax()), data.classes[data.test_labels[0]]
    filters = {name: values[:, 0] for name, values, _ in parameters(network) if values.ndim == 4}
    figure = Figure(figsize=(12.5, 10.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.9))
    top, bottom = (part.subplots() for part in left.subfigures(2, 1))
    top.imshow(image[0, 0], cmap="gray")
    top.set_title(f"test image: {true}\nrecognised: {data.classes[best]} ({shares[best]:.1%})")
    top.set_axis_off()
    bottom.barh(data.classes, shares)
    bottom.invert_yaxis()
    bottom.set(xlim=(0, 1), title="probability of each class")
    bottom.spines[["top", "right"]].set_visible(False)
    groups = (
        ("conv1: 6 filters 5x5 (red adds, blue subtracts)", filters["conv1.weight"], 1),
        ("conv1: 6 maps 28x28, after the activation", seen["conv1"][0], 1),
        ("pool1: 6 maps 14x14", seen["pool1"][0], 1),
        ("conv2: 16 filters 5x5, as they see the first map of pool1", filters["conv2.weight"], 2),
        ("conv2: 16 maps 10x10, after the activation", seen["conv2"][0], 2),
    )
    parts = right.subfigures(len(groups), 1, height_ratios=(1, 1, 1, 1.4, 1.4))
    for part, (title, planes, rows) in zip(parts.flat, groups, strict=True):
        part.suptitle(title, fontsize=11)
        # Filters are signed: zero is white.
        colours, low, high = "gray", planes.min(), planes.max()
        if "filters" in title:
            colours, low, high = "RdBu_r", -abs(planes).max(), abs(planes).max()
        for axes, plane in zip(part.subplots(rows, len(planes) // rows).flat, planes, strict=True):
            axes.imshow(plane, cmap=colours, vmin=low, vmax=high)
            axes.set_axis_off()
    figure.savefig(path, dpi=100)


# ---------------------------------------------------------------------------------------- command


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train LeNet-5 with fastconv.")
    add = parser.add_argument
    add("--data", default="digits", help="digits, fashion, or a folder with MNIST's IDX files")
    add("--activation", choices=("tanh", "relu"), default="tanh", help="default: %(default)s")
    add("--epochs", type=int, help="how often to see all images; default: as fits the data")
    add("--batch", type=int, help="images in a step; default: as fits the data")
    add("--rate", type=float, help="learning rate at first; default: as fits the data")
    add("--momentum", type=float, help="default: 0.9")
    add("--seed", type=int, default=0, help="of weights, order and split; default: %(default)s")
    add("-o", "--output", type=Path, default=Path("lenet5.npz"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    least = {"epochs": 1, "batch": 1, "rate": 0, "momentum": 0, "seed": 0}
    below = {"momentum": 1, "seed": 2**32}
    for name, low in least.items():
        high = below.get(name, math.inf)
        value = getattr(options, name)
        if value is not None and not low <= value < high:
            parser.error(f"argument --{name}: must be from {low} to below {high}, is {value}")
    if options.output.suffix != ".npz" or not options.output.parent.is_dir():
        parser.error(f"argument -o: {options.output} must end in .npz and be in a folder there is")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    data = load(options.data, options.seed)
    given = {name: getattr(options, name) for name in Recipe._fields}
    recipe = RECIPES.get(options.data, MNIST_RECIPE)
    recipe = recipe._replace(**{name: v for name, v in given.items() if v is not None})
    rng = np.random.default_rng(options.seed)
    network = lenet5(options.activation, rng)
    print(
        f"{len(data.images):,} images to train on, {len(data.test_images):,} to test; "
        + ", ".join(f"{name} {value:g}" for name, value in recipe._asdict().items())
    )
    steps = -(-len(data.images) // recipe.batch)
    with asked_to_stop() as asked, bars(recipe.epochs, steps) as show:
        train(network, data, recipe, rng, show, asked)
    weights: dict[str, Any] = {name: values for name, values, _ in parameters(network)}
    if asked.is_set():
        print("stopped early")
    np.savez(options.output, **weights)
    print(f"weights: {options.output}")
    print(f"test accuracy {accuracy(network, data.test_images, data.test_labels):.2%}")
    picture = options.output.with_suffix(".png")
    try:
        draw(network, data, picture)
        print(f"filters and maps: {picture}")
    except ImportError:
        print("no picture of filters and maps without matplotlib: pip install matplotlib")
    return 130 if asked.is_set() else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
