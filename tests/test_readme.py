"""Run the README's Python examples as they stand there; what they print stands in comments.

They may read the file ``model.onnx``, a network for images.
"""

import re
from pathlib import Path

import pytest

from fastconv import models
from fastconv.bench.export_onnx import to_onnx
from fastconv.bench.network_cases import network_cases

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"(?s)```python\n(.*?)```", README)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.strip().splitlines()[-1])
def test_example(example, capsys, monkeypatch, tmp_path, skip):
    if "model.onnx" in example:
        try:
            model = to_onnx(models.squeezenet(), (1, 3, 224, 224))
        except ModuleNotFoundError:
            skip("no onnx")
        Path(tmp_path, "model.onnx").write_bytes(model.SerializeToString())
        monkeypatch.chdir(tmp_path)
    lines_before = README[: README.index(example)].count("\n")
    exec(compile("\n" * lines_before + example, "README.md", "exec"), {})
    printed = re.findall(r"(?m)^print\(.*\)  # (.*)$", example)
    assert printed
    assert capsys.readouterr().out.splitlines() == printed


@pytest.mark.parametrize("command", ["bench", "test"])
def test_command_is_one_line_of_shell(command):
    """The check of a checkout takes the commands from here, so that they are run as they stand."""
    block = re.search(rf"<!-- command: {command} -->\n```sh\n(.*)\n```", README)
    assert block


def test_the_table_of_networks_is_filled():
    """A cell of a peer begins with its time too, and names it."""
    block = re.search(r"(?s)<!-- networks: begin -->\n(.*?)<!-- networks: end -->", README)
    head, _, *rows = re.findall(r"(?m)^\|(.*)\|$", block[1])
    assert [row.split("`")[1] for row in rows] == [case.family for case in network_cases([1])]
    for row in rows:
        network, *figures = row.split("|")
        assert len(figures) == head.count("|") == 6
        empty = [cell for cell in figures if not re.match(r" \d", cell)]
        assert not empty, f"{network.strip()} lacks {len(empty)} figures"
