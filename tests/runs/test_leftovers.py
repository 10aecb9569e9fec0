"""What killed processes left lying about is gone after the next start; what belongs to the living stays."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from nnexp.recovery import remove_leftovers
from nnexp.runs import backlog, lease, questions, temporary
from nnexp.runs.directory import RunDirectory
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from nnexp.tracking.uploads import HALF_UPLOADS
from tests.tools import made_up

# A process that is killed while it writes a file, a run's weights, and in MLflow's temporary folder.
KILLED = """
import os, signal, sys, tempfile
from pathlib import Path
from nnexp.runs import lease
from nnexp.runs import temporary
temporary.use_own_folder()
Path(tempfile.mkdtemp(), "model").write_text("half")
for path in map(Path, sys.argv[1:]):
    writing = temporary.replacing(path)
    writing.__enter__().write_text("half")
print(lease.owner(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """Kill a process that writes the given files; return its owner record."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))

    def kill(*paths):
        words = [sys.executable, "-c", KILLED, *map(str, paths)]
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()

    return kill


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def run_of(root, name, owner, **settings):
    """A run that has begun, of a process that is gone."""
    directory = made_up.begin(root, name, **settings)
    directory.write_json("run.json", directory.record.to_json() | {"owner": owner})
    return directory


def test_a_half_written_file_is_told_by_the_process_that_wrote_it(tmp_path, killed):
    killed(tmp_path / "a.txt")
    [name] = hidden(tmp_path)
    with temporary.replacing(tmp_path / "b.txt") as mine:
        mine.write_text("whole")
        elsewhere = tmp_path / name.replace(name.split(".")[3][:8], "0" * 8)
        elsewhere.write_text("of another machine")
        temporary.remove_abandoned(tmp_path)
        assert set(hidden(tmp_path)) == {mine.name, elsewhere.name}
    assert (tmp_path / "b.txt").read_text() == "whole"


def test_the_temporary_folder_of_a_killed_process_goes_with_the_next_start(tmp_path, killed):
    killed()
    assert list((tmp_path / "temporary").rglob("model"))
    words = [sys.executable, "-m", "nnexp", "sync", "--directory", str(tmp_path)]
    assert subprocess.run(words, cwd=tmp_path, capture_output=True).returncode == 0
    assert not list((tmp_path / "temporary").iterdir())


def test_directories_of_runs_that_never_began_are_removed_and_those_of_the_living_are_not(tmp_path, killed):
    runs = tmp_path / "runs"
    (runs / "empty").mkdir(parents=True)
    owner = killed(runs / "no-record/run.json", runs / "only-a-record/config/config.yaml")
    for name, holder in (("only-a-record", owner), ("alive", lease.owner())):
        backlog.leave(tmp_path, run_of(tmp_path, name, holder))
    remove_leftovers(tmp_path)
    assert [path.name for path in runs.iterdir()] == ["alive"]


def test_empty_folders_of_joblib_go_with_their_process(tmp_path, killed, monkeypatch):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    gone = json.loads(killed())["pid"]
    names = [f"joblib_memmapping_folder_{pid}_a_b" for pid in (gone, f"{gone}_full", os.getpid())]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / names[1] / "array").write_text("of a process of another name")
    remove_leftovers(tmp_path / "outputs")
    assert [path.name for path in sorted(tmp_path.glob("joblib*"))] == sorted(names[1:])


def test_a_run_that_is_in_no_backlog_is_closed_with_what_it_has(tmp_path, killed):
    directory = run_of(tmp_path, "run", killed())
    made_up.train(directory, range(3)).close()
    backlog.leave(tmp_path, directory)
    remove_leftovers(tmp_path)
    assert (directory.result.status, directory.result.values["n_iter"]) == ("KILLED", 2)


def test_a_run_that_is_published_keeps_nothing_half_written_or_half_copied(tmp_path, empty_store, killed):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    directory = made_up.whole(tmp_path, "run", store=store)
    killed(directory.path / "reports/table.csv", directory.path / "weights.npz", directory.path / "run.json")
    questions.ask(directory, *questions.Question)
    (directory.path / "images/empty").mkdir(parents=True)
    run_id = Publication(directory, store).ensure_run(directory.record)
    half = tmp_path / "artifacts" / run_id / "artifacts/figures" / HALF_UPLOADS.replace("*", "abc")
    half.parent.mkdir(parents=True)
    half.write_text("half")
    directory.amend_result(described=True)
    assert Publication(RunDirectory(directory.path), store).advance()
    assert hidden(directory.path) == [".publishing.lock"]
    assert not half.exists()
    assert not (directory.path / "images").exists()
    assert os.listdir(backlog.folder(tmp_path)) == []
    backlog.enter(tmp_path, directory)  # as if its publisher was killed before it could leave
    assert Publication(RunDirectory(directory.path), store).advance()
    assert os.listdir(backlog.folder(tmp_path)) == []


@pytest.mark.slow
def test_folders_that_another_sweep_removes_meanwhile_are_passed_over(tmp_path):
    sweep, is_over = tmp_path / "sweeps" / "abc", threading.Event()
    sweep.mkdir(parents=True)

    def share_and_clear():
        while not is_over.is_set():
            for i in range(20):
                (sweep / "shared" / str(i)).mkdir(parents=True)
            shutil.rmtree(sweep / "shared")

    other = threading.Thread(target=share_and_clear)
    other.start()
    try:
        for _ in range(2000):
            remove_leftovers(tmp_path)
    finally:
        is_over.set()
        other.join()


def test_a_damaged_plan_of_a_sweep_holds_up_no_other(tmp_path):
    (tmp_path / "sweeps" / "abc" / "shared").mkdir(parents=True)
    (tmp_path / "sweeps" / "abc" / "plan.json").write_text("[]")
    remove_leftovers(tmp_path)
    assert (tmp_path / "sweeps" / "abc" / "shared").is_dir()
