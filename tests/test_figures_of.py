"""`figures.of`: of which runs figures are drawn, at once or later."""

import pytest

from nnexp.compose import compose, plain, read_config
from nnexp.config import check, check_tracking
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.sweeps.session import MOST_DRAWN, Controls, Session
from tests.tools.stored import assert_store_has_all_of

FIGURES = {"confusion_matrix.png", "cost_curves.png", "hidden_layer.png"}


def pictures(directory):
    return {path.name for path in directory.path.rglob("*.png")} & FIGURES


@pytest.mark.parametrize(
    ("of", "n_jobs", "is_best"),
    [
        (None, MOST_DRAWN, False),
        (None, MOST_DRAWN + 1, True),
        ("all", 1000, False),
        ("none", 1000, False),
        ("best", 1, True),
    ],
)
def test_of_many_jobs_only_the_best_are_drawn_unless_the_config_says_otherwise(of, n_jobs, is_best):
    tracking = check_tracking(plain(compose(["tracking=none"])))
    controls = Controls(True, False, False, tracking, "nnexp", 1, figures_of=of)
    session = Session("sweep", "a sweep", ["seed"], controls, None, lambda overrides: None)
    session.to_come = n_jobs
    assert session.draws_best is is_best


def test_which_figures_are_drawn_decides_nothing():
    one, other = (read_config(compose([f"figures.of={of}"])) for of in ("null", "none"))
    assert one.deciding() == other.deciding()
    older = plain(compose([]))
    del older["figures"]["of"]
    assert check(older).figures_of is None


@pytest.mark.slow
def test_a_sweep_draws_the_runs_of_its_best_setting_and_sync_those_of_others(with_store, tmp_path):
    done = with_store("-m", "experiment=smoke", "data=digits", "seed=0,1", "model.l2=0,1000", "figures.of=best")
    assert done.status == 0, done.err
    runs = {(d.record.params["model.l2"], d.record.seed): d for d in map(RunDirectory, with_store.directories())}
    assert {key for key, directory in runs.items() if pictures(directory)} == {(0.0, 0), (0.0, 1)}
    other = runs[1000.0, 0]
    assert (other.path / "classification_report.txt").exists()
    assert "mlflow.loggedImages" not in other.result.tags
    done = with_store("sync", "--figures", str(other.path), "--json")
    assert done.json == {"published": 1, "kept_back": 0}
    assert pictures(other) == FIGURES
    for directory in runs.values():
        assert_store_has_all_of(directory, with_store.store(), tmp_path / "compared" / directory.path.name)
    assert not backlog.entries(with_store.folder / "outputs")
