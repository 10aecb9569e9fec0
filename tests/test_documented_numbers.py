"""The numbers that the documents show, made again by their commands, to the last digit printed.

A block of a document is repeated where a comment above it says so. Its commands ask for the portable kernel, so that
the numbers are those of every machine. Times, ids and paths may be others, and so what hangs on times. So are what is
quoted below it of the report that it wrote. What takes minutes is repeated by `make numbers` only.
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
from nnexp.statistics.intervals import wilson
from nnexp.terminal import percent
from tests.conftest import Nnexp
from tests.tools import documents
from tests.tools.documents import ID, REPORT, Report, agrees, steps, unmarked
from tests.tools.waiting import HANGING

ROOT = Path(__file__).resolve().parent.parent
SWEEPS = ("docs/comparison.md", "docs/optimizers.md", "docs/data_sets.md", "docs/statistics.md")
PAGES = ("README.md", "docs/exercise.md", "docs/own.md", *SWEEPS)
EXAMPLE = re.compile(r"`(\w+\.py)`[\w\s]*:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXERCISE, STATISTICS = ((ROOT / f"docs/{page}.md").read_text() for page in ("exercise", "statistics"))
ALL = "NNEXP_NUMBERS" in os.environ
LONG = 20 * HANGING  # seconds: a sweep takes minutes where nothing else does

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernels.processor_problem(kernels.platform.machine(), kernels._flags()) is not None,
                       reason="needs the portable kernel"),
]  # fmt: skip


# What the sweep over lambda leaves as it is, and other commands of the documents do not.
DEFAULT = {"data.name": "ex4", "data.test_size": 0.2, "data.validation_size": 0.0, "data.split": "stratified",
           "model.hidden_size": 25, "model.activation": "sigmoid",
           "optimizer.method": "TNC", "optimizer.maxfun": 400, "training.kernel": "portable", "seed": 0}  # fmt: skip


class Reader:
    """Types the commands of the documents, one after the other, in one folder; one that is shown twice once."""

    def __init__(self, nnexp):
        self.nnexp, self.ids, self.printed = nnexp, {}, {}

    def types(self, line, told, *, is_long=False):
        """What a command prints on standard output and standard error.

        Ids that the documents show are those of today from then on. Of a long one, no figures of the runs are drawn.
        """
        if line not in self.printed or line.startswith("nnexp report"):  # which is of the newest sweep
            self.printed[line] = self._run([self._today(word) for word in shlex.split(line)], is_long)
        printed = self.printed[line]
        self.ids |= dict(zip(re.findall(ID, told), re.findall(ID, printed[0]), strict=False))
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

    def _run(self, words, is_long):
        if words[0] == "nnexp" and not is_long:
            done = self.nnexp(*words[1:])
            return done.out, done.err
        if words[0] == "nnexp":
            quickly = ["figures.of=none"] if any(word.startswith(("-m", "+s")) for word in words) else []
            return self.nnexp.start(*words[1:], *quickly).communicate(timeout=LONG)
        script = [sys.executable, str(ROOT / words[1]), *words[2:]]
        done = subprocess.run(script, cwd=self.nnexp.folder, capture_output=True, text=True, timeout=LONG)
        return done.stdout, done.stderr


@pytest.fixture(scope="module")
def reader(tmp_path_factory, cache, empty_store):
    folder = tmp_path_factory.mktemp("documents")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    empty_store(folder / "outputs/mlflow.db")
    for name, text in EXAMPLE.findall((ROOT / "docs/own.md").read_text()):
        (folder / name).write_text(text)
    return Reader(Nnexp(folder, cache))


def shown():
    for page in PAGES:
        for number, block in enumerate(documents.blocks((ROOT / page).read_text()), 1):
            marks = [pytest.mark.skip(reason="takes minutes: make numbers")] * (block.is_long and not ALL)
            yield pytest.param(block, id=f"{page}-{number}", marks=marks)


@pytest.mark.parametrize("block", list(shown()))
def test_a_block_is_printed_today_as_the_document_shows_it(reader, block):
    outputs = ""
    for line, told in block.steps:
        out, err = reader.types(line, told, is_long=block.is_long)
        if told:
            assert agrees(told, out) or agrees(told, err), f"{line}\n{out}\n{err}\nis not\n{told}"
        outputs += out
    if block.quotes or block.tables:
        report = Report((reader.nnexp.folder / REPORT.findall(outputs)[-1]).read_text(), outputs)
        assert [text for text in block.quotes if not report.says(text)] == [], "\n".join(report.sentences)
        assert [table for table in block.tables if not report.has(table)] == [], report.tables


@pytest.mark.parametrize("page", SWEEPS)
def test_nothing_that_was_printed_or_said_by_a_report_is_without_a_mark(page):
    assert unmarked((ROOT / page).read_text()) == []


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
    told = {row[0]: row[1:] for row in rows("accuracy")}
    results = reader.results_of_lambda()
    assert len(told) == 5
    for value, shares in told.items():
        assert shares == [percent(results[value][f"accuracy/{part}"]) for part in ("train", "test")]


# Trains once, as all of the first three faults do.
FAULTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import faults
data = faults.datasets.load("ex4", cache="data")
right = {lmbda: faults.Objective(data.X, data.Y, faults.LAYER_SIZES, l2=lmbda) for lmbda in (0.0, 1.0, 3.0, 10.0)}
with faults.blas_threads(1):
    done = faults.train(data)
    theta = done.theta.copy()
    plain = faults.cost(theta, data.X, data.Y)
    costs = [[plain + faults.penalty_that_ignores_lambda(theta, len(data.y), lmbda), right[lmbda](theta)[0]]
             for lmbda in right]
    biases = []
    for _ in range(2):
        biases.append([right[1.0](theta)[0], faults.accuracy(theta, data), theta[0]])
        faults.gradient_that_zeroes_biases(theta, data.X, data.Y, 1.0)
print(json.dumps([costs, biases, done.n_fev]))
"""


def test_what_one_training_shows_of_the_first_three_faults(reader):
    words = [sys.executable, "-c", FAULTS, str(ROOT / "docs")]
    done = subprocess.run(words, cwd=reader.nnexp.folder, env=os.environ | kernels.VARIABLES, capture_output=True,
                          text=True, timeout=LONG)  # fmt: skip
    costs, biases, n_evaluations = json.loads(done.stdout)
    assert [row[1:3] for row in rows("lambda")] == [[f"{cost:.6f}" for cost in pair] for pair in costs]
    shown = [[f"{cost:.6f}", percent(share), f"{entry:.6f}"] for cost, share, entry in biases]
    assert [row[2:] for row in rows("biases") if row[0] == "0"] == shown
    assert rows("lambda")[1][4] == shown[0][0]
    assert [rows("maxiter")[1][column] for column in (1, 3, 4)] == [str(n_evaluations), *shown[0][:2]]


def rows(fault):
    """The cells of the table of a fault in docs/exercise.md."""
    block = EXERCISE.partition(f"$ python docs/faults.py {fault}\n")[2].partition("```")[0]
    lines = [line for line in block.splitlines()[2:] if "warned" not in line]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def test_the_first_rows_of_the_simulation(reader):
    """The rows are drawn one after the other."""
    printed, _ = reader.types("python docs/simulation.py --seeds 3 5", "")
    assert len(printed.splitlines()) == 5
    assert f"$ python docs/simulation.py\n{printed}" in STATISTICS


def test_intervals_of_one_accuracy():
    told = re.findall(r"([\d.]+) % of 1,000 images is ([\d.]+) to ([\d.]+) %", STATISTICS)
    told += re.findall(r"([\d.]+) % are classified.*\nIts 95 % interval, .*, is ([\d.]+) to ([\d.]+) %", EXERCISE)
    assert len(told) == 2
    for share, *interval in told:
        assert [f"{100 * end:.1f}" for end in wilson(10 * float(share), 1000)] == interval


def test_a_digit_and_a_line_that_differ_are_seen():
    told = "cost  0.25\nfit   2.0 s\n...\nrun  7ed8eb8fd19242009738b6adf2140469\n"
    assert agrees(told, "cost  0.25\nfit   9.1 s\nx\ny\nrun  00000000000000009738b6adf2140469\n")
    assert not agrees(told, "cost  0.26\nfit   9.1 s\nx\ny\nrun  00000000000000009738b6adf2140469\n")
    assert not agrees(told, "cost  0.25\nmore\nfit   9.1 s\nrun  00000000000000009738b6adf2140469\n")
    assert steps("$ nnexp a=b\nc\nd\n$ nnexp ui\n") == [("nnexp a=b", "c\nd\n"), ("nnexp ui", "")]


def test_a_quote_a_row_and_a_block_that_differ_are_seen():
    page = "<!-- repeated by the tests -->\n"
    page += (
        "```console\n$ nnexp -m a=1,2\n```\n\n> A beats B (by\n> 1.5 points).\n>\n> Lowest after 3 seconds A (0.5).\n\n"
    )
    page += "<!-- from its report -->\n| setting | cost |\n|---|---|\n| A | 0.5 |\n"
    (block,) = documents.blocks(page)
    html = "<li>A beats B (by 1.5 points). More.</li><li>Lowest after 9 seconds B (0.6).</li>"
    html += "<table><tr><th>setting</th><th>seeds</th><th>cost</th></tr>"
    html += "<tr><td>A</td><td>3</td><td>0.5 [0.4, 0.6]</td></tr></table>"
    report = Report(html)
    assert [report.says(text) for text in block.quotes] == [True, True]
    assert [report.has(table) for table in block.tables] == [True]
    assert not report.says("A beats B (by 1.4 points).")
    assert not report.has([["setting", "cost"], ["A", "0.4"]])
    assert not report.has([["setting", "loss"], ["A", "0.5"]])
    assert unmarked(page) == []
    assert unmarked("> A beats B.\n") == ["A beats B."]
    assert unmarked(f"{page}```console\n$ nnexp\ncost 0.5\n```\n") == ["$ nnexp\ncost 0.5\n"]
