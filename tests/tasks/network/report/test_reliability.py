"""Calibration in a report: the best settings, their seeds together, and runs that have no such figures."""

import json

import numpy as np
import pytest

from nnexp.statistics.calibration import calibration
from nnexp.tasks.network.report import reliability
from tests.report.runs import grouped, trained_run


def calibrated_run(folder, number, *, sure, n=200, **params):
    """A run whose predictions, all made with the same probability, are right in four of five cases."""
    p = np.full((n, 3), (1 - sure) / 2)
    p[:, 0] = sure
    measured = calibration(p, np.where(np.arange(n) % 5, 0, 1))
    run = trained_run(folder, number, **params)
    (folder / run.run_id / "reports/calibration_test.json").write_text(json.dumps(measured.as_dict()))
    run.metrics.update({"brier/test": measured.brier, "ece/test": measured.ece})
    return run


def reader(folder):
    def read(run_id, name, parse):
        path = folder / run_id / name
        return parse(path.read_bytes()) if path.exists() else None

    return read


def test_seeds_are_pooled_and_settings_with_their_figures_are_in_table_and_picture(tmp_path):
    runs = [
        calibrated_run(tmp_path, 3 * i + seed, sure=sure, model__l2=float(i), seed=seed)
        for i, sure in enumerate((0.8, 0.95))
        for seed in (0, 1, 2)
    ]
    (group,) = grouped(runs)
    found = reliability.gather(group, reader(tmp_path))
    measured = [(one.label, one.n_runs, one.calibration.n) for one in found]
    assert measured == [("lambda 0", 3, 600), ("lambda 1", 3, 600)]
    assert [one.calibration.ece for one in found] == pytest.approx([0, 0.15], abs=1e-12)
    (table,) = reliability.tables(group)
    assert table.header == ["setting", "seeds", "test Brier score", "test calibration error (%)"]
    assert [row[-1].partition(" ")[0] for row in table.rows] == ["0.00", "15.00"]
    (picture,) = reliability.pictures(group, reader(tmp_path))
    assert "600 predictions of a setting, 3 runs together" in picture.caption
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert labels[1:] == ["lambda 0: Brier 0.340, ECE 0.0 %", "lambda 1: Brier 0.374, ECE 15.0 %"]


def test_runs_of_before_have_none_and_what_some_have_is_shown(tmp_path):
    old = [trained_run(tmp_path, i, model__l2=float(i)) for i in range(2)]
    (group,) = grouped(old)
    assert reliability.tables(group) == reliability.pictures(group, reader(tmp_path)) == []
    (group,) = grouped([*old, calibrated_run(tmp_path, 5, sure=0.8, model__l2=5.0)])
    (table,) = reliability.tables(group)
    assert [row[0] for row in table.rows] == ["lambda 5"]
    (picture,) = reliability.pictures(group, reader(tmp_path))
    assert "200 predictions of a setting)" in picture.caption
