"""Where the variance comes from, of runs made by hand with splits and seeds of their own."""

import itertools

import numpy as np
import pytest

from nnexp.comparison import variance_sources
from nnexp.comparison.sections import Section
from nnexp.statistics.variance import crossed
from tests.report.runs import grouped, stored_run


def runs_of(folder, table, *, method="TNC", start=0, skip=()):
    """A run for each split (row) and seed (column) with that accuracy."""
    found = []
    for number, (split, seed) in enumerate(itertools.product(*map(range, table.shape)), start):
        if (split, seed) not in skip:
            params = {"data__split_seed": split, "seed": seed, "data__test_size": 0.2, "optimizer__method": method}
            found.append(stored_run(folder, number, metrics={"accuracy/test": float(table[split, seed])}, **params))
    return found


def drawn(split, seed, rest, shape=(5, 5)):
    rng = np.random.default_rng(0)
    return (
        0.9 + split * rng.normal(size=(shape[0], 1)) + seed * rng.normal(size=shape[1]) + rest * rng.normal(size=shape)
    )


def section_of(runs):
    [group] = grouped(runs)
    section = Section("")
    variance_sources.add_to(section, group)
    return section


def test_the_sentence_says_what_the_split_has_and_how_much_too_short_an_interval_over_seeds_is(tmp_path):
    table = drawn(0.02, 0.005, 0.005)
    parts = crossed(table)
    [sentence] = section_of(runs_of(tmp_path, table)).sentences
    assert sentence.startswith(
        "Of the variance of test accuracy of the one setting, over 5 splits with 5 seeds each, the split has "
        f"{100 * parts.share(parts.row):.0f} % (a standard deviation of {100 * parts.row.sd:.2f} points), the seed "
    )
    shown, true = parts.standard_errors(5)
    assert sentence.endswith(
        f"An interval over 5 seeds on one split would show a standard error of {100 * shown:.2f} points, where it is "
        f"{100 * true:.2f} points for other splits: {true / shown:.1f} times too short. These are "
        "estimates from 5 splits; their intervals are in the table."
    )


def test_a_split_without_influence_is_said_to_have_none(tmp_path):
    table = np.array([[0.90, 0.94, 0.92], [0.94, 0.90, 0.92], [0.92, 0.92, 0.92]])
    section = section_of(runs_of(tmp_path, table))
    assert "so an interval over seeds on one split is nearly as long as it should be." in section.sentences[0]
    assert "the split has none that can be seen, the seed none that can be seen, and the rest" in section.sentences[0]
    assert section.tables[0].rows[0][2].endswith("*")
    assert section.tables[0].caption.endswith("* The estimate of this variance is below zero, and counts as zero.")


def test_each_setting_has_a_row(tmp_path):
    runs = runs_of(tmp_path / "a", drawn(0.02, 0.005, 0.005))
    runs += runs_of(tmp_path / "b", drawn(0.0, 0.02, 0.005) - 0.1, method="CG", start=100)
    section = section_of(runs)
    assert [row[:2] for row in section.tables[0].rows] == [["TNC", "5 x 5"], ["CG", "5 x 5"]]
    assert "of TNC, over 5 splits" in section.sentences[0]
    assert section.sentences[0].endswith("their intervals are in the table, with those of the other setting.")


def test_an_estimate_below_zero_that_may_as_well_be_large_is_no_proof_that_the_split_does_not_matter(tmp_path):
    table = np.array([[0.90, 0.94, 0.92], [0.94, 0.90, 0.94], [0.89, 0.92, 0.96]])
    row = crossed(table).row
    assert row.is_negative
    [sentence] = section_of(runs_of(tmp_path, table)).sentences
    assert "as long as it should be. " not in sentence
    assert (
        "Whether an interval over seeds on one split is as long as it should be cannot be told from so few splits: "
        f"their standard deviation may be as large as {100 * row.high**0.5:.2f} points, the end of its 95 % interval."
    ) in sentence


def test_what_is_not_crossed_is_refused_and_says_so(tmp_path):
    diagonal = {(i, j) for i, j in itertools.product(range(5), range(5)) if i != j}
    section = section_of(runs_of(tmp_path, drawn(0.02, 0.005, 0.005), skip=diagonal))
    assert section.sentences == [
        "Not every split was run with every seed, so what each contributes to the variance cannot be told apart; a "
        "grid of both can."
    ]
    assert not section.tables


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_where_one_of_them_does_not_vary_there_is_nothing_to_say(tmp_path, shape):
    section = section_of(runs_of(tmp_path, drawn(0.02, 0.005, 0.005, shape)))
    assert (section.sentences, section.tables) == ([], [])


def test_equal_figures_have_no_shares(tmp_path):
    section = section_of(runs_of(tmp_path, np.full((3, 3), 0.9)))
    assert section.sentences == ["Test accuracy is the same on every split and with every seed."]
