"""Time the training of LeNet-5 beside PyTorch: the same weights, batches, steps and number of them.

Usage: python tools/compare_training.py [SET ...], with the sets that examples/train_lenet5.py takes
as --data: digits (the default), fashion, or the folder of MNIST's files. Needs scikit-learn for
digits, and torch. Each training runs in a process of its own, the engines in turn, at one thread
and at two; a time is that of the median epoch of two trainings.
"""

import json
import os
import subprocess
import sys
import threading
from math import cos, pi
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import train_lenet5 as example
from image_sets import load

ROUNDS = 2
SEED = 0


def with_fastconv(network, data, recipe, rng, ended):
    def show(epoch, step, loss, right):
        if step == -(-len(data.images) // recipe.batch):
            ended()

    example.train(network, data, recipe, rng, show, threading.Event())
    return example.accuracy(network, data.test_images, data.test_labels)


def with_torch(network, data, recipe, rng, ended):
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )
    values = (torch.from_numpy(values.copy()) for _, values, _ in example.parameters(network))
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    # Fused is the faster form of it.
    optimizer = torch.optim.SGD(model.parameters(), recipe.rate, recipe.momentum, fused=True)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    n = len(images)
    steps = -(-n // recipe.batch)
    for epoch in range(recipe.epochs):
        order, total, right = torch.from_numpy(rng.permutation(n)), 0.0, 0
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            scores = model(images[chosen])
            loss = nn.functional.cross_entropy(scores, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            done = (epoch * steps + step) / (recipe.epochs * steps)
            optimizer.param_groups[0]["lr"] = recipe.rate * (1 + cos(pi * done)) / 2
            optimizer.step()
            total += loss.item() * len(chosen)
            right += int((scores.argmax(1) == labels[chosen]).sum())
        ended()
    with torch.no_grad():
        best = [model(part).argmax(1) for part in torch.from_numpy(data.test_images).split(1000)]
    return float(np.mean(torch.cat(best).numpy() == data.test_labels))


def run(engine, source):
    """One training: print the seconds of every epoch and the accuracy on the test images."""
    data = load(source, SEED)
    recipe = example.RECIPES.get(source, example.MNIST_RECIPE)
    rng = np.random.default_rng(SEED)
    network = example.lenet5("tanh", rng)
    times = [perf_counter()]
    accuracy = {"fastconv": with_fastconv, "torch": with_torch}[engine](
        network, data, recipe, rng, lambda: times.append(perf_counter())
    )
    print(json.dumps([np.diff(times).tolist(), accuracy]))


def main(sources):
    print(
        "| set | threads | engine | s an epoch | test accuracy |\n| --- | --: | --- | --: | --: |"
    )
    for source in sources:
        results = {}
        for _ in range(ROUNDS):
            for threads in (1, 2):
                for engine in ("fastconv", "torch"):
                    done = subprocess.run(
                        [sys.executable, __file__, "--run", engine, source],
                        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                        stdout=subprocess.PIPE,
                        check=True,
                    )
                    results.setdefault((threads, engine), []).append(json.loads(done.stdout))
        for (threads, engine), runs in results.items():
            seconds = median(median(times) for times, _ in runs)
            shares = " and ".join(sorted({f"{share:.2%}" for _, share in runs}))
            print(f"| {source} | {threads} | {engine} | {seconds:.3g} | {shares} |", flush=True)


if sys.argv[1:2] == ["--run"]:
    run(*sys.argv[2:])
else:
    main(sys.argv[1:] or ["digits"])
