import math
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as api
from statsmodels.stats import anova

from nnexp.statistics.variance import crossed


def drawn(rng, n_rows, n_columns, row, column, rest):
    """A table with these standard deviations."""
    return (
        row * rng.normal(size=(n_rows, 1))
        + column * rng.normal(size=n_columns)
        + rest * rng.normal(size=(n_rows, n_columns))
    )


def long(table):
    n_rows, n_columns = table.shape
    rows, columns = np.repeat(np.arange(n_rows), n_columns), np.tile(np.arange(n_columns), n_rows)
    return pd.DataFrame({"y": table.ravel(), "row": rows, "column": columns, "all": 1})


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (2, 3)])
def test_the_components_are_those_of_the_mean_squares_of_statsmodels(shape):
    table = drawn(np.random.default_rng(3), *shape, 3.0, 2.0, 1.0)
    squares = anova.anova_lm(api.ols("y ~ C(row) + C(column)", long(table)).fit())["mean_sq"]
    found = crossed(table)
    assert found.rest.variance == pytest.approx(squares["Residual"], rel=1e-10)
    assert found.row.variance == pytest.approx(max(0, squares["C(row)"] - squares["Residual"]) / shape[1], rel=1e-10)
    column = (squares["C(column)"] - squares["Residual"]) / shape[0]
    assert found.column.variance == pytest.approx(max(0.0, column), rel=1e-10)
    assert found.column.is_negative == (column < 0)


def test_the_components_are_those_of_a_mixed_model_by_restricted_maximum_likelihood():
    table = drawn(np.random.default_rng(1), 6, 6, 2.0, 1.5, 1.0)
    parts = {"row": "0 + C(row)", "column": "0 + C(column)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its optimizer
        fitted = api.mixedlm("y ~ 1", long(table), groups="all", vc_formula=parts).fit(reml=True)
    found = crossed(table)
    by_name = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
    assert found.row.variance == pytest.approx(by_name["row"], rel=1e-3)
    assert found.column.variance == pytest.approx(by_name["column"], rel=1e-3)
    assert found.rest.variance == pytest.approx(fitted.scale, rel=1e-3)


def test_estimates_are_right_on_average_and_intervals_cover_what_they_promise():
    rng, parts, true = np.random.default_rng(0), (2.0, 0.5, 1.0), (4.0, 0.25, 1.0)
    found = [crossed(drawn(rng, 5, 5, *parts)) for _ in range(400)]
    components = [[one.row, one.column, one.rest] for one in found]
    means = np.mean([[part.variance for part in parts] for parts in components], axis=0)
    assert means[[0, 2]] == pytest.approx([4.0, 1.0], rel=0.1)
    covered = np.mean(
        [[p.low <= t <= p.high for p, t in zip(parts, true, strict=True)] for parts in components], axis=0
    )
    assert (covered > 0.92).all()
    assert (covered < 0.985).all()


def test_a_negative_estimate_is_zero_and_says_so():
    table = np.array([[1.0, 5.0, 3.0], [5.0, 1.0, 3.0], [3.0, 3.0, 3.0]])  # all rows have the same mean
    found = crossed(table)
    assert (found.row.variance, found.row.is_negative, found.row.low) == (0.0, True, 0.0)
    assert found.total == found.rest.variance
    assert found.share(found.rest) == 1.0


def test_what_seeds_on_one_split_do_not_show():
    rng = np.random.default_rng(5)
    found = crossed(drawn(rng, 40, 40, 3.0, 1.0, 0.5))
    shown, true = found.standard_errors(5)
    assert shown == pytest.approx(math.sqrt((1 + 0.25) / 5), rel=0.2)
    assert true == pytest.approx(math.sqrt(9 + (1 + 0.25) / 5), rel=0.2)
    assert found.standard_errors(10**9)[1] == pytest.approx(found.row.sd, rel=1e-6)


def test_where_nothing_varies_there_are_no_shares():
    found = crossed(np.full((3, 3), 0.9))
    assert found.total == 0
    assert math.isnan(found.share(found.row))


@pytest.mark.parametrize("table", [np.ones((1, 3)), np.ones((3, 1)), np.array([[1, np.nan], [1, 2]]), np.ones(4)])
def test_a_layout_that_is_not_crossed_is_refused(table):
    with pytest.raises(ValueError, match="expected a finite figure of each of 2 rows and 2 columns"):
        crossed(table)
