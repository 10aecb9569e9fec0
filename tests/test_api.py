"""nnexp from Python: the runs of the commands, in this process."""

import ast
import doctest
import importlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import nnexp as api
from nnexp.comparison.spec import Evidence, References
from nnexp.report.files import RunFiles
from nnexp.report.selection import Selection, find
from nnexp.report.table import tidy
from nnexp.tasks.network.report.problems import gather
from nnexp.tasks.network.report.references import of_problems
from nnexp.tracking.store import Store
from tests.report.runs import grouped
from tests.tools.waiting import HANGING

ROOT = Path(__file__).resolve().parents[1]
SMOKE = "experiment=smoke"
IMPORTED = "import sys; before = set(sys.modules); import nnexp; print(*sorted(set(sys.modules) - before))"


def test_importing_nnexp_imports_nothing_else():
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nnexp"]


def test_the_package_goes_to_workers_as_any_module():
    assert pickle.loads(pickle.dumps(api)) is api


def test_type_checkers_are_told_of_every_name_and_its_module():
    told = {
        alias.name: node.module
        for block in ast.parse(Path(api.__file__).read_text()).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("nnexp")
        for alias in node.names
    }
    assert told == api._MODULES


def test_every_name_is_there_and_no_folder_hides_one():
    for folder in ("report", "rerun"):
        importlib.import_module(f"nnexp.{folder}")
    assert set(api._MODULES) <= set(dir(api))
    for name, module in api._MODULES.items():
        assert getattr(api, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="'rum'"):
        _ = api.rum


@pytest.fixture
def here(nnexp, monkeypatch):
    """This process in an empty folder, where the command can be given too."""
    monkeypatch.chdir(nnexp.folder)
    return nnexp


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache, empty_store):
    """A folder with a store in which a run and a sweep were made by this process."""
    from tests.conftest import Nnexp

    cache.mkdir(exist_ok=True)
    runner = Nnexp(tmp_path_factory.mktemp("made"), cache)
    (runner.folder / "data").symlink_to(cache)
    empty_store(runner.folder / "outputs/mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(runner.folder)
        runner.result = api.run(SMOKE)
        runner.sweep = api.sweep(SMOKE, "model.l2=0,1")
        yield runner


@pytest.mark.slow
def test_a_run_made_here_is_skipped_by_the_command_and_by_a_sweep_made_here(made):
    done = made("-m", SMOKE, "seed=0,1", "dry_run=true")
    assert f"skip: finished as run {made.result.run_id}" in done.out
    assert "1 of 2 jobs would run." in done.out
    assert made.sweep.counts["elsewhere"] == 1
    assert [run.run_id == made.result.run_id for run in made.sweep.runs] == [False, True]


@pytest.mark.slow
def test_a_result_has_what_the_run_left(made):
    result, digits = made.result, api.load_dataset("digits")
    assert (result.status, result.params["model.l2"], result.params["seed"]) == ("FINISHED", 1.0, 0)
    assert result.config["model"]["hidden_size"] == 8
    assert result.metrics["cost/train"] == result.history["cost/train"].iloc[-1]
    assert list(result.history["step"]) == list(range(6))
    split = digits.split(test_size=0.2, seed=0)
    assert np.mean(result.predict(split.test.X) == split.test.y) == pytest.approx(result.metrics["accuracy/test"])
    assert np.array_equal(api.fit(split, hidden_size=8, maxiter=20, maxfun=20).theta, result.theta)
    assert {"cost_curves", "hidden_layer", "figures/sample"} <= set(result.figures)
    assert "32.31 %" in repr(result)
    assert result._repr_html_().count("data:image/png;base64,") == 2
    with pytest.raises(ValueError, match=r"expected X of shape \(n, 64\), got \(2, 3\)"):
        result.predict(np.zeros((2, 3)))


@pytest.mark.slow
def test_a_sweep_has_its_runs_its_table_and_its_best(made):
    sweep = made.sweep
    assert (sweep.counts["planned"], sweep.counts["finished"], sweep.counts["failed"]) == (2, 2, 0)
    assert sweep.best.run_id == made.result.run_id
    assert sweep.report.read_text().startswith("<!")
    assert "2 of 2 finished" in repr(sweep)
    assert "test accuracy 32.31 %: model.l2=1" in sweep._repr_html_()
    table = api.load_runs(sweep=sweep.id[:6])
    assert table.set_index("run_id").sort_index().equals(sweep.frame().set_index("run_id").sort_index())
    assert sorted(table["model.l2"]) == [0.0, 1.0]
    assert table["model.hidden_size"].dtype == "int64"
    assert len(api.load_runs(filter="params.`model.l2` = '1.0'")) == 1
    assert len(api.load_runs(experiment="nnexp")) == 2
    assert api.report(sweep.id).n_runs == 2


@pytest.mark.slow
def test_a_run_is_loaded_from_its_directory_or_from_the_store_and_is_the_same(made, monkeypatch, tmp_path):
    here = api.load_run(made.result.run_id[:8])
    known = (here.params, here.metrics, here.theta, here.predict(api.load_dataset("digits").X))
    assert (here.path, here.metrics) == (made.result.path, made.result.metrics)
    away = tmp_path / "away"
    shutil.copytree(made.folder / "outputs", away, ignore=shutil.ignore_patterns("runs", "unpublished"))
    database = (made.folder / "outputs/mlflow.db").as_posix()
    shutil.move(here.path, tmp_path / "moved")
    try:
        stored = api.load_run(made.result.run_id, f"tracking.directory={away}", f"tracking.uri=sqlite:///{database}")
        assert stored.path != made.result.path
        assert (stored.params, stored.metrics) == known[:2]
        assert np.array_equal(stored.theta, known[2])
        assert np.array_equal(stored.predict(api.load_dataset("digits").X), known[3])
        assert "cost_curves" in stored.figures
    finally:
        shutil.move(tmp_path / "moved", here.path)


@pytest.mark.slow
def test_a_rerun_made_here_is_checked(made):
    again = api.rerun(made.result.run_id, check=True)
    assert (again.verdict, again.changed, again.result.verdict) == ("identical", (), "identical")
    assert again.result.run_id != made.result.run_id


@pytest.mark.slow
def test_a_thread_makes_the_same_run_while_another_loads_one(made):
    results = []
    thread = threading.Thread(target=lambda: results.append(api.run(SMOKE, "tracking=none")))
    thread.start()
    assert api.load_run(made.result.run_id).status == "FINISHED"
    thread.join(HANGING)
    assert np.array_equal(results[0].theta, made.result.theta)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["modle.l2=1"], "did you mean `model.l2`"),
        (["model.l2=-1"], r"`model.l2` must be in \[0, 1e12\], got -1"),
        (["model.l2=0,1"], "has several values: nnexp.sweep runs all of them"),
        (["+sweep=l2"], "nnexp.sweep runs"),
        (["-m", "seed=0,1"], "'-m' is a flag of the command"),
        (["dry_run=true"], "`dry_run` must be false"),
    ],
)
def test_what_is_wrong_is_told_as_by_the_command_and_leaves_nothing(here, overrides, told):
    with pytest.raises(api.ConfigError, match=told) as refused:
        api.run(*overrides)
    assert refused.value.__cause__ is None
    assert not (here.folder / "outputs").exists()


def test_a_call_leaves_the_state_of_hydra_and_the_folder_of_temporary_files_as_they_were(here):
    import tempfile

    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    def ours():  # what MLflow sets when it is imported stays
        return {name: value for name, value in os.environ.items() if name.startswith(("NNEXP_", "HYDRA_"))}

    words, environment, was_initialized = sys.argv[:], ours(), HydraConfig.initialized()
    GlobalHydra.instance().hydra, before = "somebody else's", tempfile.gettempdir()
    try:
        with pytest.raises(api.ConfigError):
            api.sweep("model.l2=-1")
        assert (GlobalHydra.instance().hydra, HydraConfig.initialized()) == ("somebody else's", was_initialized)
    finally:
        GlobalHydra.instance().hydra = None
    assert (sys.argv, ours(), tempfile.gettempdir()) == (words, environment, before)


@pytest.mark.slow
def test_the_examples_in_docstrings_print_what_they_show(made):
    for name in ("nnexp.api.running", "nnexp.api.loading", "nnexp.tasks.network.fitting"):
        done = doctest.testmod(importlib.import_module(name))
        assert (done.failed, done.attempted > 0) == (0, True), name


def test_functions_of_ones_own_are_looked_for_in_the_folder_of_the_call(tmp_path, monkeypatch):
    for number, name in enumerate(("first", "second"), 1):
        (tmp_path / name).mkdir()
        text = f"def load():\n    return [[0.0], [1.0]] * {number}, [0, 1] * {number}\n"
        (tmp_path / name / f"data_{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path / name)
        assert len(api.load_dataset(f"data_{name}.load", cache=None)) == 2 * number


OWN = """
import os, signal

def train(run, how="works"):
    run.log({"loss": 1.0}, step=0)
    if how == "fails":
        raise ValueError("no good")
    if how == "is stopped":
        os.kill(os.getpid(), signal.SIGINT)
    run.save("weights.npz", w=[1.0, 2.0])
    return {"final": 2.0}
"""


@pytest.mark.slow
def test_a_run_that_fails_or_is_interrupted_is_kept_and_raises(here):
    (here.folder / "mine.py").write_text(OWN)
    words = ("task=custom", "task.name=mine.train", "tracking=none")
    with pytest.raises(api.RunFailedError, match="ValueError: no good") as failed:
        api.run(*words, "task.options={how: fails}")
    assert "no good" in (failed.value.result.path / "error.txt").read_text()
    assert failed.value.result.metrics == {"loss": 1.0}
    with pytest.raises(KeyboardInterrupt):
        api.run(*words, "task.options={how: is stopped}")
    assert sorted(result["status"] for result in here.results().values()) == ["FAILED", "KILLED"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    swept = api.sweep(*words, "task.options.how=fails,works")
    assert (swept.counts["finished"], swept.counts["failed"]) == (1, 1)
    assert [run.status for run in swept.runs] == ["FAILED", "FINISHED"]
    works = swept.runs[1]
    assert (works.metrics, works.arrays["weights.npz"]["w"].tolist()) == ({"loss": 1.0, "final": 2.0}, [1.0, 2.0])
    with pytest.raises(AttributeError, match=r"saved no theta; `arrays` has weights\.npz"):
        _ = works.theta
    with pytest.raises(api.ConfigError, match=r"mine\.train has no model"):
        works.predict([[1.0]])
    assert "final" in works._repr_html_()


SCRIPT = """
import nnexp

if __name__ == "__main__":
    words = ("experiment=smoke", "tracking=none")
    swept = nnexp.sweep(*words, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    again = nnexp.sweep(*words, "seed=0,1,2")
    print(swept.counts["finished"], again.counts["elsewhere"], again.counts["finished"])
"""


EDITS = """
from pathlib import Path
import nnexp

def train(run):
    return {"v": 1}

if __name__ == "__main__":
    print(nnexp.run("task=custom", "task.name=__main__.train", "tracking=none").metrics)
    with Path(__file__).open("a") as file:
        file.write("# another line\\n")
    nnexp.run("task=custom", "task.name=__main__.train", "tracking=none")
"""


@pytest.mark.slow
def test_a_script_that_was_edited_is_not_taken_for_its_new_text(tmp_path):
    (tmp_path / "script.py").write_text(EDITS)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "{'v': 1}"
    assert done.stderr.splitlines()[-1].endswith("script.py was edited since it was started: start it again")


@pytest.mark.slow
def test_a_script_given_from_another_folder_sweeps_in_parallel_twice(nnexp, tmp_path_factory):
    script = tmp_path_factory.mktemp("scripts") / "study.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=nnexp.folder, capture_output=True, text=True, timeout=HANGING
    )
    assert (done.returncode, done.stdout.split()) == (0, ["2", "2", "3"]), done.stderr
    assert len(nnexp.results()) == 3
    assert nnexp("-m", SMOKE, "seed=0,1,2", "tracking=none", "dry_run=true").out.count("skip: finished") == 3


CELLS = (
    "import nnexp",
    "result = nnexp.run('data=digits', 'optimizer=gd', 'optimizer.maxfun=1500', 'optimizer.maxiter=1500')\nresult",
    "import threading\nthread = threading.Thread(target=lambda: nnexp.sweep('experiment=smoke', 'seed=0,1'))\n"
    "thread.start(); thread.join()\nlen(nnexp.load_runs())",
)


@pytest.mark.slow
def test_a_notebook_shows_a_bar_and_then_the_result(with_store):
    from jupyter_client.manager import start_new_kernel

    environment = os.environ | {"JUPYTER_PLATFORM_DIRS": "1"}
    manager, client = start_new_kernel(cwd=with_store.folder, env=environment)
    shown = []
    try:
        for cell in CELLS:
            reply = client.execute_interactive(cell, output_hook=shown.append, timeout=HANGING)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    of = {kind: [m["content"]["data"] for m in shown if m["msg_type"] == kind]
          for kind in ("display_data", "update_display_data", "execute_result")}  # fmt: skip
    assert "<progress max=" in of["display_data"][0]["text/html"]
    assert of["update_display_data"][-1]["text/html"] == ""
    assert "data:image/png;base64," in of["execute_result"][0]["text/html"]
    assert of["execute_result"][1]["text/plain"] == "3"
    assert not [m for m in shown if m["msg_type"] == "stream" and "Warning" in m["content"]["text"]]


@pytest.mark.slow
def test_reference_runs_begin_where_runs_of_the_store_began(made, tmp_path):
    store = Store(f"sqlite:///{made.folder}/outputs/mlflow.db", "nnexp")
    runs, files = find(store, Selection("experiment")).runs, RunFiles(store)
    read = files.reader({run.run_id: run for run in runs})
    problems = gather(grouped(runs), Evidence(tidy(runs), files.histories(runs), read))
    found = of_problems(problems, read, References(tmp_path, 9))
    assert sorted(reference.params["model.l2"] for reference in found) == [0.0, 1.0]
    assert all(reference.cost < problem.start for reference, problem in zip(found, problems, strict=True))
