"""The examples run as a reader would run them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import SKIPS

EXAMPLES = Path(__file__).parents[1] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
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
