"""How samples are held out: at random, as neighbours, by groups, and in folds."""

import hashlib
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from sklearn.model_selection import GroupKFold, StratifiedKFold

from nnexp import datasets
from nnexp.datasets import KINDS, Dataset
from nnexp.datasets.partition import draw_fold, groups_of, hold_out

RANDOM = np.random.default_rng
quick = settings(max_examples=60, deadline=None, database=None)
labels = st.lists(st.integers(0, 3), min_size=12, max_size=60).map(lambda y: np.array([0, 0, 1, 1, 2, 2, 3, 3, *y]))
seeds, kinds = st.integers(0, 10**6), st.sampled_from(KINDS)


def make(y, groups=None):
    return Dataset("own", np.arange(float(len(y)))[:, None], np.asarray(y), tuple("abcde"), groups=groups)


def rows(part):
    return [] if part is None else part.X[:, 0].astype(int).tolist()


@contextmanager
def left_to_chance(kind):
    """Whole groups may happen to be all of a class, which is refused."""
    try:
        yield
    except ValueError as error:
        if kind != "grouped" or "to train on" not in str(error):
            raise


def groups_for(y, size):
    return np.arange(y.size) // size


# ---- a share


def test_a_stratified_split_is_the_one_of_before_to_the_last_sample():
    dataset, content = make(RANDOM(5).permutation(np.repeat(np.arange(5), (50, 37, 5, 2, 101)))), hashlib.sha256()
    for seed in range(20):
        for shares in ((0.2, 0.0), (0.37, 0.25), (0.0, 0.1)):
            split = dataset.split(*shares, seed)
            for part in (split.train, split.validation, split.test):
                content.update(b"-" if part is None else np.array(rows(part), "<i8").tobytes())
    assert content.hexdigest()[:32] == "1e503bcc5df81c12fc2d0fece2cf6450"  # of the version without other kinds


@quick
@given(labels, seeds, kinds, st.floats(0.05, 0.4), st.floats(0, 0.3))
def test_parts_are_disjoint_complete_in_order_and_repeat(y, seed, kind, share, validation):
    arguments = {"kind": kind, "groups": 2 if kind == "grouped" else None}
    with left_to_chance(kind):
        split, again = (make(y).split(share, validation, seed, **arguments) for _ in range(2))
        parts = [rows(part) for part in (split.train, split.validation, split.test)]
        assert sorted(row for part in parts for row in part) == list(range(y.size))
        assert all(part == sorted(part) for part in parts)
        assert parts[2] == rows(again.test)
        assert rows(make(y).split(share, 0.0, seed, **arguments).test) == parts[2]
        assert set(split.train.y) == set(y)


@quick
@given(labels, seeds, st.floats(0.05, 0.6))
def test_ordered_takes_neighbours_of_each_class_and_as_many_as_stratified(y, seed, share):
    ordered, stratified = (
        hold_out(y, share, RANDOM(seed), key="data.test_size", kind=kind) for kind in ("ordered", "stratified")
    )
    np.testing.assert_array_equal(np.bincount(y[ordered], minlength=4), np.bincount(y[stratified], minlength=4))
    for label in range(4):
        is_held_out = np.isin(np.flatnonzero(y == label), ordered)
        assert np.sum(np.diff(np.append(is_held_out, is_held_out[0])) != 0) <= 2  # one block on a circle


def test_ordered_begins_at_the_same_relative_place_of_each_class():
    y = np.repeat([0, 1, 2], [100, 1000, 500])
    for seed in range(20):
        held_out = hold_out(y, 0.2, RANDOM(seed), key="", kind="ordered")
        places = []
        for label, size in enumerate((100, 1000, 500)):
            members = np.isin(np.flatnonzero(y == label), held_out)
            places.append(np.flatnonzero(members & ~np.roll(members, 1))[0] / size)
        assert max(places) - min(places) <= 1 / 100 or max(places) > 0.99
    firsts = {hold_out(y, 0.2, RANDOM(seed), key="", kind="ordered")[0] for seed in range(20)}
    assert len(firsts) > 5


@quick
@given(labels, seeds, st.floats(0.05, 0.6), st.integers(1, 7))
def test_no_group_is_in_two_parts_and_the_share_is_met_within_half_a_group(y, seed, share, size):
    groups = RANDOM(seed + 1).permutation(groups_for(y, size))
    held_out = hold_out(y, share, RANDOM(seed), key="data.test_size", kind="grouped", groups=groups)
    rest = np.delete(np.arange(y.size), held_out)
    assert not set(groups[held_out]) & set(groups[rest])
    assert held_out.size >= 1
    assert rest.size >= 1
    assert abs(held_out.size - share * y.size) <= max(size / 2, np.bincount(groups).max() - share * y.size)


# ---- folds


@quick
@given(labels, seeds, kinds, st.integers(2, 6), st.floats(0, 0.3))
def test_folds_are_a_partition_whatever_is_held_out_of_the_rest(y, seed, kind, folds, validation):
    def one(fold, validation):
        groups = 3 if kind == "grouped" else None
        return make(y).split(0.2, validation, seed, kind=kind, groups=groups, folds=folds, fold=fold)

    with left_to_chance(kind):
        parts = [rows(one(fold, 0.0).test) for fold in range(folds)]
        nested = [rows(one(fold, validation).test) for fold in range(folds)]
        assert sorted(row for part in parts for row in part) == list(range(y.size))
        assert nested == parts


@quick
@given(labels, seeds, st.sampled_from(["stratified", "ordered"]), st.integers(2, 8))
def test_folds_and_the_classes_in_them_differ_by_one_sample_at_most(y, seed, kind, folds):
    parts = [draw_fold(y, folds, fold, RANDOM(seed), kind=kind) for fold in range(folds)]
    counts = np.array([np.bincount(y[part], minlength=4) for part in parts])
    assert np.all(np.ptp(counts, axis=0) <= 1)
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("folds", [2, 3, 5, 7])
@pytest.mark.parametrize("kind", ["stratified", "ordered"])
def test_the_classes_in_each_fold_are_those_of_scikit_learn(folds, kind):
    y = np.repeat(np.arange(4), (23, 9, 41, 14))
    parts = [draw_fold(y, folds, fold, RANDOM(3), kind=kind) for fold in range(folds)]
    oracle = [test for _, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(y, y)]
    for part, theirs in zip(parts, oracle, strict=True):
        assert np.bincount(y[part]).tolist() == np.bincount(y[theirs]).tolist()


def test_folds_of_groups_of_one_size_are_as_large_as_those_of_scikit_learn():
    y, groups = np.arange(120) % 3, np.arange(120) // 6
    for folds in (2, 3, 4, 6):
        parts = [draw_fold(y, folds, fold, RANDOM(1), kind="grouped", groups=groups) for fold in range(folds)]
        oracle = [test.size for _, test in GroupKFold(folds).split(y, y, groups)]
        assert sorted(part.size for part in parts) == sorted(oracle)


@quick
@given(seeds, st.integers(2, 6), st.lists(st.integers(1, 20), min_size=6, max_size=20))
def test_folds_of_groups_differ_by_the_largest_group_at_most_and_divide_none(seed, folds, sizes):
    groups = RANDOM(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    y = np.zeros(groups.size, int)
    parts = [draw_fold(y, folds, fold, RANDOM(seed), kind="grouped", groups=groups) for fold in range(folds)]
    assert np.ptp([part.size for part in parts]) <= max(sizes)
    assert sum(len(set(groups[part])) for part in parts) == len(sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_gives_other_folds(kind):
    y, groups = np.arange(100) % 4, np.arange(100) // 5
    drawn = {tuple(draw_fold(y, 5, 0, RANDOM(seed), kind=kind, groups=groups)) for seed in range(10)}
    assert len(drawn) > 5


# ---- groups


def test_groups_are_numbers_by_first_appearance_whatever_they_are_called():
    for names in (["b", "a", "b", "c"], [7, -1, 7, 0], [0.5, 0.25, 0.5, 2.0], np.array(["b", 1, "b", 2], object)):
        assert groups_of(names).tolist() == [0, 1, 0, 2]
    for bad, message in (([1.0, np.nan], "1 values are missing, the first in row 1"), ([[1], [2]], "got shape")):
        with pytest.raises(ValueError, match=message):
            groups_of(bad)


def test_the_digest_knows_groups_but_not_their_names():
    every = [make([0, 1, 0, 1], groups) for groups in (None, list("abba"), [4, 2, 2, 4], list("aabb"))]
    assert every[1].digest == every[2].digest
    assert len({dataset.digest for dataset in every}) == 3
    assert every[1].subset(np.array([1, 2])).groups.tolist() == [0, 0]


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected groups \(4,\), got \(3,\)"):
        make([0, 1, 0, 1], [1, 2, 3])
    with pytest.raises(ValueError, match=r"`data.split` = grouped needs `data.groups`"):
        make([0, 1, 0, 1]).split(0.5, kind="grouped")
    with pytest.raises(ValueError, match="all samples are of one group"):
        make([0, 1, 0, 1], [1] * 4).split(0.5, kind="grouped")
    with pytest.raises(ValueError, match=r"`data.folds` must be <= 2, the number of groups, got 3"):
        make([0, 1, 0, 1], [1, 1, 2, 2]).split(kind="grouped", folds=3)
    with pytest.raises(ValueError, match=r"leaves no sample of class '[ab]' to train on, with the split of seed 0"):
        make([0, 0, 1, 1], [1, 1, 2, 2]).split(0.5, kind="grouped")


def test_too_few_samples_for_the_folds_are_refused():
    with pytest.raises(ValueError, match=r"`data.folds` must be <= 4, the number of samples, got 5"):
        make([0, 1, 0, 1]).split(folds=5)
    with pytest.raises(ValueError, match=r"needs 2 samples of each class .* 1 class has only one"):
        make([0, 1, 0, 0]).split(folds=2)


def test_a_column_of_a_table_names_groups_and_is_no_feature(tmp_path):
    table = pd.DataFrame({"a": [1.0, 2, 3, 4], "who": ["x", "y", "x", "z"], "label": list("pqpq")})
    table.to_csv(path := tmp_path / "own.csv", index=False)
    dataset = datasets.load("csv", path=str(path), target="label", groups="who")
    assert (dataset.X.shape, dataset.groups.tolist()) == ((4, 1), [0, 1, 0, 2])
    with pytest.raises(ValueError, match=r"`data.groups` must be a column of .*: a, who, label; got 'whom'"):
        datasets.load("csv", path=str(path), target="label", groups="whom")
    table.assign(who=["x", None, "x", "z"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match="column 'who': groups: 1 values are missing, the first in row 1"):
        datasets.load("csv", path=str(path), target="label", groups="who")


def test_a_variable_of_a_matlab_file_names_groups(tmp_path):
    X, y = np.arange(8.0).reshape(4, 2), [1, 2, 1, 2]
    savemat(path := tmp_path / "own.mat", {"X": X, "y": y, "who": [[3], [3], [1], [2]], "short": [1, 2]})
    assert datasets.load("mat", path=str(path), groups="who").groups.tolist() == [0, 0, 1, 2]
    assert datasets.load("mat", path=str(path)).groups is None
    for name, message in (("whom", "must hold whom, which `data.groups` names, got X, y"), ("short", "got 2 for 4")):
        with pytest.raises(ValueError, match=message):
            datasets.load("mat", path=str(path), groups=name)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"split": "random"}, "`data.split` must be one of stratified, ordered, grouped, got 'random'"),
        ({"split": "grouped"}, "`data.split` = grouped needs `data.groups`"),
        ({"groups": 0}, "`data.groups` must be null, an integer >= 1 .* got 0"),
        ({"groups": 1.5}, "`data.groups` must be null"),
        ({"groups": "who"}, "`data.groups` must be an integer or null for data=ex4, got 'who'"),
        ({"folds": 1}, "`data.folds` must be an integer >= 2, or null for none, got 1"),
        ({"folds": True}, "`data.folds` must be an integer"),
        ({"folds": 5, "fold": 5}, "`data.fold` must be an integer from 0 to 4, got 5"),
        ({"folds": 5, "fold": -1}, "`data.fold` must be an integer from 0 to 4, got -1"),
        ({"fold": 1}, "`data.fold` must be 0 where `data.folds` is null, got 1"),
        ({"name": "csv", "path": __file__, "target": "y", "groups": "y"}, "another column than `data.target`"),
        ({"name": "mat", "path": __file__, "groups": "X"}, "another variable than X and y, got 'X'"),
    ],
)
def test_a_wrong_key_of_the_split_is_refused_before_any_work(keys, message):
    with pytest.raises(ValueError, match=message) as error:
        datasets.check(**{"name": "ex4"} | keys)
    assert "\n" not in str(error.value)
