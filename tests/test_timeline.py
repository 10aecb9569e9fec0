"""The timeline of a process: what its spans leave where a folder is named, and that they are nothing where none is."""

import json
import os
import subprocess
import sys

from nnexp import timeline

SCRIPT = """
import os, sys
from nnexp.timeline import span

@span("outer")
def outer(depth):
    with span("inner"):
        sum(range(100_000))
    return depth and outer(depth - 1)

assert outer.__name__ == "outer"
import xml.dom.minidom, email.mime.multipart, http.server
outer(1)
"""


def test_each_span_is_a_line_of_a_file_of_its_process(tmp_path):
    environment = os.environ | {"NNEXP_TIMELINE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first, *rest = lines
    assert first["name"] == "imports"
    assert first["argv"][1] == "-c"
    names = [line["name"] for line in rest]
    assert [name for name in names if name != "imports"] == ["inner", "inner", "outer", "outer", "end"]
    assert "imports" in names
    inner = next(line for line in rest if line["name"] == "inner")
    outer = rest[-2]
    assert first["begin"] < first["end"] <= outer["begin"] <= inner["begin"] < inner["end"] <= outer["end"]
    assert 0 < inner["cpu"] <= outer["cpu"] <= outer["process"] <= lines[-1]["process"]


def test_without_a_folder_a_span_is_nothing(tmp_path):
    def function():
        """Nothing."""

    assert timeline.FOLDER is None
    assert timeline.span("a") is timeline.span("b")
    assert timeline.span("a")(function) is function
    timeline.end()
    assert list(tmp_path.iterdir()) == []
