"""The examples with trained networks, without their weights: their arithmetic and what they say.

What they answer with them is in ``test_real_networks.py``.
"""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import SKIPS
from fastconv.pretrained.packages import Package
from fastconv.pretrained.photos import read_photo

Image = pytest.importorskip("PIL.Image", reason=SKIPS["no extras"])

EXAMPLES = Path(__file__).parents[1] / "examples"
MISSING = Package("no-such-package-of-weights", "1.2.3")


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def hed(examples):
    return importlib.import_module("edges_hed")


@pytest.fixture
def ocr(examples):
    return importlib.import_module("read_text")


@pytest.fixture
def digits(examples):
    return importlib.import_module("digits_cnn")


# ---- what is missing


@pytest.mark.parametrize(
    ("name", "package", "arguments"),
    [
        ("edges_hed", "HED", []),
        ("nsfw_score", "OPEN_NSFW", []),
        ("read_text", "RAPID_OCR", ["--compare"]),
        ("digits_cnn", "DIGIT_RECOGNIZER", ["--data", "."]),
    ],
)
def test_missing_weights_come_with_the_line_that_installs_them(
    name, package, arguments, monkeypatch
):
    example = importlib.import_module(name)
    # The line that the example's first lines give is that of the message.
    assert getattr(example, package).install in example.__doc__
    monkeypatch.setattr(example, package, MISSING)
    with pytest.raises(SystemExit, match=f"missing: {MISSING.install}"):
        example.main(arguments)


def test_missing_readers_come_with_the_line_that_installs_them(hed, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SystemExit, match="pip install h5py"):
        hed.read_weights(tmp_path / "hed.h5")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SystemExit, match="pip install onnxruntime"):
        importlib.import_module("read_text").Beside(abs, tmp_path / "nowhere.onnx")


def test_missing_onnx_comes_with_the_line_that_installs_it():
    # In a process of its own: once imported, fastconv.onnx asks no more.
    program = "import sys; sys.modules['onnx'] = None; import trained; trained.load_onnx('x.onnx')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(r".*pip install.* onnx\S*\n", done.stderr)


def test_photos_that_cannot_be_had(monkeypatch, tmp_path):
    trained = importlib.import_module("trained")
    with pytest.raises(SystemExit, match="there is no file 'dog'"):
        trained.open_photo("dog")
    (tmp_path / "words.txt").write_text("no picture")
    with pytest.raises(SystemExit, match="cannot read"):
        trained.open_photo(str(tmp_path / "words.txt"))
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(SystemExit, match="pip install scikit-image"):
        trained.open_photo("astronaut")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SystemExit, match="pip install pillow"):
        trained.open_photo("dog.png")


# ---- HED


def test_stretching_interpolates_between_the_middles_of_pixels(hed):
    x = np.array([[0, 4, 8]], np.float32)
    assert hed.stretch(x, 6, 1).tolist() == [[0, 1, 3, 5, 7, 8]]
    assert hed.stretch(x, 3, 0).tolist() == x.repeat(3, axis=0).tolist()
    assert hed.stretch(x, 3, 1).tolist() == x.tolist()
    assert hed.stretch(x, 1, 1).tolist() == [[4]]
    assert hed.stretch(x, 6, 1).dtype == np.float32


def hed_arrays(hed, rng):
    """Arrays as the file has them, with two channels where VGG16 has 64 to 512."""
    arrays = {}
    for block, convolutions in enumerate(hed.BLOCKS, 1):
        for i in range(convolutions):
            path = f"block{block}/layers/conv2d" + (f"_{i}" if i else "")
            shape = (2, 3 if (block, i) == (1, 0) else 2, 3, 3)
            arrays[f"{path}/vars/0"] = rng.standard_normal(shape, dtype=np.float32)
            arrays[f"{path}/vars/1"] = rng.standard_normal(2, dtype=np.float32)
        arrays[f"dsn{block}/vars/0"] = rng.standard_normal((1, 2, 1, 1), dtype=np.float32)
        arrays[f"dsn{block}/vars/1"] = rng.standard_normal(1, dtype=np.float32)
    arrays["fuse/vars/0"] = np.full((1, 5, 1, 1), 0.2, np.float32)
    arrays["fuse/vars/1"] = np.zeros(1, np.float32)
    return arrays


def test_hed_gives_a_map_in_the_size_of_any_photo(hed, rng):
    network = hed.build(hed_arrays(hed, rng))
    for h, w in ((64, 64), (33, 70), (16, 17)):
        edges = network(rng.standard_normal((1, 3, h, w), dtype=np.float32))
        assert edges.shape == (1, 1, h, w)
        assert edges.min() >= 0
        assert edges.max() <= 1


def test_hed_writes_its_map_beside_the_photo(hed, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(hed, "read_weights", lambda path: hed_arrays(hed, rng))
    monkeypatch.setattr(hed, "HED", Package("numpy", "2"))
    monkeypatch.setattr(hed, "WEIGHTS", "numpy/__init__.py")
    photo = tmp_path / "wide.jpg"
    Image.new("RGB", (90, 30)).save(photo)
    hed.main([str(photo)])
    assert read_photo(tmp_path / "wide_edges.png").size == (90, 30)
    hed.main([str(photo), "--side", "60", "-o", str(tmp_path / "small.png")])
    assert read_photo(tmp_path / "small.png").size == (60, 20)
    with pytest.raises(SystemExit, match="cannot write"):
        hed.main([str(photo), "-o", str(tmp_path / "nowhere" / "map.png")])


def test_hed_refuses_a_side_too_short_for_its_poolings(hed, capsys):
    with pytest.raises(SystemExit) as ended:
        hed.main(["--side", "15"])
    assert ended.value.code == 2
    assert "--side: must be from 16, got 15" in capsys.readouterr().err


# ---- PP-OCR


def test_corners_go_around_a_line_with_a_margin(ocr):
    x, y = np.meshgrid(np.arange(10, 50), np.arange(20, 28))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    margin = 1.6 * 40 * 8 / (2 * 48)
    low, high = np.array([10, 20]) - margin, np.array([50, 28]) + margin
    expected = [low, (low[0], high[1]), high, (high[0], low[1])]
    np.testing.assert_allclose(ocr.corners(points), expected, rtol=0, atol=1e-9)


def test_corners_follow_a_tilted_line(ocr):
    # From the lower left to the upper right, as y goes down.
    along, across = np.meshgrid(np.linspace(0, 100, 400), np.linspace(-4, 4, 40))
    turn = np.deg2rad(20)
    x = along * np.cos(turn) + across * np.sin(turn)
    y = -along * np.sin(turn) + across * np.cos(turn)
    upper_left, lower_left, _, upper_right = ocr.corners(np.stack([x.ravel(), y.ravel()], axis=1))
    direction = upper_right - upper_left
    assert np.rad2deg(np.arctan2(-direction[1], direction[0])) == pytest.approx(20, abs=0.5)
    assert lower_left[1] > upper_left[1]


def test_decoding_leaves_out_repeats_and_gaps(ocr):
    letters = ["", "a", "b"]
    steps = np.full((7, 3), 0.1, np.float32)
    steps[np.arange(7), [1, 1, 0, 1, 2, 2, 0]] = 0.8
    line = ocr.decode(steps, letters)
    assert line.text == "aab"
    assert line.sureness == pytest.approx(0.8)
    assert ocr.decode(steps[-1:], letters) == ("", 0.0)


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_upside_down_is_read_the_way_that_reads_surer(ocr, turned):
    line = Image.new("RGB", (96, 48), "white")
    line.paste("black", (96 - 20, 0, 96, 48) if turned else (0, 0, 20, 48))

    def turner(x):
        assert x.shape == (1, 3, 48, 192)
        assert not x[..., 96:].any()
        return np.array([[0.0, 1.0]], np.float32)

    def reader(x):
        # Sure of what begins with black alone.
        return np.array([[[0, 0.9, 0]]] if x[0, 0, 24, 0] < 0 else [[[0, 0, 0.4]]], np.float32)

    assert ocr.read_line(line, turner, reader, ["", "y", "n"]).text == "y"


# ---- the digits' network


def test_digits_are_scaled_as_in_training(digits):
    x = digits.prepared(np.array([[[0, 255]]], np.uint8))
    assert x.shape == (1, 1, 1, 2)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.ravel(), [-0.1307 / 0.3081, 0.8693 / 0.3081], rtol=1e-6)
