import math
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory, run_name, write_atomically
from nnexp.runs.history import HISTORY, TABLE, HistoryReader, HistoryWriter
from nnexp.runs.records import RunStatus
from tests.tools import made_up


def test_history_reads_back_to_the_same_bits(tmp_path):
    directory = made_up.begin(tmp_path, "run")
    costs = [np.float64(0.1) * 3**i for i in range(5)]
    writer = HistoryWriter(directory.path)
    for i, cost in enumerate(costs):
        writer.log({"cost/train": cost} | ({} if i else {"loss/test": 1e-310}), i)
    writer.close()
    running = directory.history()
    made_up.end(directory, 4)
    kept = {path.relative_to(directory.path).as_posix() for path in directory.artifacts()}
    assert TABLE in kept
    assert HISTORY not in kept
    for read in (running, directory.history()):
        assert [row["cost/train"] for row in read] == costs
        assert read[0]["loss/test"] == 1e-310
        assert "loss/test" not in read[1]


def test_a_metric_may_come_at_any_time_and_nothing_replaces_what_was_logged(tmp_path):
    directory = made_up.begin(tmp_path, "run")
    writer = HistoryWriter(directory.path)
    writer.log({"a": 1.0}, 0)
    writer.log({"late": 7.0, "a": 2.0}, 5)
    writer.log({"a": 3.0}, 5)
    writer.log({"b": 4.0}, 2)
    writer.close()
    values = [(v.step, v.key, v.value) for v in HistoryReader(directory.path).new_values()[0]]
    assert values == [(0, "a", 1.0), (5, "late", 7.0), (5, "a", 2.0), (5, "a", 3.0), (2, "b", 4.0)]
    directory.write_history_table()
    made_up.end(directory, 5)
    rows = [{k: v for k, v in row.items() if k not in ("time", "seconds")} for row in directory.history()]
    assert rows == [{"step": 0, "a": 1}, {"step": 5, "late": 7, "a": 2}, {"step": 5, "a": 3}, {"step": 2, "b": 4}]


@pytest.mark.parametrize(
    ("metrics", "step"), [({"a,b": 1.0}, 0), ({"": 1.0}, 0), ({"a": "1"}, 0), ({"a": 1.0}, 0.5), ({"time": 1.0}, 0)]
)
def test_what_is_no_metric_is_refused(tmp_path, metrics, step):
    directory = made_up.begin(tmp_path, "run")
    writer = HistoryWriter(directory.path)
    with pytest.raises(ValueError, match="must be"):
        writer.log(metrics, step)
    writer.close()
    assert directory.history() == []


def test_a_row_cut_off_by_a_crash_is_left_out(tmp_path):
    directory = made_up.begin(tmp_path, "run")
    directory.file(TABLE).write_text("step,time,cost/train\n0,1,2.5\n1,1,2.25\n2,1,2.1")  # of an earlier version
    assert [row["step"] for row in directory.history()] == [0, 1]
    directory.file(TABLE).write_text("step,time,cost/train\n0,1,2.5\n1\n")
    assert [row["step"] for row in directory.history()] == [0]
    directory.file(HISTORY).write_text("step,key,value,time\n0,cost/train,2.5,1\n1,cost/train,2.25,1\n2,cost/tr")
    assert [row["step"] for row in directory.history()] == [0, 1]


def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path):
    first = made_up.begin(tmp_path, "run")
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunDirectory.create(first.path, replace(first.record, uid="second"))
    assert RunDirectory(first.path).uid == "run-uid"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "result.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        write_atomically(tmp_path / "result.json", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_damaged_file_is_named(tmp_path):
    directory = made_up.begin(tmp_path, "run")
    (directory.path / "run.json").write_text('{"uid": ')
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        _ = directory.record


def test_names_of_one_second_differ():
    assert len({run_name() for _ in range(200)}) == 200


def test_the_backlog_lists_what_is_not_published_and_forgets_what_is_gone(tmp_path):
    book = backlog.folder(tmp_path)
    directories = [made_up.begin(tmp_path, name) for name in "abc"]
    backlog.leave(tmp_path, directories[1])
    (directories[2].path / "run.json").unlink()
    assert [d.uid for d in backlog.entries(tmp_path)] == ["a-uid"]
    assert [path.read_text() for path in book.iterdir()] == ["runs/a"]  # the output directory may be moved


def test_threads_that_add_to_a_result_at_once_undo_nothing_of_each_other(tmp_path):
    directory = made_up.whole(tmp_path, "run")
    names = [f"key{i}" for i in range(30)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: directory.amend_result(final_metrics={name: 1}, tags={name: "x"}), names))
    assert set(directory.result.tags) >= set(names)
    assert set(directory.result.final_metrics) >= set(names)


def test_values_of_a_task_are_kept_as_json_whatever_they_are(tmp_path):
    directory = made_up.whole(tmp_path, "run")
    values = {
        "counts": Counter("aab"),
        "lists": defaultdict(list, a=[1]),
        "fixed": MappingProxyType({"x": 1}),
        "m": math,
    }
    directory.write_result(replace(directory.result, values=values))
    kept = directory.result.values
    assert (kept["counts"], kept["lists"], kept["fixed"]) == ({"a": 2, "b": 1}, {"a": [1]}, {"x": 1})
    assert isinstance(kept["m"], str)
    directory.write_result(replace(directory.result, values={"status": "RUNNING", "not_described": "x", "values": 1}))
    result = directory.result
    assert (result.status, result.not_described, result.values) == (RunStatus.FINISHED, None, {"values": 1})
    assert directory.amend_result(described=True).values == directory.result.values == {"values": 1}
