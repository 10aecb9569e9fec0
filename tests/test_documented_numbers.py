"""The numbers that the documents show, made again by their commands, to the last digit printed.

A block of a document is repeated where a comment above it says so. Its commands ask for the portable kernel, so that
the numbers are those of every machine. Times, ids and paths may be others, and so what hangs on times. What takes
minutes is repeated by `make numbers` only.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nnexp import kernels
from nnexp.terminal import percent
from tests.conftest import Nnexp
from tests.tools.waiting import HANGING

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/exercise.md", "docs/own.md")
EXAMPLE = re.compile(r"`(\w+\.py)`[\w\s]*:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^<!-- repeated by (the tests|make numbers) -->\n```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
ID = r"\b[0-9a-f]{32}\b|\b\d{8}-\d{6}-[0-9a-f]{8}\b"
VARYING = [
    (ID, "ID"),
    (r"nnexp-[0-9a-f]{16}", "nnexp-VIEW"),
    (r"(sweeps|reports)/[0-9a-f]{16}", r"\1/SWEEP"),
    (r"^fit +[\d.]+ s", "fit T s"),
    (r"^in [\d.]+ s$", "in T s"),
    (r'"seconds": [\d.]+', '"seconds": T'),
    (r"^.* whether all get .*\n|^.* depends on what is held equal: .*\n", ""),  # who leads after some seconds
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernels.processor_problem(kernels.platform.machine(), kernels._flags()) is not None,
                       reason="needs the portable kernel"),
]  # fmt: skip


def steps(block):
    """The commands of a block, each with what it prints."""
    return [step.partition("\n")[::2] for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def without_varying(text):
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def agrees(told, printed):
    """Whether a document shows what was printed; `...` stands for lines that it leaves out."""
    told = without_varying(told)
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in told.splitlines())
    return re.fullmatch(pattern, without_varying(printed).rstrip() + "\n") is not None


# What the sweep over lambda leaves as it is, and other commands of the documents do not.
DEFAULT = {"data.name": "ex4", "data.test_size": 0.2, "model.hidden_size": 25, "model.activation": "sigmoid",
           "optimizer.method": "TNC", "optimizer.maxfun": 400, "training.kernel": "portable", "seed": 0}  # fmt: skip


class Reader:
    """Types the commands of the documents, one after the other, in one folder; one that is shown twice once."""

    def __init__(self, nnexp):
        self.nnexp, self.ids, self.printed = nnexp, {}, {}

    def types(self, line, told):
        """What a command prints; ids that the documents show are those of today from then on."""
        if line not in self.printed:
            self.printed[line] = self._run([self._today(word) for word in shlex.split(line)])
        printed = self.printed[line]
        self.ids |= dict(zip(re.findall(ID, told), re.findall(ID, printed), strict=False))
        return printed

    def results_of_lambda(self):
        """What the runs of the sweep over lambda have found."""
        self.types("nnexp +sweep=l2 training.kernel=portable", "")
        found = {}
        for directory in self.nnexp.directories():
            params = json.loads((directory / "run.json").read_text())["params"]
            if {key: params.get(key) for key in DEFAULT} == DEFAULT:
                found[f"{params['model.l2']:g}"] = json.loads((directory / "result.json").read_text())
        return found

    def _today(self, word):
        return next((now for then, now in self.ids.items() if len(word) >= 8 and then.startswith(word)), word)

    def _run(self, words):
        if words[0] == "nnexp":
            return self.nnexp(*words[1:]).out
        script = [sys.executable, str(ROOT / words[1]), *words[2:]]
        return subprocess.run(script, cwd=self.nnexp.folder, capture_output=True, text=True, timeout=HANGING).stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory, cache, empty_store):
    folder = tmp_path_factory.mktemp("documents")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    empty_store(folder / "outputs/mlflow.db")
    for name, text in EXAMPLE.findall((ROOT / "docs/own.md").read_text()):
        (folder / name).write_text(text)
    return Reader(Nnexp(folder, cache))


def blocks():
    for page in PAGES:
        for number, (by, block) in enumerate(BLOCK.findall((ROOT / page).read_text()), 1):
            is_long = by == "make numbers" and "NNEXP_NUMBERS" not in os.environ
            marks = [pytest.mark.skip(reason="takes minutes: make numbers")] * is_long
            yield pytest.param(block, id=f"{page}-{number}", marks=marks)


@pytest.mark.parametrize("block", list(blocks()))
def test_a_block_is_printed_today_as_the_document_shows_it(reader, block):
    for line, told in steps(block):
        printed = reader.types(line, told)
        assert agrees(told, printed), f"{line}\n{printed}\nis not\n{told}"


def test_a_sweep_finished_by_the_same_command(reader):
    """The block shows what a killed sweep says when it goes on; here one of its jobs is done."""
    line = r"^finished: .*: (cost \S+, accuracy \S+ %) \(run"
    known, new = re.findall(line, (ROOT / "README.md").read_text(), re.MULTILINE)
    done = reader.nnexp("-m", "model.hidden_size=50", "training.kernel=portable", "tracking=none", "figures.of=none")
    assert re.findall(line, done.err, re.MULTILINE) == [new]
    result = reader.results_of_lambda()["1"]
    assert known == f"cost {result['cost']:.6g}, accuracy {percent(result['accuracy/test'])}"


def test_the_table_of_the_fourth_fault(reader):
    """Its script trains what the sweep over lambda trains."""
    page = (ROOT / "docs/exercise.md").read_text()
    block = page.partition("$ python docs/faults.py accuracy\n")[2].partition("```")[0]
    told = dict(re.findall(r"^ +(\S+) +(\S+ % +\S+ %)$", block, re.MULTILINE))
    del told["10"]  # which the sweep does not have
    results = reader.results_of_lambda()
    assert len(told) == 4
    for value, shown in told.items():
        shares = [results[value][f"accuracy/{part}"] for part in ("train", "test")]
        assert shown.split("  ")[0] == percent(shares[0])
        assert shown.split("  ")[-1].strip() == percent(shares[1])


def test_a_digit_and_a_line_that_differ_are_seen():
    told = "cost  0.25\nfit   2.0 s\n...\nrun  7ed8eb8fd19242009738b6adf2140469\n"
    assert agrees(told, "cost  0.25\nfit   9.1 s\nx\ny\nrun  00000000000000009738b6adf2140469\n")
    assert not agrees(told, "cost  0.26\nfit   9.1 s\nx\ny\nrun  00000000000000009738b6adf2140469\n")
    assert not agrees(told, "cost  0.25\nmore\nfit   9.1 s\nrun  00000000000000009738b6adf2140469\n")
    assert steps("$ nnexp a=b\nc\nd\n$ nnexp ui\n") == [("nnexp a=b", "c\nd\n"), ("nnexp ui", "")]
