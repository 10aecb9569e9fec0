"""Whatever a full disk, a crash or a person leaves of one file: it is named, left out, and holds up nothing."""

import json
import shutil

import pytest

from nnexp.cli import main
from nnexp.rerun.source import DirectorySource
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import UID
from nnexp.sweeps.directory import write_plan
from nnexp.tracking.store import Store
from tests.tools import made_up

WRONG = {"empty": b"", "cut": b'{"uid": "x', "bytes": b"\xff\xfe\x00", "list": b"[]", "object": b'{"a": 1}'}
RECORDS = ("run.json", "result.json")


@pytest.fixture
def store(tmp_path, empty_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Store(empty_store(tmp_path / "outputs/mlflow.db"), "nnexp")


def make(root, store, name, **settings):
    return made_up.whole(root, name, store=store, **settings)


@pytest.mark.slow
def test_damaged_records_are_named_once_and_hold_up_nothing(tmp_path, store, capsys):
    root = tmp_path / "outputs"
    damaged = []
    for file in RECORDS:
        for kind, content in WRONG.items():
            directory = make(root, store, f"{file[:-5]}-{kind}")
            (directory.path / file).write_bytes(content)
            damaged.append(directory.path / file)
    typed = make(root, store, "typed")
    typed.write_json("run.json", typed.record.to_json() | {"owner": "[]", "started": "today", "tracking": None})
    damaged.append(typed.path / "run.json")
    for kind, content in WRONG.items():
        write_plan(root, made_up.plan(kind, uri=store.uri))
        (root / "sweeps" / kind / "plan.json").write_bytes(content)
        damaged.append(root / "sweeps" / kind / "plan.json")
    entry = root / "unpublished"
    (entry / "of nobody.12345678").write_bytes(b"")
    (entry / "a folder").mkdir()
    good, found_again = make(root, store, "good"), make(root, store, "with a damaged entry")
    next(entry.glob("with a damaged entry.*")).write_bytes(b"\0")

    assert main(["sync", "--json"]) == 4
    told = capsys.readouterr()
    assert json.loads(told.out) == {"published": 2, "kept_back": len(RECORDS) * len(WRONG) + 1}
    for path in damaged:
        assert told.err.count(f"{path} is damaged") == 1, path
    assert "of nobody.12345678 is damaged" in told.err
    assert len(told.err.splitlines()) == len(damaged) + 2
    assert {run.tags[UID] for run in store.search()} == {good.uid, found_again.uid}

    assert main(["sweeps"]) == 0
    assert main(["report", "--experiment", "nnexp"]) == 0
    for path in damaged:
        assert main(["rerun", str(path.parent)]) == 2
        told = capsys.readouterr().err
        assert "Traceback" not in told


@pytest.mark.slow
def test_damaged_histories_and_weights_are_left_out_of_what_is_published_and_reported(tmp_path, store, capsys):
    root = tmp_path / "outputs"
    contents = {
        **WRONG,
        "text in it": b"step,key,value,time\n0,cost/train,0.5,1\n1,cost/train,x,1\n2,1\n3,cost/train,0.125,1\n",
    }
    histories, weights = [], []
    for kind, content in contents.items():
        histories.append(make(root, store, f"history-{kind}"))
        (histories[-1].path / "history.csv").write_bytes(content)
        weights.append(make(root, store, f"weights-{kind}"))
        (weights[-1].path / "weights.npz").write_bytes(content)
    assert main(["sync", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"published": 12, "kept_back": 0}
    for directory in weights:
        assert told.err.count(f"{directory.path}/weights.npz is damaged") == 1
    for directory in histories:
        is_empty = not (directory.path / "history.csv").read_bytes().count(b"\n")  # as one killed at its first line
        assert told.err.count(f"{directory.path}/history.csv is damaged") == (0 if is_empty else 1)
    kept = store.client.get_metric_history(store.find_uid(histories[-1].uid).run_id, "cost/train")
    assert [metric.step for metric in kept] == [0, 3]

    assert main(["report", "--experiment", "nnexp"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_a_damaged_description_of_the_environment_is_left_out_of_a_rerun(tmp_path, store, capsys):
    directory = make(tmp_path / "outputs", store, "run")
    directory.write_text("environment/environment.json", "[")
    assert DirectorySource(directory).environment == {}
    assert "environment.json is damaged" in capsys.readouterr().err


def test_a_directory_deleted_before_it_is_published_is_not_made_again(tmp_path, store, capsys):
    root = tmp_path / "outputs"
    gone, good = make(root, store, "gone"), make(root, store, "good")
    shutil.rmtree(gone.path)
    assert main(["sync", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"published": 1, "kept_back": 0}
    assert main(["sync", str(gone.path)]) == 2
    for write in (lambda: gone.write_text("x", ""), lambda: gone.write_json("result.json", {}), lambda: gone.file("x")):
        with pytest.raises(FileNotFoundError, match="is not there"):
            write()
    assert not gone.path.exists()
    assert backlog.entries(root) == []
    assert RunDirectory(good.path).result.is_finished
