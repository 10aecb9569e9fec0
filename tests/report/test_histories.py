"""What a report takes for the end of a run: the weights that it keeps, which may be of an earlier point."""

from dataclasses import replace

import numpy as np
import pytest

from nnexp.comparison.curves import winners
from nnexp.comparison.spec import Evidence
from nnexp.report.files import RunFiles, ended
from nnexp.report.table import tidy
from nnexp.tasks.network.report.methods import Benchmark
from nnexp.tasks.network.report.problems import comparable, gather, labels
from tests.report.runs import SPEC, grid, grouped

KEPT = {"cost/train": 0.25, "loss/train": 0.2, "accuracy/test": 0.95, "loss/test": 0.3}


def keeping_more_than_it_ended_with(runs, method):
    """The runs, of which those of one method keep a point that is better than their last."""
    return [
        replace(run, metrics=run.metrics | KEPT) if run.params["optimizer.method"] == method else run for run in runs
    ]


@pytest.fixture
def runs(tmp_path):
    made = grid(tmp_path, optimizer__method=["TNC", "CG"], seed=[0, 1], accuracy=lambda **_: 0.9)
    return keeping_more_than_it_ended_with(made, "TNC")


def test_curves_and_winners_end_with_the_figures_of_the_table(runs):
    histories = RunFiles(None).histories(runs)
    (group,) = grouped(runs)
    found = winners(group, histories, SPEC.metric("cost/train"))
    assert [(winner.setting, winner.value) for winner in found] == [("TNC", 0.25)] * len(SPEC.axes)
    for run in runs:
        history = histories[run.run_id]
        assert {key: history[key][-1] for key in KEPT} == pytest.approx({key: run.metrics[key] for key in KEPT})


def test_a_kept_point_counts_at_all_that_the_run_has_spent(runs):
    histories = RunFiles(None).histories(runs)
    problems = gather(grouped(runs), Evidence(tidy(runs), histories, None))
    field = comparable(problems)
    found = Benchmark(field, labels(field.methods, SPEC), [])
    tnc = found.methods.index("TNC")
    assert found.lowest == [0.25, 0.25]
    spent = found.spent("optimizer/n_fev")
    assert (found.runtimes("optimizer/n_fev", [1e-4])[:, 0, tnc] == spent[:, tnc]).all()
    assert spent.max() == 23


def test_a_history_is_left_as_it_is_where_nothing_else_was_kept():
    history = {"step": np.arange(3.0), "loss": np.array([3.0, 1.0, np.nan]), "other": np.array([np.nan] * 3)}
    assert ended(history, {"loss": 1 + 1e-12, "other": np.nan, "f1": 0.5}) is history
    longer = ended(history, {"loss": 0.5})
    assert longer["step"].tolist() == [0, 1, 2, 2]
    assert longer["loss"][-1] == 0.5
    assert np.isnan(longer["other"]).all()
