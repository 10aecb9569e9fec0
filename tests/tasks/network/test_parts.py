"""What is held out, from the config to the record, the rerun and the report."""

import numpy as np
import pandas as pd
import pytest

import nnexp as api
from nnexp import datasets
from nnexp.compose import compose, plain, read_config
from nnexp.config import ConfigError, check
from nnexp.datasets import tablefile
from nnexp.report.table import tidy
from nnexp.tasks.network.data import load, split_of
from nnexp.tasks.network.description import load_split
from tests.report.runs import grouped, stored_run, trained_run

SMALL = ("experiment=smoke", "optimizer.maxfun=5", "tracking=none")


def config_of(*overrides):
    return read_config(compose(overrides)).of_task


def digests(config):
    split = split_of(config, load(config))
    return [part and part.digest for part in (split.train, split.validation, split.test)]


# ---- the config


def test_a_config_that_was_recorded_before_is_read_as_it_was():
    tree = plain(compose([]))
    old = {**tree, "data": {key: tree["data"][key] for key in ("name", "test_size", "validation_size", "cache")}}
    assert check(old).of_task == check(tree).of_task
    added = {"split": "stratified", "split_seed": None, "folds": None, "fold": 0, "groups": None}
    logged = check(old).deciding()
    assert {f"data.{key}": value for key, value in added.items()}.items() <= logged.items()


def test_the_share_that_is_recorded_is_that_of_a_fold():
    assert config_of("data.folds=10").deciding()["data.test_size"] == 0.1
    assert config_of("data.folds=4", "data.test_size=0.25") == config_of("data.folds=4")
    for wrong in (0, 0.3):
        with pytest.raises(
            ConfigError, match=rf"`data.test_size` must be left as it is .*`data.folds` = 5.*got {wrong}"
        ):
            config_of("data.folds=5", f"data.test_size={wrong}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.fold=1"], "`data.fold` must be 0 where `data.folds` is null"),
        (["data.folds=5", "data.fold=5"], "`data.fold` must be an integer from 0 to 4, got 5"),
        (["data.split=group"], "`data.split` must be one of stratified, ordered, grouped, got 'group'"),
        (["data.split=grouped"], "`data.split` = grouped needs `data.groups`"),
        (["data.groups=writer"], "`data.groups` must be an integer or null for data=ex4, got 'writer'"),
        (["data.split_seed=-1"], "`data.split_seed` must be an integer >= 0, got -1"),
        (["data.folds=[2]"], "`data.folds` must be an integer >= 2"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(overrides, message):
    with pytest.raises(ConfigError) as error:
        config_of(*overrides)
    assert message in str(error.value)


def test_the_split_follows_the_seed_unless_it_has_its_own():
    digits = ("data=digits", "data.validation_size=0.1")
    first = digests(config_of(*digits, "seed=1"))
    assert digests(config_of(*digits, "seed=0", "data.split_seed=1")) == first
    assert digests(config_of(*digits, "seed=2", "data.split_seed=1")) == first
    assert digests(config_of(*digits, "seed=2"))[2] != first[2]


# ---- planning


def table_of(tmp_path, labels, groups):
    table = pd.DataFrame({"a": range(len(labels)), "who": list(groups), "label": list(labels)})
    table.to_csv(path := tmp_path / "own.csv", index=False)
    tree = plain(compose(["data=csv", f"data.path={path}", "data.target=label", "data.groups=who"]))

    def config(seed=0, **keys):
        return check({**tree, "seed": seed, "data": {**tree["data"], **keys, "cache": None}})

    return config


def test_a_sweep_over_folds_and_seeds_is_planned_with_the_data_read_once(monkeypatch, tmp_path):
    config, cache, reads, read = table_of(tmp_path, "pq" * 20, np.arange(40) // 4), {}, [], tablefile.read
    monkeypatch.setattr(tablefile, "read", lambda *given: reads.append(given) or read(*given))
    for split, expected in (("stratified", 1), ("ordered", 1), ("grouped", 2)):  # whose groups must be seen
        keys = {
            config(seed, split=split, folds=folds, fold=fold).identity(cache).run_key
            for seed in range(3)
            for folds, fold in ((None, 0), *((5, fold) for fold in range(5)))
        }
        assert (len(keys), len(reads)) == (18, expected)


def test_a_draw_that_cannot_be_trained_on_is_refused_by_planning(tmp_path):
    config, cache, refused = table_of(tmp_path, "ppqqqqqq", "aabbccdd"), {}, []
    for fold in range(4):
        try:
            config(split="grouped", folds=4, fold=fold).identity(cache)
        except ConfigError as error:
            refused.append(str(error))
    assert len(refused) == 1
    assert "leaves no sample of class 'p' to train on" in refused[0]


# ---- runs


@pytest.mark.slow
def test_a_cross_validation_is_a_partition_and_its_runs_are_repeated_bit_for_bit(nnexp, monkeypatch):
    monkeypatch.chdir(nnexp.folder)
    grouped = ("data.split=grouped", "data.groups=10", "data.split_seed=3", "data.validation_size=0.1")
    sweep = api.sweep(*SMALL, "+sweep=folds", *grouped, "seed=1")
    assert (sweep.counts["finished"], sweep.counts["failed"]) == (5, 0)
    whole, tested = api.load_dataset("digits"), []
    for fold, run in enumerate(sorted(sweep.runs, key=lambda run: run.params["data.fold"])):
        assert (run.params["data.folds"], run.params["data.fold"], run.params["data.test_size"]) == (5, fold, 0.2)
        split = whole.split(0.2, 0.1, 3, kind="grouped", groups=10, folds=5, fold=fold)
        for part, data in (("test", split.test), ("validation", split.validation), ("train", split.train)):
            assert np.mean(run.predict(data.X) == data.y) == run.metrics[f"accuracy/{part}"]
        tested += [row.tobytes() for row in split.test.X]
    assert sorted(tested) == sorted(row.tobytes() for row in whole.X)
    assert api.rerun(sweep.runs[2].run_id, *SMALL[2:], check=True).verdict == "identical"


def test_a_record_of_before_splits_as_it_did(tmp_path):
    digits = datasets.load("digits")

    class Record:
        seed, identity = 4, {"data_digest": digits.digest}

    details = {"data": {"name": "digits", "test_size": 0.2, "validation_size": 0.1}}
    assert load_split(Record(), details).test.digest == digits.split(0.2, 0.1, 4).test.digest


# ---- reports


def test_a_run_of_before_is_no_other_setting_than_one_of_today_with_the_defaults(tmp_path):
    before = stored_run(tmp_path, 0, seed=0)
    today = stored_run(tmp_path, 1, data__split="stratified", data__folds=None, data__fold=0)
    other = stored_run(tmp_path, 2, data__split="ordered", data__folds=None, data__fold=0)
    table = tidy([before, today, other])
    assert list(table["data.split"]) == ["stratified", "stratified", "ordered"]
    assert list(table["data.folds"]) == ["None"] * 3
    assert "data.scale" not in table


def test_ways_to_hold_out_are_not_ranked_against_each_other(tmp_path):
    def runs(splits, **keys):
        return [
            trained_run(tmp_path, 10 * i + seed, accuracy=0.9 + 0.01 * i, seed=seed, data__split=split, **keys)
            for i, split in enumerate(splits)
            for seed in range(3)
        ]

    [group] = grouped(runs(["stratified", "ordered"]))
    assert not group.has_choice
    assert group.spec.about_no_choice(group)[0].startswith(
        "Settings differ in how samples are held out (data.split), so"
    )
    [group] = grouped(runs(["ordered"]) + runs(["ordered"], model__l2=3.0))
    assert group.has_choice
