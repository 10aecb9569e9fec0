import types

import numpy as np
import pytest

from nnexp import datasets
from nnexp.tasks.network import description


@pytest.fixture
def run_on_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(description, "_last_data", {})
    monkeypatch.setattr(description, "_last_split", {})
    path = tmp_path / "data.csv"
    rows = [f"{i},{i * i},{i % 2}" for i in range(20)]
    path.write_text("\n".join(["a,b,label", *rows]) + "\n")
    data = {"name": "csv", "path": str(path), "target": "label"}
    digest = datasets.load(**data).digest
    record = types.SimpleNamespace(identity={"data_digest": digest}, seed=0)
    return record, {"data": data, "split": {"test_size": 0.2, "seed": 0}}, path


def test_the_next_run_on_the_same_data_needs_not_read_them(run_on_a_file):
    record, details, path = run_on_a_file
    first = description.load_split(record, details)
    path.unlink()
    assert description.load_split(record, details) is first
    other = description.load_split(record, {**details, "split": {"test_size": 0.4, "seed": 0}})
    assert len(other.test.X) == 2 * len(first.test.X)
    with pytest.raises(ValueError, match=r"data\.csv"):  # other data are read anew
        description.load_split(record, {**details, "data": {**details["data"], "target": "b"}})


def test_only_the_last_data_are_kept_and_no_large_ones(run_on_a_file, monkeypatch):
    record, details, _ = run_on_a_file
    other = {**details, "split": {"test_size": 0.4, "seed": 0}}
    for each in (details, other, details, other):
        description.load_split(record, each)
    assert len(description._last_split) == len(description._last_data) == 1
    monkeypatch.setattr(description, "KEPT_BYTES", 8)
    large = description.load_split(record, details)
    assert not description._last_split
    assert not description._last_data
    np.testing.assert_array_equal(description.load_split(record, details).train.X, large.train.X)


def test_data_that_have_changed_are_refused(run_on_a_file):
    record, details, path = run_on_a_file
    path.write_text(path.read_text().replace("\n3,", "\n4,"))
    with pytest.raises(ValueError, match="has changed: its digest is"):
        description.load_split(record, details)
