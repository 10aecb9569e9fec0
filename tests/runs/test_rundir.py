from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnexp.runs import backlog
from nnexp.runs.directory import HISTORY, HistoryWriter, RunDirectory, run_name, write_atomically
from tests.tools import made_up


def test_history_reads_back_to_the_same_bits(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {"uid": "a"})
    rows = [
        {"step": i, "time": 1.0, "cost/train": np.float64(0.1) * 3**i, "loss/test": float("nan") if i else 1e-310}
        for i in range(5)
    ]
    writer = HistoryWriter(directory, rows[0])
    for row in rows:
        writer.append(row)
    writer.close()
    read = directory.history()
    assert [row["cost/train"] for row in read] == [row["cost/train"] for row in rows]
    assert read[0]["loss/test"] == 1e-310
    assert "loss/test" not in read[1]


def test_a_row_cut_off_by_a_crash_is_left_out(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {"uid": "a"})
    directory.file(HISTORY).write_text("step,time,cost/train\n0,1,2.5\n1,1,2.25\n2,1,2.1")
    assert [row["step"] for row in directory.history()] == [0, 1]
    directory.file(HISTORY).write_text("step,time,cost/train\n0,1,2.5\n1\n")
    assert [row["step"] for row in directory.history()] == [0]


def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path):
    RunDirectory.create(tmp_path / "run", {"uid": "first"})
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunDirectory.create(tmp_path / "run", {"uid": "second"})
    assert RunDirectory(tmp_path / "run").uid == "first"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "result.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        write_atomically(tmp_path / "result.json", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_damaged_file_is_named(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {"uid": "a"})
    (directory.path / "run.json").write_text('{"uid": ')
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        _ = directory.record


def test_names_of_one_second_differ():
    assert len({run_name() for _ in range(200)}) == 200


def test_the_ledger_lists_what_is_not_published_and_forgets_what_is_gone(tmp_path):
    book = backlog.folder(tmp_path)
    directories = [made_up.begin(tmp_path, name) for name in "abc"]
    backlog.leave(book, directories[1])
    (directories[2].path / "run.json").unlink()
    assert [d.uid for d in backlog.entries(tmp_path)] == ["a-uid"]
    assert [path.read_text() for path in book.iterdir()] == ["runs/a"]  # the output directory may be moved


def test_threads_that_add_to_a_result_at_once_undo_nothing_of_each_other(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_json("result.json", {"status": "FINISHED", "tags": {}})
    names = [f"key{i}" for i in range(30)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: directory.add_to_result(**{name: 1, "tags": {name: "x"}}), names))
    result = directory.result
    assert set(result) == {"status", "tags", *names}
    assert set(result["tags"]) == set(names)
