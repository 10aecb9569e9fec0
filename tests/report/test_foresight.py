"""What a dry run says that the planned runs can show."""

import numpy as np
import pytest

from nnexp.report.foresight import foresee
from nnexp.statistics.power import detectable, power
from nnexp.tasks.network.task import Network
from nnexp.tracking.store import Store
from tests.report.runs import BASE


def planned(n_settings, n_seeds, **params):
    extra = {name.replace("__", "."): value for name, value in params.items()}
    base = BASE | {"data.test_size": 0.2, "data.validation_size": 0}
    return [base | extra | {"model.l2": l2, "seed": seed} for l2 in range(n_settings) for seed in range(n_seeds)]


def said(*plan, **params):
    return foresee(Network(), planned(*plan, **params), None)


def test_without_earlier_runs_it_is_told_in_standard_deviations():
    (text,) = said(2, 5)
    assert text == (
        "With 5 seeds, a difference of 2.5 standard deviations would be shown with a chance of 80 % "
        "(corrected resampled t-test, 1 comparison); "
        "no earlier runs of this config tell how much differences vary from one seed to the next."
    )
    assert power(2.5, 1.0, 5, 0.25) == pytest.approx(0.8, abs=0.02)


def test_seeds_on_one_split_that_are_too_few_for_any_p():
    assert said(3, 5, data__split_seed=1) == [
        "5 seeds can show no difference between settings (sign-flip test, 3 comparisons); 7 are needed."
    ]
    assert said(3, 7, data__split_seed=1)[0].startswith("With 7 seeds, a difference of 1.")


def test_where_no_setting_is_repeated_or_there_is_but_one_nothing_is_said():
    assert said(3, 1) == said(1, 5) == []


def test_folds_count_by_their_overlap():
    folds = [run | {"data.folds": 5, "data.fold": fold} for run in planned(2, 1) for fold in range(5)]
    assert foresee(Network(), folds, None) == [text.replace("seed", "fold") for text in said(2, 5)]


def test_earlier_runs_of_the_config_tell_how_much_differences_vary(tmp_path, empty_store):
    from mlflow.entities import Metric, Param

    store = Store(empty_store(tmp_path / "mlflow.db"), "nnexp")
    accuracies = {0: (0.90, 0.92, 0.91, 0.95), 1: (0.91, 0.90, 0.93, 0.92)}
    for params in planned(2, 4):
        tags = {"nnexp.run_key": f"{params['model.l2']}-{params['seed']}", "nnexp.data_digest": "d"}
        run_id = store.create("run", params["seed"], tags)
        accuracy = accuracies[params["model.l2"]][params["seed"]]
        store.client.log_batch(
            run_id,
            metrics=[Metric("accuracy/test", accuracy, 0, 0), Metric("loss/test", 0.3, 0, 0)],
            params=[Param(key, str(value)) for key, value in params.items()],
        )
        store.terminate(run_id, "FINISHED", params["seed"] + 1)
    (text,) = foresee(Network(), planned(2, 6), store)
    sd = np.std(np.subtract(*accuracies.values()), ddof=1)
    expected = 100 * detectable(sd, 6, 0.25)
    assert text == (
        f"With 6 seeds, a difference of {expected:.2f} points in test accuracy would be shown with a chance of 80 % "
        "(corrected resampled t-test, 1 comparison), judging by 8 earlier runs of this config."
    )
    (text,) = foresee(Network(), planned(2, 6, model__hidden_size=7), store)
    assert "no earlier runs of this config" in text
