"""Saved views and the addresses that open them."""

import json
import re
import time

import pytest

from nnexp.runs.tags import PARENT as PARENT_TAG
from nnexp.tasks.network.task import Network
from nnexp.tasks.presentation import Presentation
from nnexp.tracking import views
from nnexp.tracking.store import Store
from tests.tools import made_up

PARENT = "p" * 32
SHOWN = Network().presentation


@pytest.fixture(scope="module")
def shared(tmp_path_factory, empty_store):
    return Store(empty_store(tmp_path_factory.mktemp("views") / "mlflow.db"), "views")


@pytest.fixture
def store(shared, request):
    """An experiment of its own in a store that is made once."""
    return Store(shared.uri, request.node.name[:200]) if shared.experiment_id else shared


def make_plan(swept_keys=("model.l2",), sweep="0123456789abcdef"):
    return made_up.plan(sweep, swept_keys=swept_keys, made=time.time())


def children(parent_id):
    return f"tags.`mlflow.parentRunId` = '{parent_id}'"


def kept(store):
    """The state of each saved view, by its key."""
    tags = store.client.get_experiment(store.experiment_id).tags
    return {
        key.removeprefix(views.TAG): json.loads(json.loads(value)["state"])
        for key, value in tags.items()
        if key.startswith(views.TAG)
    }


def test_a_sweeps_view_shows_its_runs_best_first_with_what_was_swept_before_the_metrics(store):
    views.keep_sweep(store, make_plan(), PARENT, SHOWN, ranked_by="accuracy/test")
    (key, state), *others = kept(store).items()
    assert (key, others) == ("nnexp-0123456789abcdef", [])
    assert state["searchFilter"] == children(PARENT)
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`accuracy/test`", False)
    assert state["selectedColumns"][0] == "params.`model.l2`"
    assert state["columnOrder"] == ["attributes.`Run Name`", *state["selectedColumns"]]
    assert state["runsHiddenMode"] == "SHOW_ALL"


def test_every_metric_has_a_column_wide_enough_for_its_name_validation_too(store):
    views.keep_sweep(store, make_plan(), PARENT, SHOWN, ranked_by="accuracy/test")
    [state] = kept(store).values()
    metrics = [column for column in state["selectedColumns"] if column.startswith("metrics.")]
    assert state["columnWidths"]["attributes.`Run Name`"] > 190  # the UI's own, which cuts most names
    assert {"metrics.`loss/validation`", "metrics.`accuracy/validation`"} <= set(metrics)
    assert all(state["columnWidths"][column] >= 7 * len(column.split("`")[1]) + 48 for column in metrics)


@pytest.mark.parametrize("n", [1, 6, 12, 13, 60])
def test_no_two_runs_of_a_sweep_have_one_colour(n):
    colors = views.colors(n)
    assert len(set(colors)) == n
    assert all(re.fullmatch("#[0-9A-F]{6}", color) for color in colors)


def test_a_cost_is_ranked_from_the_lowest(store):
    views.keep_sweep(store, make_plan(), PARENT, SHOWN, ranked_by="cost/train")
    assert kept(store)["nnexp-0123456789abcdef"]["orderByAsc"] is True


def test_runs_that_nothing_ranks_are_shown_by_name_with_the_metrics_of_all_their_tasks(store):
    for name, metric in (("a", "norm"), ("b", "loss/train")):
        run_id = store.create(name, time.time(), {PARENT_TAG: PARENT})
        store.client.log_metric(run_id, metric, 1.0)
    views.keep_sweep(store, make_plan(), PARENT, Presentation({}))
    [state] = kept(store).values()
    # by time, which is the UI's own order, it folds children into their parent: no columns and no charts
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`mlflow.runName`", True)
    assert {"metrics.`norm`", "metrics.`loss/train`"} <= set(state["selectedColumns"])


def test_runs_of_other_sweeps_that_stand_for_jobs_are_named(store):
    views.keep_sweep(store, make_plan(), PARENT, SHOWN, run_ids=["a", "b"])
    assert kept(store)["nnexp-0123456789abcdef"]["searchFilter"] == "attributes.run_id IN ('a', 'b')"


def test_the_named_runs_are_found_by_the_filter(store):
    run_ids = [store.create(name, time.time(), {}) for name in "abc"]
    views.keep_sweep(store, make_plan(), PARENT, SHOWN, run_ids=run_ids[:2])
    found = store.search(kept(store)["nnexp-0123456789abcdef"]["searchFilter"])
    assert {run.run_id for run in found} == set(run_ids[:2])


def test_where_a_view_cannot_name_all_runs_it_shows_the_parents_children(store):
    few, many = ([f"{i:032x}" for i in range(n)] for n in (300, 500))
    plan = make_plan(["model.l2", "seed"])
    for run_ids in (few, many):
        views.keep_sweep(store, plan, PARENT, SHOWN, run_ids=run_ids)
        shown = {state["searchFilter"] for state in kept(store).values()}
        assert len(shown) == 1
        assert (shown == {children(PARENT)}) == (run_ids is many)
    assert few[-1] not in str(kept(store))


def test_a_sweep_over_seeds_and_something_else_has_a_view_of_the_means(store):
    views.keep_sweep(store, make_plan(("model.l2", "seed")), PARENT, SHOWN)
    means = kept(store)["nnexp-0123456789abcdef-seeds"]["groupBy"]
    assert means == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "param", "groupByData": "model.l2"}],
    }


@pytest.mark.parametrize("swept", [["seed"], ["model.l2", "model.hidden_size"]])
def test_there_are_no_means_without_both_seeds_and_something_else(store, swept):
    views.keep_sweep(store, make_plan(swept), PARENT, SHOWN)
    assert list(kept(store)) == ["nnexp-0123456789abcdef"]


def test_the_oldest_views_of_sweeps_make_room_and_those_of_people_stay(store):
    own = views.View("abc", "my own", SHOWN).as_tag(0)
    store.client.set_experiment_tag(store.experiment_id, views.TAG + "abc", own)
    views.keep_default(store, SHOWN)
    for i in range(views.KEPT + 2):
        views.keep_sweep(store, make_plan(sweep=f"{i:016x}"), PARENT, SHOWN)
        time.sleep(0.002)
    names = set(kept(store))
    assert {"abc", "nnexp"} <= names
    assert names - {"abc", "nnexp"} == {f"nnexp-{i:016x}" for i in range(2, views.KEPT + 2)}


def test_the_default_view_is_written_once(store):
    views.keep_default(store, SHOWN)
    changed = views.View("nnexp", "as somebody likes it", SHOWN).as_tag(0)
    store.client.set_experiment_tag(store.experiment_id, views.TAG + "nnexp", changed)
    views.keep_default(store, SHOWN)
    assert store.client.get_experiment(store.experiment_id).tags[views.TAG + "nnexp"] == changed


def test_an_address_opens_the_view_where_there_is_one_and_else_a_filter(store, monkeypatch):
    def refuse(*_):
        raise RuntimeError("not here")

    plan = make_plan()
    with monkeypatch.context() as without:
        without.setattr(store.client, "set_experiment_tag", refuse)
        views.keep_default(store, SHOWN)
        views.keep_sweep(store, plan, PARENT, SHOWN)
    assert kept(store) == {}
    plain = f"http://127.0.0.1:5000/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
    found = f"{plain}&searchFilter=tags.%60mlflow.parentRunId%60%20%3D%20%27{PARENT}%27"
    assert views.address(store, plan.sweep, PARENT) == found
    assert views.address(store) == plain

    views.keep_default(store, SHOWN)
    views.keep_sweep(store, plan, PARENT, SHOWN)
    assert views.address(store) == f"{plain}&viewStateShareKey=nnexp"
    shown = views.address(store, plan.sweep, PARENT, mode="CHART", base="http://server/")
    assert shown == (
        plain.replace("http://127.0.0.1:5000", "http://server")
        + "&viewStateShareKey=nnexp-0123456789abcdef&compareRunsMode=CHART"
    )


@pytest.mark.parametrize(
    ("swept", "configs", "varied"),
    [
        (["model.l2"], [], ["model.l2"]),
        (["seed", "model.l2"], [{"model.l2": 0, "seed": 0}, {"model.l2": 1, "seed": 1}], ["seed", "model.l2"]),
        (["model.l2", "seed"], [{"model.l2": 0, "seed": 0}, {"model.l2": 1, "seed": 0}], ["model.l2"]),
        (
            ["optimizer", "seed"],
            [
                {"optimizer.maxiter": 3, "optimizer.method": "TNC", "seed": 0},
                {"optimizer.maxiter": 4, "optimizer.method": "CG", "seed": 1, "optimizer.options.lr": 1},
                {"optimizer.maxiter": 4, "optimizer.method": "CG", "seed": 1, "optimizer.options.lr": 2},
            ],
            ["optimizer.method", "optimizer.maxiter", "optimizer.options.lr", "seed"],
        ),
        (
            ["experiment"],
            [{"model.hidden_size": [5], "model.l2": 1}, {"model.hidden_size": [6], "model.l2": 1}],
            ["model.hidden_size"],
        ),
    ],
)
def test_the_columns_are_the_params_that_differ_those_swept_first(swept, configs, varied):
    assert views.varied_params(swept, configs, SHOWN.params) == varied
