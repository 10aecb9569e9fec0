"""Real runs and reruns for the tests: many in one process, without the figures, which are not what is tested here."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.tools import warm
from tests.tools.waiting import HANGING

ROOT = Path(__file__).resolve().parents[2]

QUICKLY = (
    f"""
HANGING = {HANGING}
"""
    + """
import contextlib, io, json, sys
from dataclasses import replace
from pathlib import Path
from nnexp import execute
from nnexp.compose import compose, read_config, to_yaml
from nnexp.companion import companion_of
from nnexp.recording import Request
from nnexp.runs.directory import run_name
from nnexp.runs.questions import Question

def finish(directory, tracking):
    companion = companion_of(tracking)
    directory.write_history_table()
    companion.ask(directory, Question.PUBLISH)
    companion.answer(directory, Question.PUBLISH, HANGING)  # or it would draw what the process leaves open
    return replace(execute.outcome_of(directory, companion, None), published=True)  # but for the figures

execute.finish = finish
"""
)
MAKE = (
    QUICKLY
    + """
for overrides in json.load(sys.stdin):
    cfg = compose(overrides)
    request = Request(read_config(cfg), to_yaml(cfg), overrides, Path("outputs/runs") / run_name())
    outcome = execute.execute(request)
    assert outcome.status == "FINISHED", outcome.result
    print(outcome.path)
"""
)
RERUN = (
    QUICKLY
    + """
from nnexp.cli import main
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["rerun", *words, "--json", "tracking=none"])
    print(json.dumps([status, json.loads(out.getvalue() or "null"), err.getvalue()]))
"""
)
COMMANDS = """
import contextlib, io, json, sys
from nnexp.cli import main
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""
PUBLISH = """
import json, sys
from nnexp.tracking.publication import Publication
from nnexp.runs.directory import RunDirectory
from nnexp.tracking.store import Store
for path, uri in json.load(sys.stdin):
    publication = Publication(RunDirectory(path), Store(uri, "nnexp"))
    publication.advance()
    print(publication.run_id)
"""


def in_new_process(script, given, folder, package=ROOT, **settings):
    """What a script says on the JSON that it is given, line by line; `settings` are environment variables."""
    places = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings |= {"PYTHONPATH": os.pathsep.join(places)}
    status, out, err = warm.run([sys.executable, "-c", script], folder, settings, given=json.dumps(given))
    assert status == 0, err
    return out.splitlines()


def make(folder, jobs):
    """Run directories of these lists of overrides."""
    return [Path(line) for line in in_new_process(MAKE, [["tracking=none", *job] for job in jobs], folder)]


def publish(directory, uri):
    """Bring a run into a store; its id there."""
    [run_id] = in_new_process(PUBLISH, [[str(directory), uri]], directory)
    return run_id


def rerun(folder, words, package=ROOT, *, tracking="none", **settings):
    """Exit status, JSON object and standard error of `nnexp rerun WORDS`, each list of words in turn."""
    script = RERUN if tracking == "none" else RERUN.replace('"tracking=none"', '"tracking=mlflow"')
    lines = in_new_process(script, [[str(word) for word in line] for line in words], folder, package, **settings)
    return [json.loads(line) for line in lines]


def commands(folder, *lines):
    """Exit status, standard output and standard error of each command, all in one new process, which imports once."""
    return [json.loads(line) for line in in_new_process(COMMANDS, lines, folder)]


def copy_of(directory, name):
    """A run directory's copy, to be damaged."""
    return Path(shutil.copytree(directory, directory.parent / name))


def edit_json(path, /, **values):
    """Set values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edited_package(folder, module, old, new):
    """The package with one line of a module changed; what goes on PYTHONPATH."""
    for name in ("nnexp", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "nnexp" / module
    source = path.read_text()
    assert source.count(old) == 1, f"{module} has no single line {old!r} any more"
    path.write_text(source.replace(old, new))
    return folder


def write_mat(path, *, shift=0.0):
    """A small MATLAB file of three classes; `shift` is added to one pixel of one sample."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(90, 16))
    X[7, 5] += shift
    y = np.repeat([1, 2, 3], 30)
    savemat(path, {"X": X + y[:, None] / 5, "y": y})
    return path
